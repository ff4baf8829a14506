"""The product's own events, in Segment's HTTP tracking shape: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/"""

from __future__ import annotations

import json
from typing import Any

from rekindle.events.json_elements import DECODER
from rekindle.events.rows import WHOLE_REQUEST, AppEvent, LandedRequest, Rows, event_key, instant_from_iso, text_or_none
from rekindle.identity import stable_id

#: The calls of the Segment spec. Only `track` becomes an app event; the others are kept as they came.
CALLS = frozenset({"track", "identify", "page", "screen", "group", "alias"})


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
        _parse_call(content, 1, request, rows)
        return
    batch = content["batch"]
    if not isinstance(batch, list) or not batch:
        rows.bury(request, WHOLE_REQUEST, "the batch is not a list of calls", request.body)
        return
    for number, call in enumerate(batch, start=1):
        _parse_call(call, number, request, rows)


def _parse_call(call: Any, number: int, request: LandedRequest, rows: Rows) -> None:
    try:
        payload = json.dumps(call)
    except RecursionError:
        rows.bury(request, number, "the call is nested too deeply", "")
        return
    if not isinstance(call, dict):
        rows.bury(request, number, "the call is not an object", payload)
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
    stamp = call.get("timestamp")
    occurred_at = request.received_at if stamp is None else instant_from_iso(stamp)
    if occurred_at is None:
        rows.bury(request, number, "the call's timestamp is not ISO 8601", payload)
        return
    event_id = _identifier(call.get("messageId")) or stable_id(
        "app", kind, payload, "" if stamp else request.received_at.isoformat()
    )
    rows.keep(request, number, event_key("app", kind, event_id), payload)
    if kind != "track" or user_id is None or name is None:
        return
    properties = call.get("properties")
    rows.app_events.append(
        AppEvent(
            event_id=event_id,
            user_id=user_id,
            event_type=name,
            # A device whose clock is ahead must not look alive for years: nothing happens after we were told of it.
            occurred_at=min(occurred_at, request.received_at),
            properties=json.dumps(properties) if isinstance(properties, dict) and properties else None,
            is_made_up=isinstance(properties, dict) and properties.get("made_up") is True,
            source_file=request.landing_file,
            source_row=len(rows.elements) + len(rows.dead_letters),
        )
    )


def _identifier(value: Any) -> str | None:
    """An id as text; libraries send numeric user ids as numbers."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text_or_none(value)
