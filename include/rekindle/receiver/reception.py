"""What every door of the receiver shares: reading a body within bounds, landing a request, counting."""

from __future__ import annotations

import asyncio
import base64
import logging
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request

from rekindle.clock import Clock
from rekindle.errors import RekindleError
from rekindle.receiver.landing import LandingZone
from rekindle.vocabulary import Stream

logger = logging.getLogger(__name__)

#: The headers worth keeping; credentials, cookies and addresses are not among them.
KEPT_HEADERS = (
    "content-type",
    "user-agent",
    "i-twilio-idempotency-token",
    "x-twilio-email-event-webhook-timestamp",
    "sec-purpose",
    "purpose",
    "x-purpose",
    "x-moz",
)
LONGEST_HEADER = 512  # characters kept

#: Seconds. A store's client may try for minutes; Twilio hangs up after 15 seconds and calls again. What is written
#: after all is then there twice, and counts once.
DURABLE_WITHIN = 10.0

#: Streams whose records say what the link's token holds; not the token itself.
WITH_TOKEN = frozenset(
    {Stream.LINK_CLICKS, Stream.UNSUBSCRIBES, Stream.PREFERENCES, Stream.CONFIRMATIONS, Stream.OPT_INS}
)


class BodyTooLarge(RekindleError):
    """The request's body is longer than this door takes."""


class CannotUnpack(RekindleError):
    """The body is packed in a way we do not unpack, or not packed as it says."""


class NotDurable(RekindleError):
    """The request could not be written to the landing zone; the caller must try again."""


class Reception:
    """Takes requests in and says how many."""

    def __init__(self, landing: LandingZone, clock: Clock, on_refusal: Callable[[Stream, str], None]) -> None:
        self.landing = landing
        self.clock = clock
        self._on_refusal = on_refusal
        #: `<stream>.<what happened>` → how often, since this process started.
        self.counts: Counter[str] = Counter()

    def count(self, stream: Stream, what: str) -> None:
        """Note that something happened; refusals are logged, without a word of what was sent."""
        self.counts[f"{stream}.{what}"] += 1
        if what != "accepted":
            self._on_refusal(stream, what)
            logger.warning("%s: %s", stream, what)

    async def land(
        self,
        stream: Stream,
        request: Request,
        body: bytes = b"",
        *,
        token: Mapping[str, str] | None = None,
        path: str | None = None,
        with_query: bool = False,
    ) -> None:
        """Return once the request is durable; raises `NotDurable`, at the latest after `DURABLE_WITHIN`."""
        record: dict[str, Any] = {
            "received_at": self.clock.now().isoformat(),
            "remote": request.client.host if request.client else None,
            "method": request.method,
            "path": request.url.path if path is None else path,
            "headers": {
                name: value[:LONGEST_HEADER]
                for name in KEPT_HEADERS
                if (value := request.headers.get(name)) is not None
            },
            "query": _query(request) if with_query else {},
        }
        try:
            record["body"] = body.decode()
        except UnicodeDecodeError:
            record["body_base64"] = base64.b64encode(body).decode()
        if stream in WITH_TOKEN:
            record["token"] = token
        try:
            async with asyncio.timeout(DURABLE_WITHIN):
                await asyncio.wrap_future(self.landing.append(stream, record))
        except (OSError, RuntimeError) as error:
            self.count(stream, "not_durable")
            raise NotDurable("the landing zone did not take the request") from error
        self.count(stream, "accepted")


async def read_body(request: Request, limit: int) -> bytes:
    """The raw body; raises `BodyTooLarge` as soon as it is known to be longer than `limit`."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise BodyTooLarge("the body is too large")
    body, is_whole = await read_body_up_to(request, limit)
    if not is_whole:
        raise BodyTooLarge("the body is too large")
    return body


async def read_body_up_to(request: Request, limit: int) -> tuple[bytes, bool]:
    """The first `limit` bytes of the body, and whether that was all of it."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            return bytes(body[:limit]), False
    return bytes(body), True


def unpacked(body: bytes, encoding: str | None, limit: int) -> bytes:
    """The body behind its `Content-Encoding`; at most `limit` bytes are ever unpacked.

    Raises `CannotUnpack`, or `BodyTooLarge` if there is more.
    """
    if (encoding or "identity").strip().lower() == "identity":
        return body
    if (encoding or "").strip().lower() != "gzip":
        raise CannotUnpack("only gzip is unpacked")
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise CannotUnpack("the body is not gzip") from error
    if len(content) > limit:
        raise BodyTooLarge("the unpacked body is too large")
    if not unpacker.eof:
        raise CannotUnpack("the gzip body is cut off")
    return content


def _query(request: Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in parse_qsl(request.url.query, keep_blank_values=True):
        found.setdefault(name, value)
    return found
