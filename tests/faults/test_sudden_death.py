"""A dispatcher killed with SIGKILL anywhere: nothing is sent twice, nothing is lost, the ledger tells what happened.

`REKINDLE_FAULT_ROUNDS` sets how many random kills are added for each channel (6 by default).
"""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

ROUNDS = int(os.environ.get("REKINDLE_FAULT_ROUNDS", "6"))


@pytest.mark.parametrize("channel", ["email", "sms"])
def test_a_death_at_every_boundary_duplicates_and_loses_nothing(battlefield, channel, every_boundary, monkeypatch):
    batches = battlefield.plan(4 * len(every_boundary), channel, 4, monkeypatch)
    for batch_id, die_at in zip(batches, every_boundary, strict=False):
        battlefield.dispatch(batch_id, die_at=die_at)
    assert battlefield.deaths["killed"] >= 0.6 * len(every_boundary)  # a batch with few treated has fewer chunks
    battlefield.resume()
    battlefield.settle()
    battlefield.verdict()
    assert len(battlefield.accepted()) > len(battlefield.world.messages()) / 2


@pytest.mark.parametrize("channel", ["email", "sms"])
def test_deaths_at_random_moments_duplicate_and_lose_nothing(battlefield, channel, monkeypatch):
    dice = random.Random(f"{channel} {ROUNDS}")
    battlefield.chunk_size = 1
    batches = battlefield.plan(6 * ROUNDS, channel, 6, monkeypatch)
    for batch_id in batches:
        battlefield.kill_later(batch_id, dice.uniform(0.0, 0.4))
    assert battlefield.deaths["killed"] >= len(batches) / 3
    battlefield.resume()
    battlefield.settle()
    battlefield.verdict()


def test_death_again_and_again_on_one_batch_still_sends_each_message_once(battlefield, every_boundary, monkeypatch):
    (batch_id,) = battlefield.plan(24, "email", 100, monkeypatch)
    for die_at in (
        "before commit 1",
        "after commit 1",
        "before commit 2",
        "after commit 2",
        "after call 1",
        "before call 2",
        "after commit 3",
        "before commit 5",
    ):
        battlefield.dispatch(batch_id, die_at=die_at)
        battlefield.lease_ends()
    battlefield.resume()
    battlefield.settle()
    battlefield.verdict()
    assert battlefield.deaths["killed"] == 8


@pytest.mark.parametrize("channel", ["email", "sms"])
@pytest.mark.parametrize("fault", ["timeout_after", "slow"])
def test_death_during_the_call_is_settled_by_proof(battlefield, channel, fault, monkeypatch):
    """Killed while the provider has the request: accepted before the death, or even after it."""
    (batch_id,) = battlefield.plan(3, channel, 100, monkeypatch)
    battlefield.faults({"kind": fault, "seconds": 1.0, "count": 1})
    pid = battlefield.start(batch_id)
    if fault == "timeout_after":
        battlefield.until_accepted(1)
    else:
        battlefield.until_attempting()
    os.kill(pid, signal.SIGKILL)
    assert battlefield.wait(pid) == -signal.SIGKILL
    time.sleep(1.2)  # the provider works on, whoever is dead
    battlefield.resume()
    battlefield.settle()
    battlefield.verdict()


def test_an_opt_out_heard_between_the_death_and_the_resumption_is_kept(battlefield, monkeypatch):
    (batch_id,) = battlefield.plan(12, "email", 100, monkeypatch)
    battlefield.dispatch(batch_id, die_at="before call 2")
    world = battlefield.world
    sent = {message["message_id"] for message in battlefield.accepted()}
    unsent = [row for row in world.messages() if row["status"] == "claimed"]
    for row in unsent[:2]:
        world.suppress(row["address_hash"], "email", "unsubscribed")
    (active,) = (lead for lead in battlefield.leads if lead.lead_id == unsent[2]["lead_id"])
    world.sign_of_life(active, world.at(0.005))
    world.advance(0.01)
    battlefield.resume()
    later = {message["message_id"] for message in battlefield.accepted()} - sent
    assert later
    assert not later & {row["message_id"] for row in unsent[:3]}
    battlefield.settle()
    battlefield.verdict()


@pytest.mark.parametrize("channel", ["email", "sms"])
def test_two_attempts_at_once_on_one_batch_share_nothing(battlefield, channel, monkeypatch):
    battlefield.chunk_size = 5
    (batch_id,) = battlefield.plan(30, channel, 100, monkeypatch)
    pids = [battlefield.start(batch_id, run_id=f"run {number}") for number in range(3)]
    for pid in pids:
        assert battlefield.wait(pid) == 0
    battlefield.resume()
    battlefield.settle()
    battlefield.verdict()


@pytest.mark.parametrize("channel", ["email", "sms"])
def test_a_zombie_that_wakes_after_its_lease_sends_nothing_that_another_took_over(battlefield, channel, monkeypatch):
    battlefield.chunk_size = 1
    (batch_id,) = battlefield.plan(8, channel, 100, monkeypatch)
    battlefield.faults({"kind": "timeout_after", "seconds": 1.0, "count": 1, "skip": 1})
    pid = battlefield.start(batch_id)
    battlefield.until_accepted(2)
    os.kill(pid, signal.SIGSTOP)  # it hangs between its second call and the record
    battlefield.lease_ends()
    for open_batch in battlefield.open_batches():
        battlefield.dispatch(open_batch)
    os.kill(pid, signal.SIGCONT)
    battlefield.wait(pid)
    battlefield.resume()
    battlefield.settle()
    battlefield.verdict()
