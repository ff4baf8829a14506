"""SendGrid's Event Webhook in our words: a JSON array of events, of which some are repeated, late or not ours.

Fields and texts: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
"""

from __future__ import annotations

import re
from typing import Any

from rekindle.events.bots import is_scanner_network, is_software
from rekindle.events.json_elements import Broken, split_array
from rekindle.events.rows import LandedRequest, MessageEvent, Rows, event_key, instant_from_unix, text_or_none
from rekindle.identity import address_hash
from rekindle.vocabulary import EventType

PROVIDER = "sendgrid"

EVENT_TYPES: dict[str, EventType] = {
    "processed": EventType.ACCEPTED,
    "deferred": EventType.DEFERRED,
    "delivered": EventType.DELIVERED,
    "bounce": EventType.BOUNCED,  # by its type, see BOUNCE_TYPES
    "blocked": EventType.BLOCKED,  # older accounts write it as an event of its own
    "dropped": EventType.DROPPED,
    "open": EventType.OPENED,
    "click": EventType.CLICKED,
    "spamreport": EventType.COMPLAINED,
    "unsubscribe": EventType.UNSUBSCRIBED,
    "group_unsubscribe": EventType.UNSUBSCRIBED,
    "group_resubscribe": EventType.RESUBSCRIBED,
}

#: Only `bounce` means that the mailbox is gone for good; the others failed this one attempt.
BOUNCE_TYPES: dict[str, EventType] = {
    "bounce": EventType.BOUNCED,
    "blocked": EventType.BLOCKED,
    "expired": EventType.BLOCKED,
}

#: The documented reasons of a `dropped` event: the longer of two that begin alike comes first.
#: `dropped:<reason>` is their code in the table `provider_errors`, which says whether the address is suppressed.
DROP_REASONS = (
    "Unsubscribed Address",
    "Bounced Address",
    "Spam Reporting Address",
    "Invalid SMTPAPI header",
    "Invalid",
    "Spam Content",
    "Recipient List over Package Quota",
)
UNKNOWN_REASON = "unknown"

#: The classes SendGrid gives a bounce or a deferral; anything else is not repeated, it may hold an address.
BOUNCE_CLASSIFICATIONS: dict[str, str] = {
    "content": "content",
    "frequency or volume too high": "frequency_or_volume_too_high",
    "invalid address": "invalid_address",
    "mailbox unavailable": "mailbox_unavailable",
    "reputation": "reputation",
    "technical failure": "technical_failure",
    "unclassified": "unclassified",
}

#: RFC 3463: class, subject, detail.
_ENHANCED_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")

_REFUSALS = frozenset({EventType.BOUNCED, EventType.BLOCKED, EventType.DROPPED, EventType.DEFERRED})
#: What must not be lost because its time stamp is spoilt.
_STOPS = frozenset({EventType.UNSUBSCRIBED, EventType.COMPLAINED, EventType.BOUNCED})


def parse_request(request: LandedRequest, rows: Rows) -> None:
    """Read one request into `rows`; every element ends up as an element or as a dead letter."""
    for number, element, text in split_array(request.body):
        if isinstance(element, Broken):
            rows.bury(request, number, element.reason, text)
            continue
        event = parse_event(element, request)
        if isinstance(event, str):
            rows.bury(request, number, event, text)
        else:
            rows.keep(request, number, event.event_key, text)
            rows.message_events.append(event)


