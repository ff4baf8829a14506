"""What people choose on the receiver's pages, all the way into consents, suppressions, endings and caps."""

from __future__ import annotations

import base64
import itertools
import json
import random
import re
from dataclasses import replace

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from rekindle.campaigns.loader import restore_campaign
from rekindle.identity import address_hash
from rekindle.receiver import ReceiverSettings, create_app
from rekindle.receiver.preferences import Wording
from rekindle.simulate.warehouse import signal_row
from rekindle.tokens import TokenSigner
from rekindle.vocabulary import Exit

KEY = "token-key-of-the-tests"
TOKENS = TokenSigner([KEY])
WRITE_KEY = {"Authorization": "Basic " + base64.b64encode(b"write-key:").decode()}


class Visitor:
    """Somebody with a browser, at the receiver whose landing zone the world ingests."""

    def __init__(self, world):
        self.world = world
        self.settings = ReceiverSettings(
            landing_root=world.landing,
            public_base_url="https://click.example.com",
            token_keys=(SecretStr(KEY),),
            segment_write_keys=(SecretStr("write-key"),),
            topics={"marketing": "News", "tips": "Tips"},
        )
        self.app = create_app(self.settings, world.clock)
        self.client = TestClient(self.app, follow_redirects=False)

    def link(self, lead, channel="email", message_id="m-none"):
        hashed = lead.email_hash if channel == "email" else lead.phone_hash
        return "/p/" + TOKENS.preferences(message_id, hashed, channel, "marketing")

    def choose(self, lead, **form):
        answer = self.client.post(self.link(lead), data=form)
        assert answer.status_code == 200
        assert "We have written it down" in answer.text

    def come_back(self, lead, *topics):
        version = Wording(self.settings.topics, self.settings.consent_wording).version
        self.choose(lead, do="resubscribe", topic=list(topics), wording=version)

    def stop(self, lead, channel="email"):
        hashed = lead.email_hash if channel == "email" else lead.phone_hash
        assert self.client.post("/u/" + TOKENS.unsubscribe("m-none", hashed, channel, "marketing")).status_code == 200

    def sign_up(self, **form):
        words = {"form": "footer", "wording_version": "2026-01", "channels": ["email"], "topics": ["marketing"]}
        answer = self.client.post("/v1/leads", json=words | form, headers=WRITE_KEY)
        assert (answer.status_code, answer.json()) == (202, {"success": True})


@pytest.fixture
def visitor(world):
    visitor = Visitor(world)
    yield visitor
    visitor.app.state.reception.landing.close()


def consents(world, hashed):
    rows = world.query(
        "select channel, topic, action, source from rekindle_state.consents where address_hash = $hashed"
        " and source <> 'test' order by occurred_at, channel, topic",
        hashed=hashed,
    )
    return [tuple(row.values()) for row in rows]


def open_suppressions(world):
    return world.values(
        "select reason from rekindle_state.suppressions where lifted_at is null order by channel, reason"
    )


def test_one_press_pauses_and_ends_the_entry(world, visitor):
    lead = world.lead()
    world.tick(0)
    world.now(1)
    visitor.choose(lead, do="pause")
    world.ingest(1)
    assert world.state(lead)["exit_reason"] == Exit.PREFERENCE_PAUSED
    # It is no opt-out for ever, and still nothing more is allowed, on any channel
    assert open_suppressions(world) == []
    assert consents(world, lead.email_hash)[-1][1:3] == ("all", "revoked")
    assert consents(world, lead.phone_hash)[-1][1:3] == ("all", "revoked")
    assert world.broken() == {}


def test_no_get_chooses_or_confirms(world, visitor):
    lead = world.lead()
    world.tick(0)
    world.now(1)
    visitor.sign_up(email=lead.email)
    world.ingest(1)
    before = world.fingerprint()
    (confirm,) = world.values("select confirm_token from rekindle_raw.opt_ins")
    for path in (visitor.link(lead), f"/confirm/{confirm}"):
        for method, query in itertools.product(("GET", "HEAD", "OPTIONS", "PUT"), ("", "?do=pause&from=page")):
            visitor.client.request(method, path + query)
    world.ingest(1)
    assert world.fingerprint() == before


def test_stopping_texts_leaves_the_e_mails(world, visitor):
    lead = world.lead()
    visitor.choose(lead, do="save", channel="sms")
    world.tick(0)
    assert world.message(lead)["channel"] == "email"
    assert consents(world, lead.phone_hash) == [("sms", "all", "revoked", "preference_page")]
    assert consents(world, lead.email_hash) == []
    world.tick(4)
    assert world.decisions(lead) == ["consent_missing"]
    assert len(world.messages(lead)) == 1


