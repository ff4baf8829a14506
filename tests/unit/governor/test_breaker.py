from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.governor.breaker import BreakerState, CircuitBreaker, FileBreakerStore, InMemoryBreakerStore, after
from rekindle.vocabulary import ErrorClass

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OURS = ErrorClass.CONFIGURATION


@pytest.fixture(params=["in_memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path):
    return InMemoryBreakerStore() if request.param == "in_memory" else FileBreakerStore(tmp_path / "b" / "twilio.json")


def test_it_opens_at_the_limit_and_stays_open_until_somebody_closes_it(store):
    breaker = CircuitBreaker(store, limit=3)
    assert breaker.state() == BreakerState()
    assert not breaker.record(OURS, AT, "HTTP 401").is_open
    assert not breaker.record(OURS, AT, "HTTP 401").is_open
    opened = breaker.record(OURS, AT, "HTTP 403")
    assert opened == BreakerState(consecutive=3, opened_at=AT, reason="HTTP 403")
    assert breaker.record(None, AT) == opened  # a late acceptance of what was already on its way
    assert CircuitBreaker(store, limit=3).state() == opened
    breaker.close()
    assert breaker.state() == BreakerState()


@pytest.mark.parametrize("works", [None, ErrorClass.PERMANENT])
def test_a_sign_that_the_account_works_starts_the_count_again(store, works):
    breaker = CircuitBreaker(store, limit=2)
    breaker.record(OURS, AT)
    breaker.record(works, AT)
    assert not breaker.record(OURS, AT).is_open


@pytest.mark.parametrize("says_nothing", [ErrorClass.TRANSIENT, ErrorClass.AMBIGUOUS])
def test_trouble_on_the_way_neither_counts_nor_clears(store, says_nothing):
    breaker = CircuitBreaker(store, limit=2)
    breaker.record(OURS, AT)
    assert breaker.record(says_nothing, AT).consecutive == 1
    assert breaker.record(OURS, AT).is_open


@given(
    answers=st.lists(st.sampled_from([None, *ErrorClass]), max_size=60),
    limit=st.integers(1, 6),
)
def test_open_means_exactly_that_many_in_a_row_were_seen(answers, limit):
    state, run, expected = BreakerState(), 0, False
    for answer in answers:
        state = after(state, answer, AT, "", limit)
        run = run + 1 if answer is OURS else (0 if answer in (None, ErrorClass.PERMANENT) else run)
        expected = expected or run >= limit
        assert state.is_open is expected


def test_a_breaker_that_never_opens_is_refused():
    with pytest.raises(ValueError, match="at least one error"):
        CircuitBreaker(InMemoryBreakerStore(), limit=0)


def test_no_count_is_lost_between_processes(tmp_path):
    code = (
        "import sys; from datetime import UTC, datetime; from pathlib import Path\n"
        "from rekindle.governor.breaker import CircuitBreaker, FileBreakerStore\n"
        "from rekindle.vocabulary import ErrorClass\n"
        "breaker = CircuitBreaker(FileBreakerStore(Path(sys.argv[1])), limit=1000)\n"
        "for _ in range(50): breaker.record(ErrorClass.CONFIGURATION, datetime(2026, 3, 1, tzinfo=UTC))"
    )
    path = tmp_path / "breaker.json"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path)], env={"PYTHONPATH": str(Path(__file__).parents[3] / "include")}
        )
        for _ in range(3)
    ]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0, 0]
    assert CircuitBreaker(FileBreakerStore(path), limit=1000).state().consecutive == 150
