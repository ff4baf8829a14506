"""The harness itself is attacked: dispatchers with one known mistake each must be caught, and one without must pass."""

from __future__ import annotations

import os
import signal

import pytest

from rekindle.chaos.checker import check
from rekindle.chaos.ground import SENDING, ChaosError
from rekindle.chaos.jobs import Deed, Fate
from rekindle.chaos.places import Place
from rekindle.vocabulary import Channel


def suffer(ground):
    """An answer lost after acceptance, a death between call and record, and a zombie; then everybody else resumes."""
    ground.populate(16)
    lost_answer, death, zombie, *_ = ground.plan(Channel.EMAIL, 4)
    ground.faults({"kind": "reset_after", "endpoint": SENDING[Channel.EMAIL], "count": 1})
    ground.dispatch(lost_answer, channel=Channel.EMAIL)
    ground.dispatch(death, channel=Channel.EMAIL, fate=Fate(deed=Deed.KILL, place=Place.AFTER_CALL))
    frozen = ground.start(zombie, channel=Channel.EMAIL, fate=Fate(deed=Deed.FREEZE, place=Place.AFTER_CLAIM))
    assert ground.freezes(frozen)
    ground.lease_ends()
    ground.dispatch(zombie, channel=Channel.EMAIL)
    os.kill(frozen.pid, signal.SIGCONT)
    ground.wait(frozen)
    ground.resume()
    ground.settle()
    assert ground.counts.killed == 1
    evidence = ground.evidence()
    batches = {row["message_id"]: row["batch_id"] for row in evidence.ledger}
    names = {lost_answer: "lost answer", death: "death", zombie: "zombie"}
    findings = check(evidence)
    return findings, {names[batches[one]] for one in findings.duplicates}


@pytest.mark.parametrize("dispatcher", ["naive:right", "rekindle.dispatch.batch:dispatch_batch"])
def test_the_right_order_of_things_passes(new_ground, dispatcher):
    findings, duplicated = suffer(new_ground(dispatcher=dispatcher))
    assert findings.hold, findings
    assert duplicated == set()


@pytest.mark.parametrize(
    ("mistake", "duplicated_by"),
    [("resends_unknowns", "lost answer"), ("attempting_after_call", "death"), ("ignores_lease", "zombie")],
)
def test_a_dispatcher_with_a_mistake_is_caught_where_it_makes_it(new_ground, mistake, duplicated_by):
    findings, duplicated = suffer(new_ground(dispatcher=f"naive:{mistake}"))
    assert not findings.hold
    assert duplicated_by in duplicated


def never() -> bool:
    return False


def test_what_a_dispatcher_died_of_is_told_at_once(new_ground):
    ground = new_ground(dispatcher="naive:breaks")
    ground.populate(2)
    attempt = ground.start(*ground.plan(Channel.EMAIL, 4), channel=Channel.EMAIL)
    assert ground.watch(attempt, never, "it never came") is False
    with pytest.raises(ChaosError, match=r"(?s)ended with 1.*this dispatcher is broken"):
        ground.wait(attempt)


def test_where_a_dispatcher_hangs_is_told(new_ground, monkeypatch):
    monkeypatch.setattr("rekindle.chaos.ground.DEADLINE", 0.5)
    ground = new_ground(dispatcher="naive:hangs")
    ground.populate(2)
    attempt = ground.start(*ground.plan(Channel.EMAIL, 4), channel=Channel.EMAIL)
    with pytest.raises(ChaosError, match=r"(?s)it never came.*naive\.py.*in hangs"):
        ground.watch(attempt, never, "it never came")
    os.kill(attempt.pid, signal.SIGKILL)
    ground.wait(attempt)
