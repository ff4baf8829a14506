"""The door for the product's own events: Segment's HTTP tracking API, with write keys of our own."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Sequence

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.status import HTTP_400_BAD_REQUEST, HTTP_401_UNAUTHORIZED

from rekindle.receiver.reception import Reception, read_body
from rekindle.vocabulary import Stream


def tracking_router(reception: Reception, write_keys: Sequence[str], max_body_bytes: int) -> APIRouter:
    """POST /v1/track, /v1/identify and /v1/batch."""
    router = APIRouter(prefix="/v1")

    @router.post("/track")
    @router.post("/identify")
    @router.post("/batch")
    async def take_calls(request: Request) -> Response:
        stream = Stream.APP_EVENTS
        if not _is_known(request.headers.get("authorization", ""), write_keys):
            reception.count(stream, "write_key_refused")
            return JSONResponse(
                {"success": False}, HTTP_401_UNAUTHORIZED, {"WWW-Authenticate": 'Basic realm="write key"'}
            )
        body = await read_body(request, max_body_bytes)
        if not _is_object(body):
            reception.count(stream, "not_json")
            return JSONResponse({"success": False, "message": "the body is not a JSON object"}, HTTP_400_BAD_REQUEST)
        await reception.land(stream, request, body)
        return JSONResponse({"success": True})

    return router


def _is_known(authorization: str, write_keys: Sequence[str]) -> bool:
    """Whether the basic-auth user name is one of the write keys; every key is compared, whichever fits."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        user = base64.b64decode(credentials.strip(), validate=True).partition(b":")[0]
    except (binascii.Error, ValueError):
        return False
    return sum(hmac.compare_digest(user, key.encode()) for key in write_keys) > 0


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False