def test_stopping_a_topic_leaves_the_others(world, visitor):
    lead, other = world.lead(), world.lead()
    visitor.choose(lead, do="save", topic="tips")
    visitor.choose(other, do="save", topic="marketing")
    world.tick(0)
    assert world.message(lead)["status"] == "accepted"
    assert world.messages(other) == []


def test_less_often_is_once_in_thirty_days_until_it_is_taken_back(world, visitor):
    slow, usual = world.lead(), world.lead()
    world.tick(0)
    world.now(1)
    visitor.choose(slow, do="save", frequency="less_often")
    world.tick(4)
    assert [message["channel"] for message in world.messages(slow)] == ["email"]
    assert world.decisions(slow) == ["frequency_cap"]
    assert [message["channel"] for message in world.messages(usual)] == ["email", "sms"]
    visitor.choose(slow, do="save", frequency="as_usual")
    world.tick(5)
    assert [message["channel"] for message in world.messages(slow)] == ["email", "sms"]
    assert world.broken() == {}


def test_coming_back_is_a_new_consent_with_evidence_for_the_topic_and_the_address(world, visitor):
    lead = world.lead(on=1)
    visitor.stop(lead)
    world.ingest(0)
    assert open_suppressions(world) == ["unsubscribed"]
    world.now(1)
    visitor.come_back(lead, "marketing")
    world.ingest(1)
    assert open_suppressions(world) == []
    assert world.values("select lifted_at from rekindle_state.suppressions") == [world.at(1)]
    (row,) = world.query("select * from rekindle_state.consents where source = 'preference_page'")
    assert (row["address_hash"], row["channel"], row["topic"], row["action"]) == (
        lead.email_hash,
        "email",
        "marketing",
        "granted",
    )
    assert row["wording_version"].startswith("preference_page-")
    assert row["occurred_at"] == world.at(1)
    evidence = json.loads(row["evidence"])
    assert len(evidence["remote_hash"]) == len(evidence["token_hash"]) == 64
    (page,) = world.values(
        "select payload from rekindle_raw.webhook_elements where event_key = $key", key=evidence["event_key"]
    )
    assert visitor.settings.consent_wording in page
    # The phone was not asked about, and its no stands; so does that to other topics
    assert [row[2] for row in consents(world, lead.phone_hash)] == ["revoked"]
    world.tick(1)
    assert world.message(lead)["channel"] == "email"
    assert world.broken() == {}


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_opt_outs_and_returns_does_not_matter(world, visitor, seed):
    """Landed in any order and over any number of ingests, what holds is what was said last; a bounce stays."""
    lead, back = world.lead(), world.lead()
    for day, act in enumerate((visitor.stop, lambda who: visitor.come_back(who, "marketing"), visitor.stop)):
        world.now(day)
        act(lead)
    for day, act in enumerate((visitor.stop, lambda who: visitor.come_back(who, "marketing")), start=3):
        world.now(day)
        act(back)
    world.land_mail_events(world.mail_event("m", "bounce", world.at(0), back.email, type="bounce", status="5.1.1"))
    visitor.app.state.reception.landing.close()
    files = list(world.landing.glob("*/*/*.jsonl"))
    random.Random(seed).shuffle(files)
    away = world.folder / "away"
    away.mkdir()
    held = [(file, file.rename(away / f"{number}.jsonl")) for number, file in enumerate(files)]
    for number, (place, hidden) in enumerate(held):
        hidden.rename(place)
        if number % 2:
            world.ingest(5)
    world.ingest(5)
    found = world.query(
        "select address_hash, reason, suppressed_at from rekindle_state.suppressions where lifted_at is null"
    )
    assert {row["address_hash"]: (row["reason"], row["suppressed_at"]) for row in found} == {
        lead.email_hash: ("unsubscribed", world.at(2)),
        back.email_hash: ("hard_bounced", world.at(0)),
    }
    assert len(found) == 2
    assert world.values("select count(*) from rekindle_state.suppressions where lifted_at < suppressed_at") == [0]


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_refusal_by_the_provider_outlives_an_unsubscribe_and_its_return(world, world_module, visitor, comes_back):
    # Given a lead whose address the provider refused: no event tells that, only the outcome of our own call
    lead = world.lead(phone=None)
    world.email.answer = lambda item: world_module.refused(item, "sendgrid", "400:personalizations.to")
    world.tick(0)
    [refusal] = world.query("select * from rekindle_state.suppressions")
    assert (refusal["reason"], refusal["event_key"]) == ("hard_bounced", None)
    # When she unsubscribes, and perhaps takes that back
    world.now(1)
    visitor.stop(lead)
    world.ingest(1)
    assert open_suppressions(world) == ["unsubscribed"]
    world.now(2)
    if comes_back:
        visitor.come_back(lead, "marketing")
    world.ingest(2)
    # Then what the provider said still holds, from when it said so
    assert open_suppressions(world) == (["hard_bounced"] if comes_back else ["unsubscribed"])
    standing = world.query("select * from rekindle_state.suppressions where lifted_at is null and event_key is null")
    assert [row | {"recorded_at": None} for row in standing] == (
        [refusal | {"recorded_at": None}] if comes_back else []
    )


