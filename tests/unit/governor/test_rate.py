from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rekindle.governor.rate import Governor, ProviderRate, RateUnavailableError

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class WaitingClock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.instant = START

    def now(self) -> datetime:
        return self.instant

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.instant += timedelta(seconds=seconds)

    @property
    def passed(self) -> float:
        return (self.instant - START).total_seconds()


@pytest.fixture(params=["in_memory", "shared"])
def make(request: pytest.FixtureRequest, tmp_path: Path):
    """Build a governor of either kind on a clock of its own; the shared ones share one folder."""
    built: list[Governor] = []

    def build(units: int, per_seconds: float = 1.0, patience: float = 300.0, clock: WaitingClock | None = None):
        clock = clock or WaitingClock()
        rate = ProviderRate(units, per_seconds)
        if request.param == "shared":
            governor = Governor.shared(
                tmp_path, "an/account", rate, patience_seconds=patience, clock=clock, wait=clock.wait
            )
        else:
            governor = Governor.in_memory(
                rate, patience_seconds=patience, clock=clock, wait=clock.wait, jitter=lambda: 0
            )
        built.append(governor)
        return governor, clock

    yield build
    for governor in built:
        governor.close()


def test_the_first_window_is_free_and_the_next_is_waited_for(make):
    governor, clock = make(10)
    for _ in range(10):
        governor.acquire(1)
    assert clock.passed == 0
    governor.acquire(1)
    assert 1.0 <= clock.passed <= 1.3


def test_units_are_what_counts_not_calls(make):
    governor, clock = make(10)
    governor.acquire(7)
    governor.acquire(3)
    assert clock.passed == 0
    governor.acquire(2)
    assert clock.passed >= 1.0


def test_more_than_a_window_is_taken_window_by_window(make):
    governor, clock = make(1, per_seconds=4.0)
    governor.acquire(3)
    assert 8.0 <= clock.passed <= 10.5


def test_nothing_is_taken_when_the_deadline_would_pass(make):
    governor, clock = make(1, per_seconds=60.0)
    governor.acquire(1)
    with pytest.raises(RateUnavailableError, match="after the deadline"):
        governor.acquire(1, deadline=clock.now() + timedelta(seconds=30))
    assert clock.passed == 0  # known at once, not waited for
    governor.acquire(1, deadline=clock.now() + timedelta(seconds=90))
    assert clock.passed >= 60.0


def test_patience_is_a_deadline_too(make):
    governor, _ = make(1, per_seconds=60.0, patience=10.0)
    governor.acquire(1)
    with pytest.raises(RateUnavailableError):
        governor.acquire(1)


def test_a_pause_holds_everybody_and_is_never_shortened(make):
    governor, clock = make(1_000)
    governor.pause_until(30)
    governor.pause_until(5)
    governor.pause_until(0)
    governor.acquire(1)
    assert 30.0 <= clock.passed <= 36.1
    governor.acquire(1)
    assert clock.passed <= 36.1


def test_a_pause_beyond_the_deadline_is_said_at_once(make):
    governor, clock = make(1_000, patience=60.0)
    governor.pause_until(3_600)
    with pytest.raises(RateUnavailableError):
        governor.acquire(1)
    assert clock.passed == 0


@pytest.mark.parametrize("units", [0, -1])
def test_nothing_can_not_be_acquired(make, units):
    governor, _ = make(1)
    with pytest.raises(ValueError, match="nothing to acquire"):
        governor.acquire(units)


@pytest.mark.parametrize("wrong", [(0, 1.0), (1, 0.0)])
def test_a_rate_of_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match="a rate is at least"):
        ProviderRate(*wrong)


@settings(max_examples=60, deadline=None)
@given(
    limit=st.integers(1, 20),
    per_seconds=st.sampled_from([0.5, 1.0, 7.0]),
    asked=st.lists(st.tuples(st.integers(1, 30), st.floats(0, 2)), min_size=1, max_size=40),
)
def test_no_window_ever_holds_more_than_the_rate(limit, per_seconds, asked):
    clock = WaitingClock()
    governor = Governor.in_memory(
        ProviderRate(limit, per_seconds), clock=clock, wait=clock.wait, jitter=lambda: 0.5, patience_seconds=1e6
    )
    granted: list[float] = []
    for units, idle in asked:
        clock.instant += timedelta(seconds=idle)
        before = len(granted)
        # Taken unit by unit, each at the instant it was granted
        for _ in range(units):
            governor.acquire(1)
            granted.append(clock.passed)
        assert len(granted) == before + units
    assert all(later - earlier >= per_seconds for earlier, later in zip(granted, granted[limit:], strict=False))
    governor.close()


