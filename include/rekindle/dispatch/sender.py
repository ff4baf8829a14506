"""Puts a chunk of composed messages through a channel, at the governor's rate."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import cached_property
from itertools import islice
from typing import Protocol

from msgspec.structs import replace

from rekindle.channels.ports import EmailChannel, Outcome, OutcomeKind, OutgoingEmail, OutgoingSms, SmsChannel
from rekindle.clock import Clock
from rekindle.dispatch.composer import Composed
from rekindle.governor.rate import Governor, HeldError, RateUnavailableError
from rekindle.vocabulary import DecisionReason, ErrorClass

logger = logging.getLogger(__name__)

#: Codes of ours for what was never tried: no news about the account.
_NEVER_TRIED = frozenset({"window_closed", "not_attempted"})


#: E-mails that are `attempting` at once at most: so many are unknown when a task dies in the wrong moment.
LARGEST_EMAIL_CHUNK = 3_000
#: Seconds in which a chunk of e-mails leaves: a slow account's task that dies leaves no more of them unknown than that.
SECONDS_AT_RISK = 10


def emails_in_a_chunk(per_second: float) -> int:
    """How many e-mails an account of that rate marks as `attempting` before the first of them is sent."""
    return max(1, min(LARGEST_EMAIL_CHUNK, int(per_second * SECONDS_AT_RISK)))


class Sender(Protocol):
    """One provider account, ready to send."""

    provider: str
    chunk_size: int  # messages committed as `attempting` before the first call of the chunk

    def send(self, chunk: Sequence[Composed], clock: Clock) -> list[Outcome]:
        """Send the chunk; one outcome for each message that was tried, in any order, and never an exception for the
        provider's sake.

        After a configuration error nothing more is tried. What never left is refused as such, with the governor's word
        in `held` when it was the governor who said no.
        """
        ...


class EmailSender:
    """SendGrid takes a thousand recipients in one request."""

    provider = "sendgrid"

    def __init__(self, channel: EmailChannel, governor: Governor) -> None:
        self.channel = channel
        self.governor = governor
        self.chunk_size = emails_in_a_chunk(governor.rate.units / governor.rate.per_seconds)

    def send(self, chunk: Sequence[Composed], clock: Clock) -> list[Outcome]:
        outcomes: list[Outcome] = []
        rest = list(chunk)
        while rest:
            try:
                granted = self.governor.acquire_some([1] * len(rest))
            except RateUnavailableError as refusal:
                return outcomes + [_held_back(self.provider, item, refusal) for item in rest]
            now = clock.now()
            leaving = [item for item in rest[:granted] if item.expires_at > now]
            outcomes += [_window_closed(self.provider, item) for item in rest[:granted] if item.expires_at <= now]
            rest = rest[granted:]
            answers = self.channel.send([item.outgoing for item in leaving if isinstance(item.outgoing, OutgoingEmail)])
            outcomes += answers
            _tell(self.governor, answers, is_one_call=True)
            if _is_ours_to_mend(answers):
                return outcomes + [_not_tried(self.provider, item) for item in rest]
        return outcomes


class SmsSender:
    """Twilio takes one text a request and counts segments; a request mostly waits, so several are under way at once."""

    provider = "twilio"
    chunk_size = 100

    def __init__(self, channel: SmsChannel, governor: Governor, *, calls_at_once: int = 8) -> None:
        if calls_at_once < 1:
            raise ValueError(f"at least one call at once, not {calls_at_once}")
        self.channel = channel
        self.governor = governor
        self.calls_at_once = calls_at_once

    def send(self, chunk: Sequence[Composed], clock: Clock) -> list[Outcome]:
        waiting = deque(chunk)
        calls = _Calls(self.provider, self.governor)
        stop = threading.Event()  # set by the first answer that is ours to mend
        refusal: RateUnavailableError | None = None
        while waiting and not stop.is_set() and refusal is None:
            # Half of the calls at a time: asking for each text would cost more than sending it.
            calls.finish(at_most_left=self.calls_at_once // 2)
            free = self.calls_at_once - len(calls)
            try:
                granted = self.governor.acquire_some([max(item.segments, 1) for item in islice(waiting, free)])
            except RateUnavailableError as error:
                granted, refusal = 0, error
            for _ in range(granted):
                item = waiting.popleft()
                calls.begin(item, self._pool.submit(self._call, item, clock, stop))
        calls.finish(at_most_left=0)
        if refusal is not None:
            return calls.outcomes + [_held_back(self.provider, item, refusal) for item in waiting]
        return calls.outcomes + [_not_tried(self.provider, item) for item in waiting]

    def _call(self, item: Composed, clock: Clock, stop: threading.Event) -> Outcome:
        assert isinstance(item.outgoing, OutgoingSms)
        if stop.is_set():
            return _not_tried(self.provider, item)
        # The window may have closed, or come nearer, while the texts before this one left.
        seconds_left = (item.expires_at - clock.now()).total_seconds()
        if seconds_left <= 0:
            return _window_closed(self.provider, item)
        validity = max(1, min(item.outgoing.validity_seconds, int(seconds_left)))
        outcome = self.channel.send(replace(item.outgoing, validity_seconds=validity))
        if outcome.error_class is ErrorClass.CONFIGURATION:
            stop.set()
        return outcome

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        """Lives as long as the sender, because each of its threads keeps a connection open."""
        return ThreadPoolExecutor(self.calls_at_once, thread_name_prefix="texts")


class _Calls:
    """The calls under way, and what came of the finished ones."""

    def __init__(self, provider: str, governor: Governor) -> None:
        self.outcomes: list[Outcome] = []
        self._provider = provider
        self._governor = governor
        self._under_way: dict[Future[Outcome], Composed] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def begin(self, item: Composed, call: Future[Outcome]) -> None:
        self._under_way[call] = item

    def finish(self, at_most_left: int) -> None:
        """Wait until so few are left, and tell the governor what the others met."""
        while len(self._under_way) > at_most_left:
            done, _ = wait(self._under_way, return_when=FIRST_COMPLETED)
            answers = [self._answer(self._under_way.pop(call), call) for call in done]
            self.outcomes += answers
            _tell(self._governor, answers)

    def _answer(self, item: Composed, call: Future[Outcome]) -> Outcome:
        """A channel never raises; if it does all the same, the text may have left, and the others' answers count."""
        error = call.exception()
        if error is None:
            return call.result()
        logger.error("a call to %s ended in %s; its message is unknown", self._provider, type(error).__name__)
        detail = f"the call ended in {type(error).__name__}"
        return _outcome(self._provider, item, OutcomeKind.UNKNOWN, ErrorClass.AMBIGUOUS, "call_failed", detail)


