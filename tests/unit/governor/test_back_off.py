from __future__ import annotations

import pytest

from rekindle.channels.ports import ProviderUnavailableError
from rekindle.governor.back_off import read_with_back_off


class Flaky:
    """Fails so many times, then answers."""

    def __init__(self, failures: int, retry_after_seconds: float | None = None) -> None:
        self.failures = failures
        self.retry_after_seconds = retry_after_seconds
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise ProviderUnavailableError(f"failure {self.calls}", self.retry_after_seconds)
        return "answer"


def test_an_answer_is_not_waited_for():
    waits: list[float] = []
    assert read_with_back_off(Flaky(0), retry_on=ProviderUnavailableError, wait=waits.append) == "answer"
    assert waits == []


def test_it_answers_after_failures_with_growing_jittered_waits():
    waits: list[float] = []
    assert read_with_back_off(Flaky(4), retry_on=ProviderUnavailableError, attempts=5, wait=waits.append) == "answer"
    assert len(waits) == 4
    assert all(0 <= wait <= 0.5 * 2**number for number, wait in enumerate(waits))


def test_the_last_error_is_raised_as_it_is():
    flaky = Flaky(9)
    with pytest.raises(ProviderUnavailableError, match="failure 3"):
        read_with_back_off(flaky, retry_on=ProviderUnavailableError, wait=lambda _: None)
    assert flaky.calls == 3


def test_the_stated_wait_is_the_least():
    waits: list[float] = []
    read_with_back_off(Flaky(2, 7.0), retry_on=ProviderUnavailableError, wait=waits.append)
    assert all(7.0 <= wait <= 8.0 for wait in waits)


def test_a_long_stated_wait_is_left_to_the_next_run():
    flaky = Flaky(9, 3600.0)
    with pytest.raises(ProviderUnavailableError):
        read_with_back_off(flaky, retry_on=ProviderUnavailableError, wait=lambda _: pytest.fail("waited"))
    assert flaky.calls == 1


def test_other_errors_are_not_repeated():
    calls: list[int] = []

    def read() -> None:
        calls.append(1)
        raise KeyError("ours")

    with pytest.raises(KeyError):
        read_with_back_off(read, retry_on=ProviderUnavailableError, wait=lambda _: None)
    assert calls == [1]
