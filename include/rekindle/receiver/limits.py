"""Bounds what one client may ask in a minute, and puts the same careful headers on every answer.

Limited by the client's address: the pages and links, and apart from them the product's calls. Not limited: webhooks,
because a provider delivers a campaign's events in one burst and everything forged is refused anyway; the POST that
unsubscribes, because a mail program's one-click comes for many people from few addresses and must always work; and
callers on this very machine.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from math import ceil

from pyrate_limiter import GCRA, Rate, RateItem, StateBucket
from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.status import HTTP_429_TOO_MANY_REQUESTS
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rekindle.clock import Clock, SystemClock

MINUTE = 60_000  # milliseconds
#: Clients remembered at once, the least recent forgotten first: it bounds the memory, a few hundred bytes each.
MOST_CLIENTS = 20_000
#: An IPv6 subscriber holds a whole /64 and could call from another address of it every time.
SUBSCRIBER_PREFIX = 64

#: On every answer that does not say it better itself.
CAREFUL_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

PAGES = "pages"
TRACKING = "tracking"


class ClientRates:
    """At most `per_minute` requests a minute for each client, counted in constant memory; 0 limits nothing.

    Its clock must be the machine's: requests come in real time whatever day is being played.
    """

    def __init__(self, per_minute: int, clock: Clock | None = None) -> None:
        self._per_minute = per_minute
        self._clock = clock or SystemClock()
        self._buckets: OrderedDict[str, StateBucket] = OrderedDict()

    def seconds_to_wait(self, client: str) -> int:
        """0 if the request may pass, which is counted; else whole seconds until one may."""
        subscriber = _subscriber(client)
        if not self._per_minute or subscriber is None:
            return 0
        bucket = self._bucket(subscriber)
        item = RateItem(client, int(self._clock.now().timestamp() * 1000))
        if bucket.put(item):
            return 0
        waiting = bucket.waiting(item)
        return max(1, ceil(waiting / 1000)) if isinstance(waiting, int) else 1

    def _bucket(self, subscriber: str) -> StateBucket:
        bucket = self._buckets.pop(subscriber, None)
        if bucket is None:
            bucket = StateBucket([Rate(self._per_minute, MINUTE)], algorithm=GCRA())
            if len(self._buckets) >= MOST_CLIENTS:
                self._buckets.popitem(last=False)
        self._buckets[subscriber] = bucket
        return bucket


class Guard:
    """The middleware around every route."""

    def __init__(self, app: ASGIApp, rates: Mapping[str, ClientRates]) -> None:
        self._app = app
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_carefully(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in CAREFUL_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        door = _door(scope)
        client = scope.get("client")
        wait = self._rates[door].seconds_to_wait(client[0]) if door and client else 0
        if wait:
            refusal = PlainTextResponse("too many requests\n", HTTP_429_TOO_MANY_REQUESTS, {"Retry-After": str(wait)})
            await refusal(scope, receive, send_carefully)
            return
        await self._app(scope, receive, send_carefully)


def _door(scope: Scope) -> str | None:
    """Which limit the request counts against."""
    path, method = scope["path"], scope["method"]
    if path.startswith("/v1/"):
        return TRACKING
    if path.startswith("/webhooks/") or path in ("/healthz", "/readyz", "/metrics"):
        return None
    return None if path.startswith("/u/") and method == "POST" else PAGES


def _subscriber(client: str) -> str | None:
    """Whom a limit is for; None for this machine itself: a proxy on it that tells no address speaks for everybody."""
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if address.is_loopback:
        return None
    if isinstance(address, IPv6Address):
        return str(int(address) >> (128 - SUBSCRIBER_PREFIX))
    return client
