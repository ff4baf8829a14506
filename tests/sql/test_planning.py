"""Who may be written to now, who not, why not, and when again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from rekindle.errors import ConfigurationError, RefusedError
from rekindle.identity import message_id
from rekindle.planning.plan import BATCH_SIZE, PATIENCE_WITH_THE_WINDOW
from rekindle.vocabulary import Channel, DecisionReason


def planned(world, day=0, channel=Channel.EMAIL):
    world.freeze(day)
    return world.plan(day, channel)


def test_a_due_lead_gets_one_message_with_a_deterministic_id(world):
    lead = world.lead()
    (batch,) = planned(world)
    message = world.message(lead)
    assert batch.message_count == 1 and message["batch_id"] == batch.batch_id
    assert message["message_id"] == message_id(message["entry_id"], "probe", "attempt-1", "email")
    assert (message["status"], message["status_rank"], message["arm"]) == ("planned", 0, "treatment")
    assert message["address_hash"] == lead.email_hash
    # Monday 08:00 to 20:00 in New York
    assert message["window_opens_at"] == datetime(2026, 1, 12, 13, tzinfo=UTC)
    assert message["expires_at"] == datetime(2026, 1, 13, 1, tzinfo=UTC)


def test_planning_twice_plans_the_same_rows(world):
    world.leads([{} for _ in range(5)])
    first = planned(world)
    rows = world.messages()
    assert world.plan(0) == first
    assert world.messages() == rows


def test_an_older_day_is_refused_and_plans_nothing(world):
    world.leads([{} for _ in range(3)])
    planned(world)
    world.plan(2)
    before = world.fingerprint()
    with pytest.raises(RefusedError):
        world.plan(1, check=False)
    assert world.fingerprint() == before


def test_a_holdout_entry_is_planned_and_withheld(new_world):
    world = new_world(holdout={"share": 0.5, "salt": "salt"})
    world.leads([{} for _ in range(20)])
    planned(world)
    statuses = {(row["arm"], row["status"]) for row in world.messages()}
    assert statuses == {("treatment", "planned"), ("holdout", "withheld")}
    assert len(world.messages()) == 20


def test_a_withheld_message_advances_exactly_as_an_accepted_one(new_world):
    world = new_world(holdout={"share": 0.5, "salt": "salt"})
    world.leads([{} for _ in range(10)])
    seen = {"treatment": [], "holdout": []}
    for day in range(13):
        world.tick(day)
        for arm, states in seen.items():
            found = world.query(
                "select distinct stage, due_at, exit_reason, exited_at from rekindle_state.journey_state"
                " where arm = $arm",
                arm=arm,
            )
            states.append(found)
    assert seen["treatment"] == seen["holdout"]
    assert seen["treatment"][-1][0]["exit_reason"] == "archived"
    assert len({len(states) for states in seen["treatment"]}) == 1
    assert world.broken() == {}


def test_caps_defer_a_held_out_lead_as_they_defer_a_treated_one(new_world):
    world = new_world(holdout={"share": 0.5, "salt": "salt"}, caps={"messages": 1, "per_days": 7})
    world.leads([{} for _ in range(10)])
    for day in range(6):
        world.tick(day)
    stages = {
        arm: world.values("select distinct stage from rekindle_state.journey_state where arm = $arm", arm=arm)
        for arm in ("treatment", "holdout")
    }
    assert stages["treatment"] == ["nudge"]
    assert stages["holdout"] == stages["treatment"]


# --- the cap


def write_earlier(world, lead, at, **changes):
    """A message of another campaign, accepted at that instant."""
    world.insert(
        "rekindle_state.messages",
        {
            "message_id": f"earlier {at.isoformat()} {lead.lead_id}",
            "entry_id": "another entry",
            "campaign_id": "another_campaign",
            "lead_id": lead.lead_id,
            "arm": "treatment",
            "step_id": "step",
            "channel": "email",
            "attempt_class": "attempt-1",
            "address_hash": lead.email_hash,
            "status": "accepted",
            "status_rank": 50,
            "batch_id": "batch",
            "template_hash": "hash",
            "time_zones": "America/New_York",
            "window_opens_at": at,
            "planned_at": at,
            "attempting_at": at,
            "claimed_at": at,
            "accepted_at": at,
            "expires_at": at + timedelta(hours=1),
            "run_id": "run",
        }
        | changes,
    )


@pytest.mark.parametrize(("age", "verdict"), [(timedelta(days=7), "sent"), (timedelta(days=7, seconds=-1), "capped")])
def test_the_cap_rolls_over_at_the_second_and_counts_other_campaigns(new_world, age, verdict):
    world = new_world(caps={"messages": 1, "per_days": 7})
    lead = world.lead()
    write_earlier(world, lead, world.at(0) - age)
    planned(world)
    ours = [row for row in world.messages(lead) if row["campaign_id"] == world.campaign.campaign_id]
    assert bool(ours) == (verdict == "sent")
    assert world.decisions(lead) == ([] if verdict == "sent" else ["frequency_cap"])
    if verdict == "capped":
        assert world.state(lead)["due_at"] == world.at(1)
        assert world.state(lead)["stage"] == "probe"


def test_the_cap_counts_from_when_a_message_left_not_from_when_it_was_planned(new_world):
    world = new_world(
        caps={"messages": 1, "per_days": 7},
        steps=[
            {"id": "probe", "email": {"template": "probe.txt.j2", "subject": "Hello"}},
            {"id": "listen", "wait": "1d"},
            {"id": "second", "email": {"template": "probe.txt.j2", "subject": "Hello again"}},
            {"id": "listen_again", "wait": "7d"},
            {"id": "archive", "end": "archived"},
        ],
    )
    lead = world.lead()
    batches = planned(world)
    world.clock.step_to(world.at(0) + timedelta(hours=3))  # the provider was busy: it leaves three hours later
    world.dispatch(batches, world.email, 0)
    for day in range(1, 9):
        world.tick(day)
    instants = sorted(row["attempting_at"] for row in world.messages(lead) if row["attempting_at"])
    assert instants[1] - instants[0] >= timedelta(days=7)
    assert world.broken() == {}


@pytest.mark.parametrize("status", ["planned", "claimed", "attempting", "unknown", "aged_out", "delivered"])
def test_whatever_may_have_been_sent_counts_towards_the_cap(new_world, status):
    world = new_world(caps={"messages": 1, "per_days": 7})
    lead = world.lead()
    write_earlier(world, lead, world.at(-1), status=status)
    planned(world)
    assert world.decisions(lead) == ["frequency_cap"]


@pytest.mark.parametrize("status", ["expired", "failed"])
def test_what_certainly_was_not_sent_does_not_count(new_world, status):
    world = new_world(caps={"messages": 1, "per_days": 7})
    lead = world.lead()
    write_earlier(world, lead, world.at(-1), status=status)
    planned(world)
    assert world.decisions(lead) == []


def test_a_message_to_the_same_address_under_another_lead_counts(new_world):
    world = new_world(caps={"messages": 1, "per_days": 7})
    lead = world.lead()
    write_earlier(world, lead, world.at(-1), lead_id="another lead of the same person")
    planned(world)
    assert world.decisions(lead) == ["frequency_cap"]


# --- the window


@pytest.mark.parametrize(
    ("zone", "local_hour", "second", "judged"),
    [
        ("America/New_York", 8, 0, "planned"),
        ("America/New_York", 7, 3599, "deferred"),
        ("America/New_York", 19, 3599, "planned"),
        ("America/New_York", 20, 0, "deferred"),
        ("Asia/Kathmandu", 8, 0, "planned"),
    ],
)
def test_the_window_opens_and_closes_at_the_second(world, zone, local_hour, second, judged):
    local = datetime(2026, 1, 14, local_hour, tzinfo=ZoneInfo(zone)) + timedelta(seconds=second)
    day = (local.astimezone(UTC) - world.at(0)) / timedelta(days=1)
    assert world.at(day) == local
    lead = world.lead(on=day, time_zone=zone)
    planned(world, day)
    assert bool(world.messages(lead)) == (judged == "planned")
    if judged == "deferred":
        assert world.decisions(lead) == ["outside_send_window"]
        opens = datetime(2026, 1, 14 if local_hour < 8 else 15, 8, tzinfo=ZoneInfo(zone))
        assert world.state(lead)["due_at"] == opens


def test_nothing_is_planned_on_a_sunday(world):
    lead = world.lead(on=6)
    planned(world, 6)
    assert world.messages(lead) == []
    assert world.state(lead)["due_at"] == datetime(2026, 1, 19, 13, tzinfo=UTC)


def test_without_a_profile_zone_every_zone_of_the_number_must_be_open(world):
    # +1 800 is nowhere in particular: from Newfoundland to Hawaii
    lead = world.lead(phone="+18005550100", time_zone=None, country=None)
    planned(world)
    (window,) = world.query("select * from rekindle_state.send_windows")
    assert len(window["time_zones"].split(",")) > 3 if window["time_zones"] else world.messages(lead) == []


def test_without_any_evidence_of_a_zone_the_lead_waits_and_moves_on_when_patience_ends(world):
    lead = world.lead(phone=None, time_zone=None, country=None)
    world.freeze(0)
    patience = PATIENCE_WITH_THE_WINDOW.days
    for day in range(patience):
        world.plan(day)
        assert world.state(lead)["stage"] == "probe"
    assert world.decisions(lead) == ["time_zone_unknown"] * patience
    world.plan(patience)
    world.plan(patience, Channel.SMS)
    assert world.state(lead)["exit_reason"] == "no_reachable_channel"
    assert world.messages(lead) == []


PLAN_OR_NUDGE = [
    {"id": "probe", "email": {"template": "probe.txt.j2", "subject": "Your {{ plan | required }} account"}},
    {"id": "listen", "wait": "1d"},
    {"id": "nudge", "sms": {"template": "nudge.txt.j2", "max_segments": 2}},
    {"id": "listen_again", "wait": "7d"},
    {"id": "archive", "end": "archived"},
]


def stage_at_the_end_of(world, days, lead):
    """The stage at the end of each day."""
    stages = []
    for day in days:
        world.tick(day)
        stages.append(world.state(lead)["stage"])
    return stages


def test_who_lacks_a_required_field_waits_and_moves_on_when_patience_ends(new_world):
    world = new_world(steps=PLAN_OR_NUDGE)
    lead = world.lead(plan=None)
    patience = PATIENCE_WITH_THE_WINDOW.days
    assert stage_at_the_end_of(world, range(patience), lead) == ["probe"] * patience
    # tried once more when patience has ended; that message expires, and then she moves on
    assert stage_at_the_end_of(world, range(patience, patience + 3), lead) == ["probe", "probe", "listen_again"]
    reasons = [reason for reason in world.decisions(lead) if reason != "outside_send_window"]  # a Sunday
    assert set(reasons) == {"configuration"} and len(world.messages(lead)) == 5
    assert world.email.sent == [] and [text.outgoing.lead_id for text in world.sms.sent] == [lead.lead_id]
    assert world.broken() == {}


def test_who_gets_the_field_in_time_is_written_to(new_world):
    world = new_world(steps=PLAN_OR_NUDGE)
    lead = world.lead(plan=None)
    patience = PATIENCE_WITH_THE_WINDOW.days
    assert set(stage_at_the_end_of(world, range(patience - 1), lead)) == {"probe"}
    world.execute("update rekindle_activation.sync_lead_contacts set plan = 'team'")
    assert stage_at_the_end_of(world, [patience - 1, patience], lead) == ["probe", "listen"]
    assert [mail.outgoing.subject for mail in world.email.sent] == ["Your team account"]


def test_who_is_moved_to_a_mended_version_is_written_to_however_long_it_took(new_world):
    world = new_world(steps=PLAN_OR_NUDGE)
    lead = world.lead(plan=None)
    patience = PATIENCE_WITH_THE_WINDOW.days
    assert set(stage_at_the_end_of(world, range(patience + 2), lead)) == {"probe"}
    mended = {"id": "probe", "email": {"template": "probe.txt.j2", "subject": "Your account"}}
    world.campaign = world.campaign_with(steps=[mended, *PLAN_OR_NUDGE[1:]], moves={})
    assert stage_at_the_end_of(world, [patience + 2], lead) == ["listen"]
    assert [mail.outgoing.subject for mail in world.email.sent] == ["Your account"]


def test_whom_a_provider_refused_for_our_fault_is_never_given_up(world, world_module):
    lead = world.lead()
    world.email.answer = lambda item: world_module.refused(item, "sendgrid", "401", 401)
    world.freeze(0)
    for day in range(PATIENCE_WITH_THE_WINDOW.days + 4):
        for batch in world.plan(day):
            try:
                world.dispatch([batch], world.email, day)
            except ConfigurationError as error:
                assert "nothing more was sent" in str(error)
    assert "configuration" in world.decisions(lead) and world.state(lead)["stage"] == "probe"
    assert len({mail.message_id for mail in world.email.sent}) > 2  # planned anew each time one expired


# --- permission and reach


@pytest.mark.parametrize(
    "words",
    [{"email": None}, {"consents": ("sms",)}],
    ids=["no address", "no consent"],
)
def test_who_can_not_be_mailed_is_texted_in_the_same_tick(world, words):
    lead = world.lead(**words)
    world.tick(0)
    assert [row["channel"] for row in world.messages(lead)] == ["sms"]
    assert len(world.sms.sent) == 1


@pytest.mark.parametrize("words", [{"email": None, "phone": None}, {"consents": ()}])
def test_who_can_be_reached_by_nothing_leaves_at_once(world, words):
    lead = world.lead(**words)
    world.tick(0)
    assert world.state(lead)["exit_reason"] == "no_reachable_channel"
    assert world.messages(lead) == []


def test_a_revoked_consent_is_no_consent(world):
    lead = world.lead(phone=None)
    world.consent(lead, "email", action="revoked", occurred_at=world.at(-1))
    planned(world)
    assert world.state(lead)["exit_reason"] is None or world.state(lead)["stage"] == "nudge"
    assert world.messages(lead) == []


def test_a_consent_given_after_the_revocation_counts(world):
    lead = world.lead()
    world.consent(lead, "email", action="revoked", occurred_at=world.at(-2))
    world.consent(lead, "email", action="granted", occurred_at=world.at(-1), source="again")
    planned(world)
    assert len(world.messages(lead)) == 1


def test_consent_to_another_topic_is_no_consent(world):
    lead = world.lead(consents=())
    world.consent(lead, "email", topic="invoices")
    planned(world)
    assert world.messages(lead) == []


@pytest.mark.parametrize(("expires", "exits"), [(0, "consent_expired"), (1 / 86_400, None)])
def test_a_consent_runs_out_at_its_second(world, expires, exits):
    lead = world.lead(consents=())
    world.consent(lead, "email", expires_at=world.at(expires))
    planned(world)
    assert world.state(lead)["exit_reason"] == exits


def test_an_address_that_is_none_ends_the_entry(world):
    lead = world.lead(email="not an address")
    planned(world)
    assert world.state(lead)["exit_reason"] == "invalid_email"


def test_a_number_that_takes_no_text_ends_the_entry(world):
    lead = world.lead(email=None)
    world.freeze(0)
    world.plan(0)
    world.check(0, Channel.SMS, frozenset({lead.phone}))
    world.plan(0, Channel.SMS, check=False)
    assert world.state(lead)["exit_reason"] == "invalid_phone"


def test_a_check_that_could_not_be_made_blames_nobody(world):
    lead = world.lead()
    world.freeze(0)
    world.plan(0, check=False)
    assert world.decisions(lead) == ["provider_busy"]
    assert world.state(lead)["exit_reason"] is None


@pytest.mark.parametrize("reason", ["unsubscribed", "complained", "provider_optout"])
@pytest.mark.parametrize("said_on", ["email", "phone"])
def test_a_stop_said_on_one_address_stops_the_other(world, reason, said_on):
    lead = world.lead()
    hashed = lead.email_hash if said_on == "email" else lead.phone_hash
    world.suppress(hashed, "email" if said_on == "email" else "sms", reason)
    planned(world)
    assert world.state(lead)["exit_reason"] == "suppressed"
    assert world.messages(lead) == []


def test_a_dead_mailbox_does_not_stop_the_number(world):
    lead = world.lead()
    world.freeze(0)
    world.execute("update rekindle_state.journey_state set stage = 'nudge'")
    world.execute("update rekindle_state.journey_transitions set to_stage = 'nudge'")
    world.suppress(lead.email_hash, "email", "hard_bounced")
    world.plan(0, Channel.SMS)
    assert [row["channel"] for row in world.messages(lead)] == ["sms"]


def test_a_lifted_suppression_suppresses_nobody(world):
    lead = world.lead()
    world.suppress(lead.email_hash)
    world.execute("update rekindle_state.suppressions set lifted_at = suppressed_at")
    planned(world)
    assert len(world.messages(lead)) == 1


def test_a_number_shared_by_two_leads_of_different_countries_is_one_message_each(world):
    shared = {"phone": "+14155550100", "email": None, "time_zone": None}
    world.leads([shared | {"country": "US"}, shared | {"country": "CA"}, shared | {"country": None}])
    world.freeze(0)
    world.plan(0)
    world.plan(0, Channel.SMS)
    ids = world.values("select message_id from rekindle_state.messages")
    assert len(ids) == len(set(ids))


def test_a_lead_whose_contact_row_is_gone_does_not_wait_for_ever(world):
    lead = world.lead()
    world.freeze(0)
    world.execute("delete from rekindle_activation.sync_lead_contacts")
    for day in range(12):
        world.tick(day)
    assert world.state(lead)["exit_reason"] is not None


def test_every_decision_names_a_word_of_the_vocabulary(world):
    world.leads([{"time_zone": None, "phone": None}, {"consents": ("sms",)}, {"email": None}, {}])
    for day in range(3):
        world.tick(day)
    assert set(world.decisions()) <= {str(reason) for reason in DecisionReason}


def test_a_message_step_that_is_followed_by_the_end_ends(new_world):
    world = new_world(
        steps=[
            {"id": "probe", "email": {"template": "probe.txt.j2", "subject": "Hello"}},
            {"id": "archive", "end": "archived"},
        ]
    )
    lead = world.lead()
    world.tick(0)
    world.tick(1)
    assert world.state(lead)["exit_reason"] == "archived"


def test_batches_hold_no_more_than_their_size(world, monkeypatch):
    monkeypatch.setitem(BATCH_SIZE, Channel.EMAIL, 4)
    world.leads([{} for _ in range(10)])
    assert sorted(batch.message_count for batch in planned(world)) == [2, 4, 4]


def test_who_can_not_be_mailed_comes_past_every_mail_to_the_text_in_one_tick(world):
    lead = world.lead(email=None)
    world.campaign = world.campaign_with(
        "mails_then_text",
        steps=[
            {"id": "probe", "email": {"template": "probe.txt.j2", "subject": "Hello"}},
            {"id": "reminder", "email": {"template": "probe.txt.j2", "subject": "Hello again"}},
            {"id": "nudge", "sms": {"template": "nudge.txt.j2"}},
            {"id": "archive", "end": "archived"},
        ],
    )
    world.freeze(0)
    world.advance(0)
    world.plan(0, Channel.EMAIL)
    world.plan(0, Channel.SMS)
    assert [message["step_id"] for message in world.messages(lead)] == ["nudge"]
