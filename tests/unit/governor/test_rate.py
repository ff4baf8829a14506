from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rekindle.governor import rate
from rekindle.governor.allowance import Allowance
from rekindle.governor.breaker import BreakerLimits, Cause, Phase, Receipts
from rekindle.governor.rate import HEADROOM, Governor, HeldError, ProviderRate, RateUnavailableError
from rekindle.governor.stores import InMemoryStore, StoreUnavailableError
from rekindle.vocabulary import DecisionReason, ErrorClass

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ACCEPTED, REFUSED_US, THROTTLED = (None, None), (ErrorClass.CONFIGURATION, "401"), (ErrorClass.TRANSIENT, "429")


@pytest.fixture
def make(new_store, new_clock):
    """Build governors of one account, on one store of each kind; its clock passes only by waiting."""

    def build(units: int, per_seconds: float = 1.0, patience: float = 300.0, clock=None, account="an/account", **more):
        clock = clock or new_clock()
        more.setdefault("jitter", lambda: 0.0)
        governor = Governor(
            account,
            ProviderRate(units, per_seconds, more.pop("block", 0)),
            new_store(),
            patience_seconds=patience,
            clock=clock,
            wait=clock.wait,
            **more,
        )
        return governor, clock

    return build


# --- the rate


def test_a_block_leaves_at_once_and_the_next_waits_for_its_turn(make):
    governor, clock = make(100)
    assert (governor.rate.block, governor.rate.burst) == (2, 10)
    governor.acquire(1)
    governor.acquire(8)
    assert clock.passed == 0  # a block, and what a late worker may catch up
    governor.acquire(5)
    assert 0.05 <= clock.passed <= 0.07


def test_units_are_what_counts_not_calls(make):
    governor, clock = make(100)
    for units in (1, 3, 2, 4):
        governor.acquire(units)
    assert clock.passed <= 0.06
    governor.acquire(90)
    assert 0.9 <= clock.passed <= 0.97


def test_more_than_a_block_is_taken_block_by_block(make):
    governor, clock = make(1, per_seconds=4.0)
    governor.acquire(4)
    assert 8.0 <= clock.passed <= 12.2


def test_a_request_that_carries_many_leaves_whole_and_is_paid_for_afterwards(make):
    governor, clock = make(2_000, block=1_000)
    governor.acquire(1_000)
    assert clock.passed == 0
    for _ in range(10):
        governor.acquire(1_000)
    assert 4.9 <= clock.passed <= 5.1
    assert make(10, block=1_000)[0].rate.block == 10  # never more than the limit itself


def test_a_late_worker_loses_nothing(make):
    governor, clock = make(10)
    for _ in range(200):
        governor.acquire(1)
        clock.instant += timedelta(seconds=0.03)  # woke late, or was busy with the call
    assert 200 / clock.passed == pytest.approx(10 / HEADROOM, rel=0.01)


def test_a_rest_is_not_made_up_for(make):
    governor, clock = make(100)
    governor.acquire(100)
    clock.instant += timedelta(hours=1)
    rested = clock.passed
    governor.acquire(110)
    assert clock.passed - rested >= 1.0


@settings(max_examples=60, deadline=None)
@given(
    limit=st.integers(1, 60),
    per_seconds=st.sampled_from([0.5, 1.0, 7.0]),
    asked=st.lists(
        st.tuples(st.lists(st.integers(1, 3), min_size=1, max_size=20), st.floats(0, 2)), min_size=1, max_size=40
    ),
)
def test_no_window_holds_more_than_the_rate_and_the_burst(limit, per_seconds, asked):
    clock = Ticking()
    rate = ProviderRate(limit, per_seconds)
    governor = Governor.in_memory(rate, clock=clock, wait=clock.wait, jitter=lambda: 0.5, patience_seconds=1e6)
    granted: list[float] = []
    for costs, idle in asked:
        clock.instant += timedelta(seconds=idle)
        while costs:
            count = governor.acquire_some(costs)
            assert 1 <= count <= len(costs)
            assert sum(costs[:count]) <= max(rate.block, costs[0])
            granted += [clock.instant.timestamp()] * sum(costs[:count])
            costs = costs[count:]
    most = limit + rate.burst + 3 - 1  # one message may weigh more than a block
    assert all(later - earlier >= per_seconds - 1e-6 for earlier, later in zip(granted, granted[most:], strict=False))


