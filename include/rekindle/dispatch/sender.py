"""Puts a chunk of composed messages through a channel, at the governor's rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rekindle.channels.ports import EmailChannel, Outcome, OutcomeKind, OutgoingEmail, OutgoingSms, SmsChannel
from rekindle.clock import Clock
from rekindle.dispatch.composer import Composed
from rekindle.governor.rate import Governor, RateUnavailableError
from rekindle.vocabulary import ErrorClass


class Sender(Protocol):
    """One provider account, ready to send."""

    provider: str
    chunk_size: int  # messages committed as `attempting` before the first call of the chunk

    def send(self, chunk: Sequence[Composed], clock: Clock) -> list[Outcome]:
        """Send the chunk; one outcome for each message that was tried, in any order, and never an exception for the
        provider's sake.
        """
        ...


class EmailSender:
    """SendGrid takes a thousand recipients in one request."""

    provider = "sendgrid"
    chunk_size = 1_000

    def __init__(self, channel: EmailChannel, governor: Governor) -> None:
        self.channel = channel
        self.governor = governor

    def send(self, chunk: Sequence[Composed], clock: Clock) -> list[Outcome]:
        try:
            self.governor.acquire(len(chunk))
        except RateUnavailableError:
            return [_never_left(self.provider, item) for item in chunk]
        outcomes = self.channel.send([item.outgoing for item in chunk if isinstance(item.outgoing, OutgoingEmail)])
        _honour_retry_after(self.governor, outcomes)
        return outcomes


class SmsSender:
    """Twilio takes one text a request and counts segments."""

    provider = "twilio"
    chunk_size = 100

    def __init__(self, channel: SmsChannel, governor: Governor) -> None:
        self.channel = channel
        self.governor = governor

    def send(self, chunk: Sequence[Composed], clock: Clock) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for item in chunk:
            if isinstance(item.outgoing, OutgoingSms):
                outcome = self._send_one(item, item.outgoing, clock)
                outcomes.append(outcome)
                _honour_retry_after(self.governor, [outcome])
        return outcomes

    def _send_one(self, item: Composed, sms: OutgoingSms, clock: Clock) -> Outcome:
        try:
            self.governor.acquire(item.segments)
        except RateUnavailableError:
            return _never_left(self.provider, item)
        # the window may have closed while the texts before this one left
        if clock.now() >= item.expires_at:
            return _never_left(self.provider, item, "window_closed", "its send window closed before its turn")
        return self.channel.send(sms)


def _never_left(
    provider: str,
    item: Composed,
    error_code: str = "rate_unavailable",
    detail: str = "the provider's rate was not free in time",
) -> Outcome:
    """Certainly not sent."""
    return Outcome(
        message_id=item.message_id,
        kind=OutcomeKind.REFUSED,
        provider=provider,
        provider_message_id=None,
        error_code=error_code,
        error_class=ErrorClass.TRANSIENT,
        exit=None,
        suppression=None,
        retry_after_seconds=None,
        detail=detail,
    )


def _honour_retry_after(governor: Governor, outcomes: Sequence[Outcome]) -> None:
    asked = [
        outcome.retry_after_seconds
        for outcome in outcomes
        if outcome.kind is OutcomeKind.REFUSED and outcome.retry_after_seconds
    ]
    if asked:
        governor.pause_until(max(asked))