def parse_event(element: Any, request: LandedRequest) -> MessageEvent | str:
    """One event in our words, or the reason why it can not be used."""
    if not isinstance(element, dict):
        return "the element is not an object"
    word = text_or_none(element.get("event"))
    if word is None:
        return "the event has no name"
    word = word.strip().lower()
    event_type = EVENT_TYPES.get(word, EventType.OTHER)
    bounce_type = (text_or_none(element.get("type")) or "").strip().lower()
    status = _enhanced_status(element)
    if event_type is EventType.BOUNCED:
        event_type = _bounce(bounce_type, status)

    message_id = text_or_none(element.get("rk_message_id"))
    provider_message_id = text_or_none(element.get("sg_message_id"))
    email = text_or_none(element.get("email"))
    if event_type in _STOPS and email is None and message_id is None:
        return "the event stops an address and names neither the address nor our message"
    stamp = element.get("timestamp")
    occurred_at = instant_from_unix(stamp)
    if occurred_at is None:
        if event_type not in _STOPS:
            return "the event has no usable timestamp"
        occurred_at = request.received_at

    try:
        key = event_key(
            PROVIDER,
            message_id or provider_message_id,
            word,
            bounce_type,
            email.strip().lower() if email else None,
            stamp,
            element.get("url"),
            element.get("attempt"),
            element.get("asm_group_id"),
        )
    except (ValueError, RecursionError):
        return "the event holds text that is not Unicode"
    return MessageEvent(
        event_key=key,
        message_id=message_id,
        provider=PROVIDER,
        event_type=event_type,
        provider_event=word,
        occurred_at=occurred_at,
        received_at=request.received_at,
        provider_message_id=provider_message_id,
        error_code=_error_code(element, event_type, status, bounce_type),
        address_hash=address_hash(email) if email else None,
        is_human=_is_human(element, event_type),
        detail=_detail(element, event_type, word),
        landing_file=request.landing_file,
    )


def _bounce(bounce_type: str, status: str | None) -> EventType:
    if bounce_type:
        return BOUNCE_TYPES.get(bounce_type, EventType.BLOCKED)
    # Without a type only the enhanced status code tells: class 4 is a passing failure (RFC 3463).
    return EventType.BLOCKED if status and status.startswith("4") else EventType.BOUNCED


def _enhanced_status(element: dict[str, Any]) -> str | None:
    """The enhanced status code, as `5.1.1`; anything else in its place is not repeated."""
    status = (text_or_none(element.get("status")) or "").strip()
    return status if _ENHANCED_STATUS.fullmatch(status) else None


def _error_code(element: dict[str, Any], event_type: EventType, status: str | None, bounce_type: str) -> str | None:
    if event_type is EventType.DROPPED:
        return f"dropped:{_drop_reason(element)}"
    return (status or bounce_type or None) if event_type in _REFUSALS else None


def _drop_reason(element: dict[str, Any]) -> str:
    reason = (text_or_none(element.get("reason")) or "").strip().lower()
    return next((known for known in DROP_REASONS if reason.startswith(known.lower())), UNKNOWN_REASON)


def _is_human(element: dict[str, Any], event_type: EventType) -> bool | None:
    if event_type is EventType.OPENED and str(element.get("sg_machine_open")).lower() in ("true", "1"):
        return False
    if event_type in (EventType.OPENED, EventType.CLICKED):
        program, address = text_or_none(element.get("useragent")) or "", text_or_none(element.get("ip"))
        return not is_software(program) and not is_scanner_network(address)
    return None


def _detail(element: dict[str, Any], event_type: EventType, word: str) -> str | None:
    """A class, never a text: reasons and responses quote addresses."""
    if event_type is EventType.DROPPED:
        return _drop_reason(element).lower().replace(" ", "_")
    if event_type in _REFUSALS:
        classification = (text_or_none(element.get("bounce_classification")) or "").strip().lower()
        return BOUNCE_CLASSIFICATIONS.get(classification)
    if word in ("group_unsubscribe", "group_resubscribe"):
        group = element.get("asm_group_id")
        return f"asm_group:{group}" if isinstance(group, int) and not isinstance(group, bool) else "asm_group"
    if event_type is EventType.UNSUBSCRIBED:
        return "global"
    if event_type is EventType.OPENED and str(element.get("sg_machine_open")).lower() in ("true", "1"):
        return "machine_open"
    return None