class Ticking:
    """As the fixture's clock, which a property can not have."""

    def __init__(self) -> None:
        self.instant = START

    def now(self) -> datetime:
        return self.instant

    def wait(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


def test_some_of_many_leave_in_small_blocks(make):
    governor, clock = make(100)
    assert governor.acquire_some([1] * 100) == 2
    assert governor.acquire_some([2] * 100) == 1
    assert governor.acquire_some([9, 1]) == 1  # a message is sent whole
    assert governor.acquire_some([1]) == 1
    assert clock.passed <= 0.2


@pytest.mark.parametrize("costs", [[], [0], [1, 0]])
def test_nothing_can_not_be_acquired(make, costs):
    governor, _ = make(1)
    with pytest.raises(ValueError, match="nothing to acquire"):
        governor.acquire_some(costs)
    with pytest.raises(ValueError, match="nothing to acquire"):
        governor.acquire(0)


@pytest.mark.parametrize("wrong", [(0, 1.0), (1, 0.0), (1, 1.0, -1)])
def test_a_rate_of_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match=r"at least"):
        ProviderRate(*wrong)


# --- patience and pauses


def test_nothing_is_taken_when_the_deadline_would_pass(make):
    governor, clock = make(1, per_seconds=60.0)
    governor.acquire(4)
    before = clock.passed
    with pytest.raises(RateUnavailableError, match="after the deadline"):
        governor.acquire(1, deadline=clock.now() + timedelta(seconds=30))
    assert clock.passed == before  # known at once, not waited for
    governor.acquire(1, deadline=clock.now() + timedelta(seconds=90))
    assert clock.passed >= before + 60.0


def test_patience_is_a_deadline_too(make):
    governor, _ = make(1, per_seconds=60.0, patience=10.0)
    with pytest.raises(RateUnavailableError):
        governor.acquire(4)


def test_a_pause_holds_everybody_and_is_never_shortened(make):
    governor, clock = make(1_000, jitter=lambda: 1.0)
    other, _ = make(1_000, clock=clock, jitter=lambda: 1.0)
    governor.pause_until(30)
    governor.pause_until(5)
    governor.pause_until(0)
    other.acquire(1)
    assert 30.0 <= clock.passed <= 31.1  # spread over no more than a second
    governor.acquire(1)
    assert clock.passed <= 31.2


def test_a_pause_beyond_the_deadline_is_said_at_once(make):
    governor, clock = make(1_000, patience=60.0)
    governor.pause_until(3_600)
    with pytest.raises(RateUnavailableError):
        governor.acquire(1)
    assert clock.passed == 0


def test_waiters_do_not_come_back_at_the_same_moment(new_clock):
    def wait_of(jitter: Callable[[], float]) -> float:
        clock = new_clock()
        governor = Governor.in_memory(ProviderRate(1), clock=clock, wait=clock.wait, jitter=jitter)
        governor.acquire(3)
        return clock.passed

    waits = [wait_of(lambda value=value: value) for value in (0.0, 0.5, 1.0)]
    assert all(earlier < later for earlier, later in pairwise(waits))


# --- backing off from 429


def pause_of(governor: Governor, clock) -> float:
    paused = governor.status().paused_until
    return 0.0 if paused is None else (paused - clock.now()).total_seconds()


def test_throttled_answers_back_off_longer_and_longer_until_one_is_accepted(make):
    governor, clock = make(100)
    pauses = []
    for _ in range(12):
        governor.record([THROTTLED])
        pauses.append(pause_of(governor, clock))
        clock.wait(pauses[-1] + 0.01)
    assert pauses[:4] == pytest.approx([0.5, 1.0, 2.0, 4.0])
    assert pauses[-1] == pytest.approx(150.0)  # half of the longest, without jitter
    governor.record([ACCEPTED])
    governor.record([(ErrorClass.TRANSIENT, "20429")])
    assert pause_of(governor, clock) == pytest.approx(0.5)


def test_back_off_has_jitter(make):
    governor, clock = make(100, jitter=lambda: 1.0)
    governor.record([THROTTLED])
    assert pause_of(governor, clock) == pytest.approx(1.0)


def test_all_answers_of_one_moment_are_one_429(make):
    governor, clock = make(100)
    governor.record([THROTTLED] * 8)
    other, _ = make(100, clock=clock)
    other.record([THROTTLED] * 8)
    assert other.status().throttled == 1
    assert pause_of(other, clock) == pytest.approx(0.5)


