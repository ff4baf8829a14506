"""What nobody told: stale claims, dead attempts, outcomes that are not proved."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rekindle.channels.twilio import ListedMessage
from rekindle.dispatch.batch import LEASE
from rekindle.identity import address_hash
from rekindle.reconcile.ledger import AGE_OUT_AFTER
from rekindle.vocabulary import Channel


class WorkerDies(BaseException):
    """The process is gone: nothing after this is recorded."""


def die_during_the_call(world, channel="email"):
    """A lead whose message stands at `attempting` because its worker died."""
    lead = world.lead(**({} if channel == "email" else {"email": None}))
    world.freeze(0)
    batches = world.plan(0)
    if channel == "sms":
        batches = world.plan(0, Channel.SMS)
    sender = world.email if channel == "email" else world.sms

    def answer(item):
        raise WorkerDies

    sender.answer = answer
    with pytest.raises(WorkerDies):
        world.dispatch(batches, sender, 0)
    sender.answer = None
    assert world.message(lead)["status"] == "attempting"
    return lead


@pytest.mark.parametrize(("after", "status"), [(LEASE - timedelta(seconds=1), "attempting"), (LEASE, "unknown")])
def test_a_dead_attempt_becomes_unknown_when_its_lease_is_over(world, after, status):
    lead = die_during_the_call(world)
    world.clock.step_to(world.at(0) + after)
    world.reconcile(0)
    assert world.message(lead)["status"] == status


def test_an_unknown_is_never_sent_again_and_ages_out_after_72_hours(world):
    lead = die_during_the_call(world)
    world.email.sent.clear()
    for day in (0.1, 1, 2, 2.999):
        world.tick(day)
        assert world.message(lead)["status"] == "unknown"
        assert world.state(lead)["stage"] == "probe"
    world.tick(3)
    message, text = world.messages(lead)
    assert (message["status"], message["status_rank"], message["settled_at"]) == ("aged_out", 40, world.at(3))
    assert world.at(3) - message["attempting_at"] == AGE_OUT_AFTER
    assert world.email.sent == []
    assert text["channel"] == "sms"  # the wait counted from the attempt: it is over
    assert world.broken() == {}


@pytest.mark.parametrize(("after", "status"), [(LEASE - timedelta(seconds=1), "claimed"), (LEASE, "planned")])
def test_a_stale_claim_is_released_when_its_lease_is_over(world, after, status):
    lead = world.lead()
    world.freeze(0)
    world.plan(0)
    world.execute(
        "update rekindle_state.messages set status = 'claimed', status_rank = 10, attempt_id = 'dead',"
        " claimed_at = $now, lease_expires_at = $lease",
        now=world.at(0),
        lease=world.at(0) + LEASE,
    )
    world.clock.step_to(world.at(0) + after)
    world.reconcile(0)
    message = world.message(lead)
    assert message["status"] == status
    assert (message["attempt_id"] is None) == (status == "planned")


def listed(body_hash, sid="SM" + "1" * 32, to="+14155550001"):
    return ListedMessage(sid, address_hash(to), body_hash, "delivered", None)


def test_an_unknown_text_that_the_provider_lists_is_adopted(world):
    lead = die_during_the_call(world, "sms")
    asked = []

    def find(number, since):
        asked.append((number, since))
        return [listed("another body", "SM" + "2" * 32), listed(world.message(lead)["body_hash"])]

    world.find_texts = find
    world.now(1)
    assert world.reconcile(1)["found"] == 1
    message = world.message(lead)
    assert (message["status"], message["provider_message_id"]) == ("accepted", "SM" + "1" * 32)
    assert message["accepted_at"] == world.at(0)
    assert asked == [(lead.phone, world.at(-1))]


def test_a_list_without_this_very_body_proves_nothing(world):
    lead = die_during_the_call(world, "sms")
    world.find_texts = lambda number, since: [listed("another body")]
    world.now(1)
    assert world.reconcile(1)["found"] == 0
    assert world.message(lead)["status"] == "unknown"


def test_a_list_that_can_not_be_read_leaves_everything_as_it_is(world):
    lead = die_during_the_call(world, "sms")

    def find(number, since):
        raise OSError("no answer")

    world.find_texts = find
    world.now(1)
    with pytest.raises(OSError, match="no answer"):
        world.reconcile(1)
    assert world.message(lead)["status"] == "unknown"


def test_a_list_that_can_not_be_read_for_long_does_not_stop_the_ageing(world):
    lead = die_during_the_call(world)
    other = world.lead(email=None, on=0)

    def find(number, since):
        raise OSError("no answer")

    world.find_texts = find
    world.execute(
        "insert into rekindle_state.messages select * replace ('a text' as message_id, 'sms' as channel,"
        " $phone as address_hash, $lead as lead_id, 'unknown' as status) from rekindle_state.messages",
        phone=other.phone_hash,
        lead=other.lead_id,
    )
    world.now(4)
    with pytest.raises(OSError, match="no answer"):
        world.reconcile(4)
    assert world.message(lead)["status"] == "aged_out"


def test_reconciling_twice_changes_nothing_the_second_time(world):
    die_during_the_call(world)
    world.now(4)
    world.reconcile(4)
    before = world.fingerprint()
    world.reconcile(4)
    assert world.fingerprint() == before
