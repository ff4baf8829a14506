"""Composed messages, channels that answer as told, and governors that say no."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rekindle.channels.ports import Outcome, OutgoingEmail, OutgoingSms
from rekindle.dispatch import Composed
from rekindle.governor.rate import ProviderRate, RateUnavailableError

NOW = datetime(2026, 1, 12, 18, tzinfo=UTC)


class StandingClock:
    """Stands at an instant that a test may move."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


class ScriptedGovernor:
    """Grants so many messages at a time and then says no; remembers what it was told, in order."""

    def __init__(self, *, at_a_time: int = 1_000, in_all: int = 1_000_000) -> None:
        self.at_a_time, self.left = at_a_time, in_all
        self.rate = ProviderRate(1_000_000)
        self.no: RateUnavailableError = RateUnavailableError("not now")
        self.told: list[Any] = []

    def acquire_some(self, costs: Sequence[int]) -> int:
        granted = min(len(costs), self.at_a_time, self.left)
        if not granted:
            raise self.no
        self.left -= granted
        return granted

    def record(self, outcomes: Sequence[Any]) -> None:
        self.told += outcomes

    def pause_until(self, seconds: float) -> None:
        self.told.append(seconds)


class ScriptedTexts:
    """Answers each text as told, from whatever thread; knows how many calls were under way at once."""

    def __init__(self, answer: Callable[[OutgoingSms], Outcome]) -> None:
        self.answer = answer
        self.sent: list[OutgoingSms] = []
        self.most_at_once = 0
        self._under_way = 0
        self._lock = threading.Lock()

    def send(self, sms: OutgoingSms) -> Outcome:
        with self._lock:
            self.sent.append(sms)
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            return self.answer(sms)
        finally:
            with self._lock:
                self._under_way -= 1


class ScriptedEmails:
    """Answers each batch as told."""

    def __init__(self, answer: Callable[[OutgoingEmail], Outcome]) -> None:
        self.answer = answer
        self.batches: list[list[OutgoingEmail]] = []

    def send(self, batch: Sequence[OutgoingEmail]) -> list[Outcome]:
        self.batches.append(list(batch))
        return [self.answer(email) for email in batch]


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def governor() -> ScriptedGovernor:
    return ScriptedGovernor()


@pytest.fixture
def texts() -> Callable[[Callable[[OutgoingSms], Outcome]], ScriptedTexts]:
    return ScriptedTexts


@pytest.fixture
def emails() -> Callable[[Callable[[OutgoingEmail], Outcome]], ScriptedEmails]:
    return ScriptedEmails


@pytest.fixture
def composed() -> Callable[..., list[Composed]]:
    """That many composed messages of a channel, which expire in an hour."""

    def make(count: int, channel: str = "sms", *, segments: int = 1, lasts: timedelta = timedelta(hours=1)) -> Any:
        made = []
        for number in range(count):
            words: dict[str, Any] = {
                "message_id": f"message-{number}",
                "campaign_id": "campaign",
                "step_id": "step",
                "lead_id": f"lead-{number}",
            }
            outgoing: OutgoingEmail | OutgoingSms
            if channel == "sms":
                outgoing = OutgoingSms(
                    **words, to="+14155550100", body="hello", segments=segments, validity_seconds=36_000
                )
            else:
                outgoing = OutgoingEmail(
                    **words,
                    to="a@mail.example",
                    subject="s",
                    text="t",
                    html=None,
                    unsubscribe_url="https://r.example/u",
                )
            made.append(Composed(words["message_id"], outgoing, "hash", segments, NOW + lasts))
        return made

    return make