def test_two_governors_of_one_account_share_the_rate_and_the_pause(tmp_path):
    clock = WaitingClock()

    def one(account: str) -> Governor:
        return Governor.shared(tmp_path, account, ProviderRate(2), clock=clock, wait=clock.wait)

    with one("a") as first, one("a") as second, one("b") as stranger:
        first.acquire(1)
        second.acquire(1)
        stranger.acquire(2)
        assert clock.passed == 0
        second.acquire(1)
        assert clock.passed >= 1.0
        first.pause_until(100)
        stranger.acquire(1)
        assert clock.passed < 100
        second.acquire(1)
        assert clock.passed >= 100
    assert not any(path.stem == "a" for path in tmp_path.iterdir())


def test_threads_of_one_process_share_it_too(tmp_path):
    granted: list[int] = []
    with Governor.shared(tmp_path, "a", ProviderRate(20, 0.5)) as governor:

        def work() -> None:
            for _ in range(20):
                governor.acquire(1)
                granted.append(1)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(granted) == 60
        assert_no_window_over(tmp_path, limit=20, window_ms=500, total=60)


WORKER = """
import json, sys
from pathlib import Path
from rekindle.clock import SystemClock
from rekindle.governor.rate import Governor, ProviderRate
folder, limit, per_seconds, units, times = Path(sys.argv[1]), *json.loads(sys.argv[2])
clock = SystemClock()
with Governor.shared(folder, "account", ProviderRate(limit, per_seconds)) as governor:
    began = clock.now().timestamp()
    for _ in range(times):
        governor.acquire(units)
    print(json.dumps([began, clock.now().timestamp()]))
"""


def assert_no_window_over(folder: Path, limit: int, window_ms: int, total: int) -> None:
    """Every grant is a row of the shared store: no window of any start may hold more than the limit."""
    (path,) = folder.glob("rate-*.sqlite")
    connection = sqlite3.connect(path)
    stamps = [row[0] for row in connection.execute("select item_timestamp from rate_bucket order by 1")]
    connection.close()
    assert len(stamps) == total
    assert all(later - earlier >= window_ms for earlier, later in zip(stamps, stamps[limit:], strict=False))


def test_four_processes_never_exceed_the_rate(tmp_path):
    # Given four processes that want 4 x 12 x 2 = 96 units at 4 a fifth of a second: a race at nearly every grant
    limit, per_seconds, units, times = 4, 0.2, 2, 12
    argument = json.dumps([limit, per_seconds, units, times])
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path), argument],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(Path(__file__).parents[3] / "include")},
        )
        for _ in range(4)
    ]
    said = [worker.communicate(timeout=120) for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 4, said
    spans = [json.loads(out) for out, _ in said]
    assert_no_window_over(tmp_path, limit, 200, total=96)
    # 96 units at 4 per fifth of a second can not take less than 23 further windows, on anybody's clock
    assert max(end for _, end in spans) - min(began for began, _ in spans) >= 23 * 0.2


def test_a_process_that_died_holding_the_lock_does_not_block_the_others(tmp_path):
    # Given a process that is killed inside the lock, right after its grant was written
    code = (
        "import os, sys; from pathlib import Path; from rekindle.governor.rate import Governor, ProviderRate\n"
        "governor = Governor.shared(Path(sys.argv[1]), 'account', ProviderRate(5))\n"
        "governor._lock.acquire(); governor._bucket.put(__import__('pyrate_limiter').RateItem('x', 0, weight=1))\n"
        "os._exit(9)"
    )
    died = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={"PYTHONPATH": str(Path(__file__).parents[3] / "include")},
        check=False,
        timeout=60,
    )
    assert died.returncode == 9
    with Governor.shared(tmp_path, "account", ProviderRate(5)) as governor:
        governor.acquire(1, deadline=datetime.now(UTC) + timedelta(seconds=5))


def test_old_rows_are_cleaned_away(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rekindle.governor.rate.GRANTS_BETWEEN_CLEANINGS", 10)
    clock = WaitingClock()
    with Governor.shared(tmp_path, "a", ProviderRate(5), clock=clock, wait=clock.wait) as governor:
        for _ in range(200):
            governor.acquire(1)
    (path,) = tmp_path.glob("rate-*.sqlite")
    connection = sqlite3.connect(path)
    (left,) = connection.execute("select count(*) from rate_bucket").fetchone()
    connection.close()
    assert left <= 20


def test_waiters_do_not_come_back_at_the_same_moment():
    def wait_of(jitter: Callable[[], float]) -> float:
        clock = WaitingClock()
        governor = Governor.in_memory(ProviderRate(1), clock=clock, wait=clock.wait, jitter=jitter)
        governor.acquire(2)
        governor.close()
        return clock.passed

    waits = [wait_of(lambda value=value: value) for value in (0.0, 0.5, 1.0)]
    assert all(earlier < later for earlier, later in pairwise(waits))
