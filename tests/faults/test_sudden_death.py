"""A dispatcher killed with SIGKILL anywhere: nothing is sent twice, nothing is lost, the ledger tells what happened."""

from __future__ import annotations

import os
import signal
from datetime import timedelta

import pytest

from rekindle.chaos.attempt import WAREHOUSE_FAILED
from rekindle.chaos.ground import SENDING
from rekindle.chaos.jobs import Deed, Fate
from rekindle.chaos.places import BOUNDARIES, FREE_OF_THE_WAREHOUSE, Place
from rekindle.vocabulary import Channel


def test_death_again_and_again_on_one_batch_still_sends_each_message_once(ground, verdict):
    ground.populate(32)
    batch_id, spare, *_ = ground.plan(Channel.EMAIL, 20)
    places = [place for place in BOUNDARIES if place not in (Place.DURING_CALL, Place.ACCEPTED)]
    for place in places:
        # Whoever dies around the last record has sent all there was.
        chosen = spare if place is Place.AFTER_RECORD else batch_id
        ground.dispatch(chosen, channel=Channel.EMAIL, fate=Fate(deed=Deed.KILL, place=place))
        ground.lease_ends()
    assert ground.counts.killed == len(places)
    verdict(ground)


@pytest.mark.parametrize("channel", list(Channel))
def test_a_zombie_that_wakes_anywhere_sends_nothing_that_another_took_over(ground, verdict, channel):
    """It wakes after its lease, and to a clock that says that the lease never ended."""
    ground.populate(10 * len(FREE_OF_THE_WAREHOUSE), [channel])
    if channel is Channel.SMS:
        ground.plan(Channel.EMAIL, 100)
    batches = ground.plan(channel, 8)
    taken_over = 0
    for batch_id, place in zip(batches, FREE_OF_THE_WAREHOUSE, strict=False):
        zombie = ground.start(batch_id, channel=channel, fate=Fate(deed=Deed.FREEZE, place=place))
        assert ground.freezes(zombie)
        ground.lease_ends()
        before = len(ground.accepted())
        ground.dispatch(batch_id, channel=channel)
        taken_over += len(ground.accepted()) - before
        ground.set_clock_back(timedelta(minutes=20))
        os.kill(zombie.pid, signal.SIGCONT)
        assert ground.wait(zombie) == 0
    assert taken_over > len(FREE_OF_THE_WAREHOUSE)
    verdict(ground)


@pytest.mark.parametrize("channel", list(Channel))
def test_attempts_at_once_on_one_batch_share_nothing(ground, verdict, channel):
    ground.populate(30, [channel])
    if channel is Channel.SMS:
        ground.plan(Channel.EMAIL, 100)
    (batch_id,) = ground.plan(channel, 100)
    for attempt in [ground.start(batch_id, channel=channel) for _ in range(3)]:
        assert ground.wait(attempt) == 0
    sent = len(ground.accepted())
    assert sent == sum(row["status"] == "accepted" for row in ground.ledger()) > 20
    verdict(ground)


def test_a_warehouse_that_fails_between_call_and_record_leaves_the_truth_unknown(ground, verdict):
    """No byte can be written any more, and: somebody else holds the file for longer than the attempt waits."""
    ground.populate(12)
    full, locked, *_ = ground.plan(Channel.EMAIL, 4)
    fill = Fate(deed=Deed.FILL_DISK, place=Place.AFTER_CALL)
    assert ground.dispatch(full, channel=Channel.EMAIL, fate=fill) == WAREHOUSE_FAILED
    freeze = Fate(deed=Deed.FREEZE, place=Place.AFTER_CALL)
    attempt = ground.start(locked, channel=Channel.EMAIL, fate=freeze, patience=0.2)
    assert ground.freezes(attempt)
    let_go = ground.hold_warehouse()
    os.kill(attempt.pid, signal.SIGCONT)
    assert ground.wait(attempt) == WAREHOUSE_FAILED
    let_go()
    struck = {message.message_id for message in ground.accepted()}
    assert struck and {row["status"] for row in ground.ledger() if row["message_id"] in struck} == {"attempting"}
    ground.lease_ends()
    assert {row["status"] for row in ground.ledger() if row["message_id"] in struck} == {"unknown"}
    verdict(ground)
    assert {row["status"] for row in ground.ledger() if row["message_id"] in struck} <= {"delivered", "undelivered"}


def test_an_opt_out_heard_between_the_death_and_the_resumption_is_kept(ground, verdict):
    ground.populate(12)
    (batch_id,) = ground.plan(Channel.EMAIL, 100)
    ground.dispatch(batch_id, channel=Channel.EMAIL, fate=Fate(deed=Deed.KILL, place=Place.BEFORE_CALL, nth=2))
    sent = {message.message_id for message in ground.accepted()}
    gone, back, *others = [row for row in ground.ledger() if row["status"] == "claimed"]
    ground.opts_out(gone)
    ground.comes_back(back)
    verdict(ground)
    later = {message.message_id for message in ground.accepted()} - sent
    assert later == {row["message_id"] for row in others}


def test_a_window_that_closes_on_a_frozen_attempt_stays_closed(ground, verdict):
    ground.populate(8)
    (batch_id,) = ground.plan(Channel.EMAIL, 100)
    frozen = ground.start(batch_id, channel=Channel.EMAIL, fate=Fate(deed=Deed.FREEZE, place=Place.AFTER_CLAIM))
    assert ground.freezes(frozen)
    ground.clock.step_to(ground.clock.now() + timedelta(hours=13))
    os.kill(frozen.pid, signal.SIGCONT)
    assert ground.wait(frozen) == 0
    assert ground.accepted() == []
    verdict(ground)
    assert {row["status"] for row in ground.ledger()} == {"expired", "withheld"}


def test_a_request_that_outlives_its_sender_is_proved_by_the_webhook(ground, verdict):
    """Accepted only after the process that asked for it was dead."""
    ground.populate(6)
    (batch_id,) = ground.plan(Channel.EMAIL, 100)
    ground.chunk_size = 100
    ground.faults({"kind": "timeout_after", "endpoint": SENDING[Channel.EMAIL], "seconds": 2.0})
    attempt = ground.start(batch_id, channel=Channel.EMAIL)
    while not ground.record_size():
        pass
    os.kill(attempt.pid, signal.SIGKILL)
    ground.wait(attempt, accepted_since=0)
    assert ground.counts.kills == {(Channel.EMAIL, Place.ACCEPTED): 1}
    verdict(ground)
    assert len(ground.accepted()) == sum(row["arm"] == "treatment" for row in ground.ledger())
