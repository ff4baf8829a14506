"""What the rest of Rekindle knows of a provider: messages go in, one proved-or-unknown outcome each comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from rekindle.errors import RekindleError
from rekindle.vocabulary import DecisionReason, ErrorClass, Exit, LineType, SuppressionReason


class OutcomeKind(StrEnum):
    """What one attempt proved."""

    ACCEPTED = "accepted"  # proved: the provider took it
    REFUSED = "refused"  # proved: the provider did not take it, or it never left
    UNKNOWN = "unknown"  # not proved either way; never sent again


class OutgoingEmail(Struct, frozen=True, gc=False):
    """One rendered e-mail, ready to leave."""

    message_id: str
    campaign_id: str
    step_id: str
    lead_id: str
    to: str
    subject: str
    text: str
    html: str | None
    unsubscribe_url: str
    reply_to: str | None = None  # where answers go; None is the account's own


class OutgoingSms(Struct, frozen=True, gc=False):
    """One rendered text message, ready to leave. `validity_seconds` is how long the provider may hold it back."""

    message_id: str
    campaign_id: str
    step_id: str
    lead_id: str
    to: str
    body: str
    segments: int
    validity_seconds: int


class Outcome(Struct, frozen=True, gc=False):
    """What became of one message. `exit` and `suppression` come from the error table; `detail` names nobody.

    `retry_after_seconds` is how long the account should wait: after a refusal, or after an acceptance that says that
    nothing is left of its rate.

    `held` and `held_until` say why it never left and when to look again, when the governor and not a provider said no.
    """

    message_id: str
    kind: OutcomeKind
    provider: str
    provider_message_id: str | None
    error_code: str | None
    error_class: ErrorClass | None
    exit: Exit | None
    suppression: SuppressionReason | None
    retry_after_seconds: float | None
    detail: str
    held: DecisionReason | None = None
    held_until: datetime | None = None


class EmailChannel(Protocol):
    """Sends e-mail in batches."""

    def send(self, batch: Sequence[OutgoingEmail]) -> list[Outcome]:
        """One outcome per message, in the batch's order; network trouble is an outcome, never raised."""
        ...


class SmsChannel(Protocol):
    """Sends text messages, one call each; several threads may call at once."""

    def send(self, sms: OutgoingSms) -> Outcome:
        """What became of the message; network trouble is an outcome, never raised."""
        ...


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What the provider says a number is. `cost` is what asking cost, if that is configured."""

    line_type: LineType
    valid: bool
    validation_errors: tuple[str, ...]
    country: str | None
    cost: float | None


class LineTypeLookup(Protocol):
    """Asks a provider what kind of line a number is."""

    def look_up(self, e164: str) -> LookupResult:
        """The provider's answer; raises `ProviderUnavailableError` or `ConfigurationError` when there is none."""
        ...


class ProviderUnavailableError(RekindleError):
    """A question to a provider got no answer that can be used; ask again later. No lead may change because of it."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
