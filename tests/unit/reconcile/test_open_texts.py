"""Texts whose end nobody told are asked about by their sid, after a day."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rekindle.channels.ports import ProviderUnavailableError
from rekindle.reconcile.open_texts import GIVEN_UP_AFTER, OPEN_FOR, poll_open_texts


def poll(world, providers, at):
    if at > world.clock.now():
        world.clock.step_to(at)
    return poll_open_texts(world.warehouse, providers.twilio().fetch_text, world.clock, world.run(0, recorded_at=at))


@pytest.fixture
def texted(world, providers):
    """A lead who was texted on day 0, and the text at the sandbox."""
    lead = world.lead(email=None)
    world.tick(0)
    text = providers.text(lead.phone)
    world.execute("update rekindle_state.messages set provider_message_id = $sid", sid=text.sid)
    return lead, text


@pytest.mark.parametrize(
    ("after", "asked"),
    [
        (OPEN_FOR - timedelta(seconds=1), False),
        (OPEN_FOR, True),
        (GIVEN_UP_AFTER - timedelta(seconds=1), True),
        (GIVEN_UP_AFTER, False),
    ],
)
def test_a_text_is_asked_about_after_a_day_and_for_four(world, providers, texted, after, asked):
    lead, text = texted
    text.status = "delivered"
    poll(world, providers, world.at(0) + after)
    assert world.message(lead)["status"] == ("delivered" if asked else "accepted")
    assert sum(providers.counts().get("GET /2010-04-01/Accounts/{sid}/Messages/{sid}.json", {}).values()) == asked


@pytest.mark.parametrize(
    ("status", "code", "settled", "exit_reason"),
    [
        ("delivered", None, "delivered", None),
        ("sent", None, "sent", None),
        ("queued", None, "accepted", None),
        ("undelivered", 30005, "undelivered", "invalid_phone"),
    ],
)
def test_it_settles_like_the_callback_that_was_lost(world, providers, texted, status, code, settled, exit_reason):
    lead, text = texted
    text.status, text.error_code, text.updated_at = status, code, int(world.at(0.01).timestamp())
    poll(world, providers, world.at(1))
    assert world.message(lead)["status"] == settled
    assert world.state(lead)["exit_reason"] == exit_reason
    if settled in ("delivered", "undelivered"):
        assert world.message(lead)["settled_at"] == world.at(0.01)
    assert world.broken() == {}


def test_the_callback_that_comes_after_all_tells_nothing_new(world, providers, texted):
    lead, text = texted
    text.status = "delivered"
    poll(world, providers, world.at(1))
    events = world.query("select * from rekindle_state.message_events where event_type = 'delivered'")
    line = world.text_status(world.message(lead)["message_id"], "delivered", world.at(1), lead.phone)
    line["body"] = line["body"].replace(line["body"].split("MessageSid=")[1].split("&")[0], text.sid)
    world.land("twilio_status", line)
    world.ingest(2)
    assert world.query("select * from rekindle_state.message_events where event_type = 'delivered'") == events


def test_ranks_are_monotone(world, providers, texted):
    lead, text = texted
    world.land("twilio_status", world.text_status(world.message(lead)["message_id"], "sent", world.at(0.1), lead.phone))
    world.ingest(0.5)
    text.status = "queued"
    poll(world, providers, world.at(1))
    assert world.message(lead)["status"] == "sent"


def test_a_text_that_twilio_keeps_no_more_stays_as_it_is(world, providers, texted):
    lead, text = texted
    del providers.world.messages.by_sid[text.sid]
    assert poll(world, providers, world.at(1))["fetched"] == 0
    assert world.message(lead)["status"] == "accepted"


def test_what_was_heard_is_kept_when_a_later_question_is_not_answered(world, providers):
    leads = world.leads([{"email": None}, {"email": None}])
    world.tick(0)
    texts = [providers.text(lead.phone) for lead in leads]
    for lead, text in zip(leads, texts, strict=True):
        text.status = "delivered"
        world.execute(
            "update rekindle_state.messages set provider_message_id = $sid where lead_id = $lead",
            sid=text.sid,
            lead=lead.lead_id,
        )
    asked = []

    def fetch(sid):
        asked.append(sid)
        if len(asked) == 2:
            raise ProviderUnavailableError("no answer")
        return providers.twilio().fetch_text(sid)

    world.now(1)
    with pytest.raises(ProviderUnavailableError):
        poll_open_texts(world.warehouse, fetch, world.clock, world.run(1))
    assert sorted(row["status"] for row in world.messages()) == ["accepted", "delivered"]


def test_asking_again_changes_nothing(world, providers, texted):
    _, text = texted
    text.status = "sent"
    poll(world, providers, world.at(1))
    before = world.fingerprint()
    poll(world, providers, world.at(1))
    assert world.fingerprint() == before