def test_neither_a_webhook_nor_a_form_nor_the_users_table_takes_an_opt_out_back(world, visitor):
    lead = world.lead(on=1)
    visitor.stop(lead)
    world.ingest(0)
    world.now(1)
    world.land_mail_events(world.mail_event("m", "group_resubscribe", world.at(0.5), lead.email, asm_group_id=1))
    world.land("twilio_inbound", world.inbound_text(lead.phone, "START", world.at(0.5)))
    visitor.sign_up(email=lead.email, double_opt_in=False)
    world.tick(1)
    assert open_suppressions(world) == ["unsubscribed"]
    assert [row[2] for row in consents(world, lead.email_hash)] == ["revoked"]
    assert world.messages(lead) == []


def test_a_sign_up_counts_when_it_is_confirmed(world, visitor):
    lead = world.lead(consents=())
    visitor.sign_up(email=lead.email.upper(), time_zone="europe/berlin", country="de", remote_address="203.0.113.9")
    world.tick(0)
    assert world.messages(lead) == []
    (row,) = world.query("select * from rekindle_raw.opt_ins")
    assert (row["address_hash"], row["time_zone"], row["country"]) == (lead.email_hash, "Europe/Berlin", "DE")
    assert world.values("select choice from rekindle_state.preferences") == ["requested"]
    # When the person presses the button, twice
    world.now(1)
    for _ in range(2):
        assert visitor.client.post(f"/confirm/{row['confirm_token']}").status_code == 200
    world.tick(1)
    (consent,) = world.query("select * from rekindle_state.consents")
    assert (consent["source"], consent["wording_version"], consent["occurred_at"]) == (
        "confirm_page",
        "2026-01",
        world.at(1),
    )


CONFIRMING = [
    {"id": "ask", "email": {"template": "probe.txt.j2", "subject": "Is this address yours?"}},
    {"id": "listen", "wait": "24h"},
    {"id": "again", "email": {"template": "probe.txt.j2", "subject": "Once more"}},
    {"id": "archive", "end": "archived"},
]


@pytest.fixture
def confirming(new_world):
    """A world whose campaign asks to confirm, in two mails although one is allowed."""
    entering = {"opt_in": "confirmation", "re_entry": {"after_days": 7}}
    world = new_world(topic="confirmation", steps=CONFIRMING, enter=entering)
    stored = json.loads(world.campaign.definition_json)
    stored["templates"]["probe.txt.j2"] += "\nIs it yours? {{ confirm_link }}\n"
    world.campaign = restore_campaign("double_opt_in", json.dumps(stored))
    return world


def wants_in(world, day, *leads):
    """As the model says it of everybody whose sign-up waits to be confirmed."""
    signals = [signal_row(lead.lead_id, world.at(day), "opt_in", "confirmation") for lead in leads]
    world.insert("rekindle_activation.sync_inbound_signals", *signals)


@pytest.fixture
def applicant(confirming):
    visitor = Visitor(confirming)
    yield visitor
    visitor.app.state.reception.landing.close()