def test_a_stated_wait_is_all_that_is_waited(make):
    governor, clock = make(100)
    for _ in range(3):
        governor.pause_until(1.0)
        governor.record([THROTTLED])
        assert pause_of(governor, clock) == pytest.approx(1.0)
        clock.wait(1.01)


@pytest.mark.parametrize("code", ["rate_unavailable", "window_closed", "21730", None])
def test_other_transient_answers_are_no_429(make, code):
    governor, clock = make(100)
    governor.record([(ErrorClass.TRANSIENT, code)])
    assert pause_of(governor, clock) == 0


# --- the breaker


def test_configuration_errors_open_the_breaker_for_every_process_and_the_rest_is_held(make, caplog):
    governor, clock = make(100, limits=BreakerLimits(configuration_errors=3))
    other, _ = make(100, clock=clock, limits=BreakerLimits(configuration_errors=3))
    governor.record([REFUSED_US, REFUSED_US])
    other.acquire(1)
    with caplog.at_level(logging.ERROR):
        governor.record([REFUSED_US])
        governor.record([REFUSED_US])
    assert len(caplog.messages) == 1  # said once
    assert "`rekindle governor close an/account` closes it by hand" in caplog.text
    with pytest.raises(HeldError, match="3 configuration errors in a row") as held:
        other.acquire_some([1, 1])
    assert (held.value.reason, held.value.until) == (DecisionReason.BREAKER_OPEN, START + timedelta(minutes=30))
    assert str(other.held()) == str(held.value)
    assert clock.passed == 0


def test_the_cool_down_follows_the_logical_clock_and_the_rate_the_machine_s(make, new_clock):
    calendar = new_clock()
    limits = BreakerLimits(configuration_errors=1, probe_units=3)
    governor, clock = make(100, block=5, limits=limits, calendar=calendar)
    governor.record([REFUSED_US])
    clock.wait(86_400)
    assert governor.held() is not None
    calendar.wait(1_800)
    assert governor.held() is None
    assert governor.acquire_some([1] * 10) == 3
    assert governor.held() is not None  # one probe
    governor.record([ACCEPTED])
    assert governor.acquire_some([1] * 10) == 5
    assert governor.status().breaker.phase is Phase.CLOSED


def test_a_refused_probe_holds_twice_as_long(make):
    governor, clock = make(100, limits=BreakerLimits(configuration_errors=1))
    governor.record([REFUSED_US])
    clock.wait(1_800)
    governor.acquire(1)
    governor.record([REFUSED_US])
    held = governor.held()
    assert held is not None
    assert held.until == clock.now() + timedelta(hours=1)


def test_receipts_open_it_and_a_person_closes_it(make, caplog):
    governor, clock = make(100)
    assert governor.judge_since() == START - timedelta(days=1)
    with caplog.at_level(logging.ERROR):
        state = governor.judge(Receipts(judged=1_000, complained=30))
    assert state.cause is Cause.COMPLAINTS
    assert "complaints: 30 of 1000" in caplog.text
    assert governor.held() is not None
    clock.wait(60)
    governor.close_breaker()
    assert governor.held() is None
    assert governor.judge_since() == clock.now()


def test_somebody_says_stop_and_only_somebody_says_go_on(make):
    governor, clock = make(100)
    other, _ = make(100, clock=clock)
    governor.stop("the campaign is wrong")
    with pytest.raises(HeldError, match="stopped by hand: the campaign is wrong") as held:
        other.acquire_some([1])
    assert held.value.until == START + timedelta(minutes=30)
    clock.wait(86_400)
    other.record([ACCEPTED])
    other.judge(Receipts(judged=1_000))
    again = other.held()
    assert again is not None
    assert again.until == clock.now() + timedelta(minutes=30)  # no probe, and no promise beyond the next look
    governor.close_breaker()
    other.acquire(1)


# --- a day's allowance


def test_a_warm_up_is_shared_survives_a_restart_and_goes_on_the_next_day(make):
    warm = {"allowance": Allowance(warm_up=(7, 20), warm_up_starts=START.date())}
    governor, clock = make(100, block=5, **warm)
    sent = governor.acquire_some([1] * 10)
    again, _ = make(100, block=5, clock=clock, **warm)
    sent += again.acquire_some([1] * 10)
    assert sent == 7
    with pytest.raises(HeldError, match="0 of 7 units left today, day 1 of its warm-up") as held:
        make(100, clock=clock, **warm)[0].acquire(1)
    assert (held.value.reason, held.value.until) == (DecisionReason.DAILY_ALLOWANCE, datetime(2026, 3, 2, tzinfo=UTC))
    clock.instant = held.value.until
    for _ in range(4):
        governor.acquire_some([1] * 5)
    with pytest.raises(HeldError, match="0 of 20"):
        governor.acquire(1)


