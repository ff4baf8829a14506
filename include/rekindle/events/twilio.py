"""Twilio's status callbacks and inbound messages in our words: one form (or JSON object) a request.

Fields: https://twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks and
https://twilio.com/docs/messaging/guides/webhook-request
"""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

from rekindle.events.json_elements import DECODER
from rekindle.events.optout import read_reply
from rekindle.events.rows import WHOLE_REQUEST, LandedRequest, MessageEvent, Rows, event_key, text_or_none
from rekindle.identity import address_hash
from rekindle.vocabulary import EventType, Stream

PROVIDER = "twilio"
FORM = "application/x-www-form-urlencoded"

#: Name of our message id in the query string of the callback URL; it is inside what Twilio signs.
MESSAGE_ID_PARAMETER = "mid"

EVENT_TYPES: dict[str, EventType] = {
    "scheduled": EventType.ACCEPTED,
    "accepted": EventType.ACCEPTED,
    "queued": EventType.ACCEPTED,
    "sending": EventType.ACCEPTED,
    "sent": EventType.SENT,
    "delivered": EventType.DELIVERED,
    "read": EventType.DELIVERED,
    "undelivered": EventType.UNDELIVERED,
    "failed": EventType.FAILED,
    "canceled": EventType.FAILED,
}


def form_pairs(body: str) -> list[tuple[str, str]]:
    """Every parameter of a form body in its order, blanks and repetitions included: what the signature covers."""
    return parse_qsl(body, keep_blank_values=True)


def is_form(content_type: str | None) -> bool:
    """Whether a request with this content type is signed over its form parameters."""
    return (content_type or "").partition(";")[0].strip().lower() == FORM


def parameters(body: str, content_type: str | None) -> dict[str, str] | str:
    """The body's parameters (the first of a repeated one), or the reason why there are none."""
    if is_form(content_type):
        found: dict[str, str] = {}
        for name, value in form_pairs(body):
            found.setdefault(name, value)
        return found or "the form is empty"
    try:
        content = DECODER.decode(body)
    except (ValueError, RecursionError):
        return "the body is neither a form nor JSON"
    if not isinstance(content, dict):
        return "the body is not a JSON object"
    return {
        name: str(value)
        for name, value in content.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    }


def parse_request(request: LandedRequest, rows: Rows) -> None:
    """Read one request into `rows`, as one element or one dead letter."""
    found = parameters(request.body, request.headers.get("content-type"))
    if isinstance(found, str):
        rows.bury(request, WHOLE_REQUEST, found, request.body)
        return
    parse = parse_inbound if request.stream is Stream.TWILIO_INBOUND else parse_status
    event = parse(found, request)
    if isinstance(event, str):
        rows.bury(request, 1, event, request.body)
        return
    payload = {**found, MESSAGE_ID_PARAMETER: event.message_id} if event.message_id else found
    rows.keep(request, 1, event.event_key, json.dumps(payload))
    rows.message_events.append(event)


def parse_status(found: dict[str, str], request: LandedRequest) -> MessageEvent | str:
    """A status callback in our words, or the reason why it can not be used."""
    sid = text_or_none(found.get("MessageSid")) or text_or_none(found.get("SmsSid"))
    status = text_or_none(found.get("MessageStatus")) or text_or_none(found.get("SmsStatus"))
    if sid is None:
        return "the callback names no message"
    if status is None:
        return "the callback has no status"
    status = status.strip().lower()
    error_code = text_or_none(found.get("ErrorCode"))
    to = text_or_none(found.get("To"))
    return MessageEvent(
        event_key=event_key(PROVIDER, "status", sid, status, error_code),
        message_id=text_or_none(request.query.get(MESSAGE_ID_PARAMETER)),
        provider=PROVIDER,
        event_type=EVENT_TYPES.get(status, EventType.OTHER),
        provider_event=status,
        occurred_at=request.received_at,
        received_at=request.received_at,
        provider_message_id=sid,
        error_code=error_code if error_code != "0" else None,
        address_hash=address_hash(to) if to else None,
        is_human=None,
        detail=None,
        landing_file=request.landing_file,
    )


def parse_inbound(found: dict[str, str], request: LandedRequest) -> MessageEvent | str:
    """A person's text in our words; the body itself goes no further than the raw payload."""
    sid = next(
        (sid for name in ("MessageSid", "SmsSid", "SmsMessageSid") if (sid := text_or_none(found.get(name)))), None
    )
    sender = text_or_none(found.get("From"))
    if sid is None:
        return "the message has no id"
    if sender is None:
        return "the message has no sender"
    reading = read_reply(found.get("Body", ""), found.get("OptOutType"))
    return MessageEvent(
        event_key=event_key(PROVIDER, "inbound", sid),
        message_id=None,
        provider=PROVIDER,
        event_type=reading.event_type,
        provider_event="inbound",
        occurred_at=request.received_at,
        received_at=request.received_at,
        provider_message_id=sid,
        error_code=None,
        address_hash=address_hash(sender),
        is_human=None,
        detail=reading.detail,
        landing_file=request.landing_file,
    )
