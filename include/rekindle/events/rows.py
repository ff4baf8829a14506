"""The rows that landing files become, and the request they are read from.

Field names equal the columns of `rekindle_raw.webhook_elements`, `rekindle_raw.dead_letters`,
`rekindle_state.message_events` and `rekindle_state.preferences` (both without `recorded_at`), `rekindle_raw.events` and
`rekindle_raw.opt_ins` (both without `loaded_at`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rekindle.vocabulary import Choice, ConsentSource, EventType, Stream

#: The element number of a dead letter that stands for a whole request (or line) nobody could take apart.
WHOLE_REQUEST = 0


@dataclass(frozen=True, slots=True)
class WebhookElement:
    """One thing we were told, as it arrived. Lines and elements count from 1."""

    landing_file: str
    line_number: int
    element_number: int
    stream: Stream
    received_at: datetime
    event_key: str
    payload: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something that was answered 2xx and can not be used; a person looks at it. The reason holds no personal data."""

    landing_file: str
    line_number: int
    element_number: int
    stream: Stream
    received_at: datetime | None
    reason: str
    payload: str


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """One thing a provider or a person told us about a message or an address.

    `message_id` is None when it was not ours or is not known (an SMS reply); several rows may share an `event_key`,
    because providers repeat themselves: whoever stores them keeps one.
    """

    event_key: str
    message_id: str | None
    provider: str
    event_type: EventType
    provider_event: str
    occurred_at: datetime
    received_at: datetime
    provider_message_id: str | None
    error_code: str | None
    address_hash: str | None
    is_human: bool | None
    detail: str | None
    landing_file: str


@dataclass(frozen=True, slots=True)
class AppEvent:
    """One event of the company's own product, tracked through the receiver."""

    event_id: str
    user_id: str
    event_type: str
    occurred_at: datetime
    properties: str | None
    is_made_up: bool
    source_file: str
    source_row: int


@dataclass(frozen=True, slots=True)
class PreferenceChoice:
    """One thing a person chose about being written to. `channel` and `topic` are `all` where the choice is for all.

    `address_channel` says what kind of address the hash is of: the address whose link or form was used.
    """

    choice_id: str
    event_key: str
    message_id: str | None
    address_hash: str
    address_channel: str
    channel: str
    topic: str
    choice: Choice
    wording_version: str | None
    source: ConsentSource
    evidence: str
    jurisdiction: str | None
    occurred_at: datetime
    landing_file: str


@dataclass(frozen=True, slots=True)
class OptIn:
    """One channel of one sign-up form; holds the address, so it belongs into the raw schema only."""

    opt_in_id: str
    channel: str
    user_id: str | None
    address: str
    address_hash: str
    topics: str
    wording_version: str
    form: str
    first_name: str | None
    time_zone: str | None
    country: str | None
    locale: str | None
    is_double_opt_in: bool
    confirm_token: str | None
    consented_at: datetime
    received_at: datetime
    landing_file: str


@dataclass(frozen=True, slots=True)
class LandedRequest:
    """One line of a landing file: one request, as the receiver wrote it down."""

    landing_file: str
    line_number: int
    stream: Stream
    received_at: datetime
    body: str
    remote: str | None = None
    method: str = "POST"
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    token: dict[str, str] | None = None


#: Who tells what our own receiver saw: clicks, opt-outs, choices.
OWN_PROVIDER = "rekindle"


def own_event(
    request: LandedRequest,
    key: str,
    message_id: str | None,
    event_type: EventType,
    provider_event: str,
    hashed: str | None,
    human: bool | None,
    detail: str | None,
) -> MessageEvent:
    """What somebody did at our own receiver; it happened when the request came."""
    return MessageEvent(
        event_key=key,
        message_id=message_id,
        provider=OWN_PROVIDER,
        event_type=event_type,
        provider_event=provider_event,
        occurred_at=request.received_at,
        received_at=request.received_at,
        provider_message_id=None,
        error_code=None,
        address_hash=hashed,
        is_human=human,
        detail=detail,
        landing_file=request.landing_file,
    )


@dataclass(slots=True)
class Rows:
    """Collects what the parsers make of the requests of one landing file."""

    elements: list[WebhookElement] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    message_events: list[MessageEvent] = field(default_factory=list)
    app_events: list[AppEvent] = field(default_factory=list)
    preferences: list[PreferenceChoice] = field(default_factory=list)
    opt_ins: list[OptIn] = field(default_factory=list)

    def keep(self, request: LandedRequest, element_number: int, event_key: str, payload: str) -> None:
        """Note one usable element."""
        self.elements.append(
            WebhookElement(
                request.landing_file,
                request.line_number,
                element_number,
                request.stream,
                request.received_at,
                event_key,
                payload,
            )
        )

    def bury(self, request: LandedRequest, element_number: int, reason: str, payload: str) -> None:
        """Note one element (or a whole request) that can not be used."""
        self.dead_letters.append(
            DeadLetter(
                request.landing_file,
                request.line_number,
                element_number,
                request.stream,
                request.received_at,
                reason,
                payload,
            )
        )


def event_key(*words: object) -> str:
    """sha256 over the provider's own words of what happened; raises `ValueError` on text that is not Unicode."""
    joined = "\x1f".join(["" if word is None else str(word) for word in words])
    return hashlib.sha256(joined.encode()).hexdigest()


def text_or_none(value: Any) -> str | None:
    """A non-empty string that can be stored as UTF-8, else None."""
    if not isinstance(value, str) or not value:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


def instant_from_unix(value: Any) -> datetime | None:
    """The instant of Unix seconds, or of milliseconds (SendGrid's Single Sends write those); None if it is neither."""
    if isinstance(value, str):
        value = value.strip()
        if not (value.isascii() and value.isdecimal() and len(value) < 20):
            return None
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e14:
        return None
    seconds = value / 1000 if value >= 1e11 else value
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def instant_from_iso(value: Any) -> datetime | None:
    """The instant an ISO 8601 text names, UTC if it names no zone; None if it is not one."""
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value.strip())
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