def test_a_cap_counts_units_and_a_message_that_does_not_fit_waits_whole(make):
    governor, _ = make(100, block=5, allowance=Allowance(daily_cap=5))
    assert governor.acquire_some([2, 2, 2]) == 2
    with pytest.raises(HeldError, match="1 of 5"):
        governor.acquire_some([2])
    with pytest.raises(HeldError, match="1 of 5"):
        governor.acquire(2)
    assert governor.acquire_some([1]) == 1


def test_accounts_do_not_share(make):
    one, clock = make(2, allowance=Allowance(daily_cap=1))
    one.acquire(1)
    one.pause_until(100)
    other, _ = make(2, clock=clock, account="another", allowance=Allowance(daily_cap=1))
    other.acquire(1)
    assert clock.passed == 0


# --- a store that fails


class LostStore(InMemoryStore):
    def update(self, account, change):
        raise StoreUnavailableError("the governor's file can not be written (disk full)")


def test_without_its_store_nothing_is_sent_and_what_was_sent_is_not_lost(monkeypatch):
    warnings = []
    # not through logging's own machinery: whatever Airflow has configured before in this process must not matter
    monkeypatch.setattr(rate.logger, "warning", lambda message, *words: warnings.append(message % words))
    governor = Governor("a", ProviderRate(1), LostStore())
    with pytest.raises(RateUnavailableError, match="disk full"):
        governor.acquire_some([1])
    governor.record([REFUSED_US])
    governor.pause_until(5)
    assert len(warnings) == 2
    assert all("disk full" in warning for warning in warnings)


# --- what is shown


def test_the_status_says_how_the_account_stands(make):
    governor, clock = make(100, allowance=Allowance(daily_cap=50, warm_up=(20, 30), warm_up_starts=START.date()))
    governor.acquire(4)
    clock.wait(30)
    governor.acquire(3)
    governor.pause_until(10)
    status = governor.status()
    assert (status.used_last_second, status.used_last_minute, status.used_today) == (3, 7, 7)
    assert (status.allowance, status.warm_up_day) == (20, 1)
    assert status.paused_until == clock.now() + timedelta(seconds=10)
    assert str(status) == (
        "governor an/account: 100 units a second, 7 used in the last minute, 7 today of 20, breaker closed,"
        " day 1 of the warm-up, paused until 12:00:40"
    )
    clock.wait(60)
    assert governor.status().used_last_minute == 0
    assert governor.status().paused_until is None


# --- threads and processes, on the machine's clock


def test_threads_of_one_process_share_one_rate(tmp_path):
    with Governor.shared(tmp_path, "a", ProviderRate(40)) as governor:
        began = time.monotonic()
        threads = [threading.Thread(target=lambda: [governor.acquire(1) for _ in range(10)]) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - began >= (30 - governor.rate.burst) / 40
        assert governor.status().used_today == 30


WORKER = """
import json, sys
from pathlib import Path
from rekindle.clock import SystemClock
from rekindle.governor.rate import Governor, ProviderRate
folder, limit, times = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
clock, granted = SystemClock(), []
with Governor.shared(folder, "account", ProviderRate(limit)) as governor:
    while len(granted) < times:
        count = governor.acquire_some([1] * (times - len(granted)))
        granted += [clock.now().timestamp()] * count
print(json.dumps(granted))
"""


def test_four_processes_hold_one_rate(tmp_path):
    # Given four processes that want 4 x 25 units at 60 a second: a race at nearly every grant
    limit, times = 60, 25
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path), str(limit), str(times)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(Path(__file__).parents[3] / "include")},
        )
        for _ in range(4)
    ]
    said = [worker.communicate(timeout=120) for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 4, said
    granted = sorted(stamp for out, _ in said for stamp in json.loads(out))
    assert len(granted) == 100
    burst = ProviderRate(limit).burst
    # 100 units less the burst can not take less than this, on anybody's clock
    assert granted[-1] - granted[0] >= (100 - burst) / limit
    with Governor.shared(tmp_path, "account", ProviderRate(limit)) as governor:
        assert governor.status().used_today == 100