def _outcome(
    provider: str, item: Composed, kind: OutcomeKind, error_class: ErrorClass, error_code: str, detail: str
) -> Outcome:
    return Outcome(item.message_id, kind, provider, None, error_code, error_class, None, None, None, detail)


def _never_left(provider: str, item: Composed, error_code: str, detail: str) -> Outcome:
    """Certainly not sent."""
    return _outcome(provider, item, OutcomeKind.REFUSED, ErrorClass.TRANSIENT, error_code, detail)


def _window_closed(provider: str, item: Composed) -> Outcome:
    return _never_left(provider, item, "window_closed", "its send window closed before its turn")


def _not_tried(provider: str, item: Composed) -> Outcome:
    return _never_left(provider, item, "not_attempted", "the chunk was stopped by an answer that is ours to mend")


def _held_back(provider: str, item: Composed, refusal: RateUnavailableError) -> Outcome:
    """The governor said no, and why; the rate itself may be free again at any moment."""
    outcome = _never_left(provider, item, "rate_unavailable", "the provider's rate was not free in time")
    if isinstance(refusal, HeldError):
        return replace(outcome, error_code=str(refusal.reason), held=refusal.reason, held_until=refusal.until)
    return replace(outcome, held=DecisionReason.PROVIDER_BUSY)


def _tell(governor: Governor, answers: Sequence[Outcome], *, is_one_call: bool = False) -> None:
    """The pause a provider asked for first: the governor backs off by itself from what names none.

    A thousand messages of one call that share an answer are one answer.
    """
    asked = [
        answer.retry_after_seconds
        for answer in answers
        if answer.kind is not OutcomeKind.UNKNOWN and answer.retry_after_seconds
    ]
    if asked:
        governor.pause_until(max(asked))
    news = [(answer.error_class, answer.error_code) for answer in answers if answer.error_code not in _NEVER_TRIED]
    if is_one_call:
        news = sorted(dict.fromkeys(news), key=lambda one: one[0] is not None)  # what was accepted came first
    governor.record(news)


def _is_ours_to_mend(answers: Iterable[Outcome]) -> bool:
    return any(answer.error_class is ErrorClass.CONFIGURATION for answer in answers)
