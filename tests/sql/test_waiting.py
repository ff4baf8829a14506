"""A provider that asks to wait is waited for: neither the message nor a new one for the same step goes out before."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rekindle.channels.provider_errors import Provider, ProviderErrors
from rekindle.dispatch.batch import RETRY_REFUSED_AFTER

HOUR = 1 / 24
A_MINUTE = 1 / 1440


@pytest.fixture
def refused(world):
    """Two leads; the provider took the first message and asked to wait with the second, as long as told."""

    def refuse(seconds, code="429", http_status=429):
        leads = world.leads([{}, {}])
        world.freeze(0)
        batches = world.plan(0)
        error = ProviderErrors.load().for_api(Provider.SENDGRID, code, http_status)
        answered = []

        def answer(item):
            answered.append(item.message_id)
            return None if len(answered) == 1 else error.outcome(item.message_id, "as told", seconds)

        world.email.answer = answer
        world.dispatch(batches, world.email, 0)
        world.email.answer = None
        world.email.sent.clear()
        waiting = next(lead for lead in leads if world.message(lead)["message_id"] == answered[1])
        return waiting, answered[1]

    return refuse


def sent(world):
    return [item.message_id for item in world.email.sent]


@pytest.mark.parametrize(("after", "is_sent"), [(timedelta(seconds=-1), False), (timedelta(0), True)])
@pytest.mark.parametrize("asked", [None, 3_600.0])
def test_a_refused_message_is_tried_again_from_the_second_the_provider_named(world, refused, asked, after, is_sent):
    lead, message_id = refused(asked)
    delay = timedelta(seconds=asked) if asked else RETRY_REFUSED_AFTER
    world.clock.step_to(world.at(0) + delay + after)
    day = (world.clock.now() - world.at(0)) / timedelta(days=1)
    batches = world.plan(day)
    assert [batch.message_count for batch in batches] == ([1] if is_sent else [])
    world.dispatch(batches, world.email, day)
    assert sent(world) == ([message_id] if is_sent else [])
    assert world.message(lead)["status"] == ("accepted" if is_sent else "planned")


def test_a_batch_that_is_sent_for_others_sake_leaves_the_waiting_message_behind(world, refused):
    lead, message_id = refused(3_600.0)
    world.execute("update rekindle_state.messages set status = 'planned', status_rank = 0 where status = 'attempting'")
    batches = world.plan(A_MINUTE)
    assert [batch.message_count for batch in batches] == [1]
    world.dispatch(batches, world.email, A_MINUTE)
    assert len(sent(world)) == 1 and message_id not in sent(world)
    assert world.message(lead)["status"] == "planned"


def test_a_message_that_expires_while_the_provider_is_waited_for_is_not_planned_anew_before(world, refused):
    lead, message_id = refused(2 * 86_400.0)
    world.now(1)
    world.execute("update rekindle_state.messages set status = 'expired' where message_id = $id", id=message_id)
    world.plan(1)
    world.now(2 - A_MINUTE)
    world.plan(2 - A_MINUTE)
    assert [row["message_id"] for row in world.messages(lead)] == [message_id]
    world.tick(2)
    first, second = world.messages(lead)
    assert (first["status"], second["attempt_class"], second["status"]) == ("expired", "attempt-2", "accepted")
    assert world.broken() == {}


def test_a_message_past_its_time_expires_when_the_wait_is_over_and_a_new_one_leaves_the_same_day(world, refused):
    lead, _ = refused(1.5 * 86_400)
    for day in (0.5, 1, 1.5):
        world.tick(day)
    # the first is looked at again, found late, and gives way
    world.tick(2)
    world.tick(2 + HOUR)
    assert [(row["attempt_class"], row["status"]) for row in world.messages(lead)] == [
        ("attempt-1", "expired"),
        ("attempt-2", "accepted"),
    ]


def test_our_own_mistake_is_tried_again_as_soon_as_it_is_mended(world, world_module):
    lead = world.lead()
    world.freeze(0)
    batches = world.plan(0)
    world.email.answer = lambda item: world_module.refused(item, "sendgrid", "401", 401)
    with pytest.raises(Exception, match="401"):
        world.dispatch(batches, world.email, 0)
    world.email.answer = None
    world.dispatch(world.plan(0), world.email, 0)
    assert world.message(lead)["status"] == "accepted"


@pytest.mark.parametrize("reason", ["breaker_open", "daily_allowance"])
def test_a_held_account_is_waited_for_too(world, reason):
    lead = world.lead()
    world.freeze(0)
    world.plan(0)
    message = world.message(lead)
    place = {name: message[name] for name in ("entry_id", "message_id", "campaign_id", "lead_id", "step_id", "channel")}
    held = {"reason": reason, "decided_at": world.at(0), "next_due_at": world.at(HOUR), "run_id": "test"}
    world.insert("rekindle_state.decisions", place | held)
    assert world.plan(HOUR / 2) == []
    world.now(HOUR)
    world.dispatch(world.plan(HOUR), world.email, HOUR)
    assert sent(world) == [message["message_id"]]


def test_an_address_she_entered_with_and_said_stop_on_stops_the_new_one(world):
    # the claim knows it; a planner that did not would plan a message a day for the claim to drop
    lead = world.lead()
    world.freeze(0)
    world.suppress(lead.phone_hash, "sms")
    world.execute("update rekindle_activation.sync_lead_contacts set phone = '+14155559999', phone_hash = 'another'")
    world.plan(0)
    assert world.messages(lead) == []
    assert world.state(lead)["exit_reason"] == "suppressed"


def test_a_new_address_that_said_stop_between_planning_and_claiming_stops_the_message(world):
    lead = world.lead()
    world.freeze(0)
    batches = world.plan(0)
    world.execute("update rekindle_activation.sync_lead_contacts set phone = '+14155559999', phone_hash = 'another'")
    world.suppress("another", "sms")
    world.dispatch(batches, world.email, 0)
    assert sent(world) == []
    assert world.decisions(lead) == ["suppressed"]
