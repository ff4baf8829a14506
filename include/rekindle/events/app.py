"""The product's own events, in Segment's HTTP tracking shape: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from rekindle.events.json_elements import DECODER
from rekindle.events.rows import WHOLE_REQUEST, AppEvent, LandedRequest, Rows, event_key, instant_from_iso, text_or_none
from rekindle.identity import stable_id

#: The calls of the Segment spec. What somebody did (`track`, `page`, `screen`) becomes an app event; what somebody is
#: (`identify`, `group`, `alias`) is kept as it came: servers send it for everybody at night, and the company's own
#: pipeline owns the users table.
CALLS = frozenset({"track", "identify", "page", "screen", "group", "alias"})
DEEDS = frozenset({"track", "page", "screen"})

#: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/#max-request-size
LONGEST_CALL = 32 * 1024  # bytes; the receiver refuses a longer single call, one in a batch is buried alone


def parse_request(request: LandedRequest, rows: Rows) -> None:
    """Read one call or one batch of calls into `rows`."""
    try:
        content = DECODER.decode(request.body)
    except (ValueError, RecursionError):
        rows.bury(request, WHOLE_REQUEST, "the body is not JSON", request.body)
        return
    if not isinstance(content, dict):
        rows.bury(request, WHOLE_REQUEST, "the body is not a JSON object", request.body)
        return
    if "batch" not in content:
        _parse_call(content, 1, request, rows, content.get("sentAt"))
        return
    batch = content["batch"]
    if not isinstance(batch, list) or not batch:
        rows.bury(request, WHOLE_REQUEST, "the batch is not a list of calls", request.body)
        return
    for number, call in enumerate(batch, start=1):
        _parse_call(call, number, request, rows, content.get("sentAt"))


def _parse_call(call: Any, number: int, request: LandedRequest, rows: Rows, sent_at: Any) -> None:
    try:
        payload = json.dumps(call)
    except RecursionError:
        rows.bury(request, number, "the call is nested too deeply", "")
        return
    if not isinstance(call, dict):
        rows.bury(request, number, "the call is not an object", payload)
        return
    if len(payload) > LONGEST_CALL and _byte_count(call) > LONGEST_CALL:
        rows.bury(request, number, "the call is longer than 32 KB", payload)
        return
    kind = call.get("type", request.path.rpartition("/")[2])
    if not isinstance(kind, str) or kind not in CALLS:
        rows.bury(request, number, "the call is of no known type", payload)
        return
    user_id = _identifier(call.get("userId"))
    if user_id is None and _identifier(call.get("anonymousId")) is None:
        rows.bury(request, number, "the call names nobody: it has neither userId nor anonymousId", payload)
        return
    name = text_or_none(call.get("event"))
    if kind == "track" and name is None:
        rows.bury(request, number, "the track call has no event name", payload)
        return
    stamp = call.get("timestamp") or call.get("originalTimestamp")
    occurred_at = _occurred_at(call, call.get("sentAt") or sent_at, request.received_at)
    if occurred_at is None:
        rows.bury(request, number, "the call's timestamp is not ISO 8601", payload)
        return
    event_id = _identifier(call.get("messageId")) or stable_id(
        "app", kind, payload, "" if stamp else request.received_at.isoformat()
    )
    rows.keep(request, number, event_key("app", kind, event_id), payload)
    if kind not in DEEDS or user_id is None:
        return
    properties = call.get("properties")
    rows.app_events.append(
        AppEvent(
            event_id=event_id,
            user_id=user_id,
            event_type=name if kind == "track" and name else kind,
            # A device whose clock is ahead must not look alive for years: nothing happens after we were told of it.
            occurred_at=min(occurred_at, request.received_at),
            properties=json.dumps(properties) if isinstance(properties, dict) and properties else None,
            is_made_up=isinstance(properties, dict) and properties.get("made_up") is True,
            source_file=request.landing_file,
            source_row=len(rows.elements) + len(rows.dead_letters),
        )
    )


def _byte_count(call: dict[str, Any]) -> int:
    """The call's length as the libraries write it: letters of other scripts as they are."""
    return len(json.dumps(call, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"))


def _occurred_at(call: dict[str, Any], sent_at: Any, received_at: datetime) -> datetime | None:
    """When it happened by our clock; None if the call's own instant can not be read.

    A device's clock may be wrong: what counts is how long before the sending it happened, so the skew between its clock
    and ours is taken out (https://segment.com/docs/connections/spec/common/#timestamps). Who forwards Segment's events
    sends `receivedAt` too, and then `timestamp` is corrected already.
    """
    stamp, original = call.get("timestamp"), call.get("originalTimestamp")
    if call.get("receivedAt") is not None and stamp is not None:
        return instant_from_iso(stamp)
    happened = original if original is not None else stamp
    if happened is None:
        return received_at
    happened_at, sent = instant_from_iso(happened), instant_from_iso(sent_at)
    if happened_at is None or sent is None:
        return happened_at
    try:
        return received_at - (sent - happened_at)
    except OverflowError:
        return None


def _identifier(value: Any) -> str | None:
    """An id as text; libraries send numeric user ids as numbers."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text_or_none(value)