def test_who_signed_up_is_asked_once_to_confirm_and_written_to_when_she_has(confirming, applicant):
    # Given somebody who filled in a form, and somebody who did not
    world = confirming
    hashed = address_hash("new@mail.example")
    lead = world.lead(lead_id=f"sign_up:{hashed}", email="new@mail.example", phone=None, consents=(), is_cold=False)
    world.lead(consents=())
    applicant.sign_up(email=lead.email)
    for day in range(4):
        wants_in(world, day, lead)
        world.tick(day)
    # Then one mail went out, to her, with the link of her form
    assert [(row["lead_id"], row["step_id"]) for row in world.messages()] == [(lead.lead_id, "ask")]
    assert "consent_missing" in world.values("select reason from rekindle_state.decisions where step_id = 'again'")
    [mail] = world.email.sent
    [link] = re.findall(r"Is it yours\? http://127.0.0.1:8290(/confirm/\S+)", mail.outgoing.text)
    assert lead.email not in link and lead.email_hash not in link
    # And nothing else may be written to her
    asking, world.campaign = world.campaign, world.campaign_with("win_back")
    world.crosses_again(lead, on=3)
    world.freeze(3)
    world.plan(3)
    assert len(world.messages()) == 1
    world.campaign = asking
    # When she opens the page, nothing is granted; when she presses the button, it is, with its evidence
    assert applicant.client.get(link).status_code == 200
    world.ingest(3)
    assert consents(world, lead.email_hash) == []
    assert applicant.client.post(link).status_code == 200
    world.ingest(3.1)
    assert consents(world, lead.email_hash) == [("email", "marketing", "granted", "confirm_page")]
    [evidence] = world.values("select evidence from rekindle_state.consents where source = 'confirm_page'")
    assert set(json.loads(evidence)) >= {"event_key", "landing_file", "remote_hash", "token_hash"}
    assert world.broken() == {}


@pytest.mark.parametrize(
    "before",
    [
        lambda world, visitor, lead: visitor.stop(lead),
        lambda world, visitor, lead: world.consent(lead, "email", action="revoked"),
        lambda world, visitor, lead: world.suppress(lead.email_hash, "email", "hard_bounced"),
    ],
    ids=["said stop", "took it back", "bounced"],
)
def test_a_form_anybody_can_fill_in_writes_to_nobody_who_said_no(confirming, applicant, before):
    lead = confirming.lead(consents=())
    before(confirming, applicant, lead)
    confirming.ingest(0)
    confirming.now(0.1)
    applicant.sign_up(email=lead.email)
    wants_in(confirming, 0.2, lead)
    confirming.tick(0.2)
    assert confirming.values("select count(*) from rekindle_state.journey_entries") == [1]
    assert confirming.messages() == []


@pytest.mark.parametrize(("day", "asked"), [(6.9, 1), (7.1, 0)])
def test_a_sign_up_of_long_ago_is_asked_nothing(confirming, applicant, day, asked):
    lead = confirming.lead(consents=(), on=day)
    applicant.sign_up(email=lead.email)
    confirming.ingest(0)
    wants_in(confirming, day, lead)
    confirming.tick(day)
    assert len(confirming.messages()) == asked


def test_an_address_nobody_has_proved_may_be_told_by_a_form_the_company_answers_for(world, visitor):
    lead = world.lead(consents=())
    visitor.sign_up(email=lead.email, double_opt_in=False, remote_address="203.0.113.9")
    world.tick(0)
    (consent,) = world.query("select * from rekindle_state.consents")
    assert (consent["source"], consent["action"], consent["topic"]) == ("form", "granted", "marketing")
    assert len(json.loads(consent["evidence"])["remote_hash"]) == 64
    assert "203.0.113.9" not in consent["evidence"]


def test_the_link_in_the_message_opens_the_page_and_ends_its_entry(world, visitor):
    lead = world.lead()
    world.tick(0)
    stored = json.loads(world.campaign.definition_json)
    stored["templates"]["probe.txt.j2"] += "\nSay how often: {{ preferences_link }}\n"
    campaign = restore_campaign(world.campaign.campaign_id, json.dumps(stored))
    row = {**world.message(lead), "email": lead.email, "first_name": "Ada"}
    text = replace(world.composer(), campaign=campaign).compose(row, world.at(0)).outgoing.text
    (link,) = re.findall(r"Say how often: http://127.0.0.1:8290(/p/\S+)", text)
    world.now(1)
    assert visitor.client.post(link, data={"do": "pause"}).status_code == 200
    world.ingest(1)
    assert world.state(lead)["exit_reason"] == Exit.PREFERENCE_PAUSED
    assert world.values("select message_id from rekindle_state.preferences") == [row["message_id"]]


def test_a_yes_to_everything_is_a_yes_of_the_one_address_that_said_it(world):
    lead = world.lead(consents=())
    world.insert(
        "rekindle_state.preferences",
        {
            "choice_id": "c",
            "event_key": "k",
            "address_hash": lead.email_hash,
            "address_channel": "email",
            "channel": "all",
            "topic": "all",
            "choice": "granted",
            "source": "preference_page",
            "evidence": "{}",
            "occurred_at": world.at(-1),
            "landing_file": "f",
            "recorded_at": world.at(-1),
        },
    )
    world.ingest(0)
    assert world.values("select address_hash from rekindle_state.consents") == [lead.email_hash]
