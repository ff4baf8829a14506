"""Repeating what is safe to repeat: reading. A request to send is never repeated here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

#: Longer waits than this are the next run's business, not a sleeping worker's.
LONGEST_WAIT_SECONDS = 30.0

Answer = TypeVar("Answer")


def read_with_back_off(
    read: Callable[[], Answer],
    *,
    retry_on: type[Exception],
    attempts: int = 3,
    wait: Callable[[float], None] = time.sleep,
) -> Answer:
    """What `read` answers, tried up to `attempts` times while it raises `retry_on`, with full jitter in between.

    An error's `retry_after_seconds` is a lower bound of the wait; one beyond `LONGEST_WAIT_SECONDS` is raised at once.
    """
    jittered = wait_random_exponential(multiplier=0.5, max=8.0)

    def stated(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        return getattr(error, "retry_after_seconds", None) or 0.0

    def how_long(state: RetryCallState) -> float:
        return stated(state) + jittered(state)

    def is_enough(state: RetryCallState) -> bool:
        return stop_after_attempt(attempts)(state) or stated(state) > LONGEST_WAIT_SECONDS

    retrying = Retrying(
        retry=retry_if_exception_type(retry_on), wait=how_long, stop=is_enough, sleep=wait, reraise=True
    )
    return retrying(read)
