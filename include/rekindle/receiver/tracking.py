"""The door for the product's own events: Segment's HTTP tracking API, with write keys of our own.

https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/ is what Segment's and RudderStack's
libraries speak, so any of them can be pointed here.
"""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.status import HTTP_400_BAD_REQUEST, HTTP_401_UNAUTHORIZED

from rekindle.events.app import CALLS, LONGEST_CALL
from rekindle.receiver.api import CALL_RESPONSES, described_call
from rekindle.receiver.reception import Reception, read_body, unpacked
from rekindle.receiver.write_keys import CHALLENGE, WriteKeys
from rekindle.vocabulary import Stream

#: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/#max-request-size
LONGEST_BATCH = 500 * 1024  # bytes


def tracking_router(reception: Reception, write_keys: WriteKeys, max_body_bytes: int) -> APIRouter:
    """POST /v1/track, /v1/identify, /v1/page, /v1/screen, /v1/group, /v1/alias and /v1/batch."""
    router = APIRouter(prefix="/v1", tags=["product events"])

    async def take(request: Request, limit: int) -> Response:
        stream = Stream.APP_EVENTS
        limit = min(limit, max_body_bytes)
        body = unpacked(await read_body(request, limit), request.headers.get("content-encoding"), limit)
        content = _object(body)
        if not write_keys.know_header(request.headers.get("authorization", "")) and not (
            content is not None and write_keys.know_body(content)
        ):
            reception.count(stream, "write_key_refused")
            return JSONResponse({"success": False}, HTTP_401_UNAUTHORIZED, CHALLENGE)
        if content is None:
            reception.count(stream, "not_json")
            return JSONResponse({"success": False, "message": "the body is not a JSON object"}, HTTP_400_BAD_REQUEST)
        # The key opens this door for ever; what is kept must not hold it.
        if "writeKey" in content:
            body = json.dumps({name: value for name, value in content.items() if name != "writeKey"}).encode()
        await reception.land(stream, request, body)
        return JSONResponse({"success": True})

    async def take_call(request: Request) -> Response:
        return await take(request, LONGEST_CALL)

    async def take_batch(request: Request) -> Response:
        return await take(request, LONGEST_BATCH)

    for kind in sorted(CALLS):
        router.post(
            f"/{kind}",
            name=f"take_{kind}",
            operation_id=kind,
            summary=f"One {kind} call of at most 32 KB",
            responses=CALL_RESPONSES,
            openapi_extra=described_call(kind),
        )(take_call)
    router.post(
        "/batch",
        operation_id="batch",
        summary="Several calls of at most 32 KB each, 500 KB together",
        responses=CALL_RESPONSES,
        openapi_extra=described_call("batch"),
    )(take_batch)
    return router


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
