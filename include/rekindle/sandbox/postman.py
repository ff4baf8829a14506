"""Carries what is due to the receiver: batches of SendGrid events, signed Twilio forms, and people's own requests."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from rekindle.sandbox.sendgrid import post_body
from rekindle.sandbox.settings import is_loopback
from rekindle.sandbox.twilio import CallbackPolicy, Form, form_body, signature

#: SendGrid posts at the latest when this much has gathered.
MAX_POST_BYTES = 768 * 1024


class ParcelKind(StrEnum):
    SENDGRID_EVENT = "sendgrid_event"
    TWILIO_STATUS = "twilio_status"
    TWILIO_INBOUND = "twilio_inbound"
    PERSON = "person"  # a click, an unsubscribe, a scanner, a sign-in


@dataclass(slots=True)
class Parcel:
    """One thing to carry. Parcels of one `lane` arrive in order; `key` is the same whenever the run is the same."""

    key: str
    kind: ParcelKind
    lane: str
    #: A SendGrid event's JSON, or the body of a person's request.
    body: bytes = b""
    method: str = "POST"
    url: str = ""
    form: Form = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    #: What follows once it has arrived.
    then: Callable[[], None] | None = None
    #: Clock instant of the first try, for what is tried again later.
    first_tried_at: int | None = None


@dataclass(slots=True)
class Outcome:
    """What became of a load of parcels."""

    arrived: Counter[ParcelKind] = field(default_factory=Counter)
    refused: list[Parcel] = field(default_factory=list)
    follow_ups: list[Callable[[], None]] = field(default_factory=list)

    def arrived_with(self, parcel: Parcel) -> None:
        self.arrived[parcel.kind] += 1
        if parcel.then is not None:
            self.follow_ups.append(parcel.then)


class Postman:
    """Posts to one receiver with limited concurrency; never follows a redirect and never leaves this machine."""

    def __init__(
        self,
        *,
        receiver_url: str,
        public_url: str,
        signing_key: ec.EllipticCurvePrivateKey,
        twilio_auth_token: str,
        events_per_post: int,
        concurrency: int,
        timeout_seconds: float,
    ) -> None:
        self._receiver_url = receiver_url
        self._public_url = public_url
        self._signing_key = signing_key
        self._twilio_auth_token = twilio_auth_token
        self._events_per_post = events_per_post
        self._concurrency = concurrency
        self._tls = ssl.create_default_context()  # made once: it reads every authority's certificate
        self._timeout = {"connect": 5.0, "read": timeout_seconds, "write": timeout_seconds, "pool": None}

    def reachable(self, url: str) -> str:
        """Where a URL of ours really is: public addresses are the receiver's; only this machine is ever called."""
        if url == self._public_url or url.startswith((f"{self._public_url}/", f"{self._public_url}?")):
            return self._receiver_url + url[len(self._public_url) :]
        parts = urlsplit(url)
        if is_loopback(parts.hostname):
            return url
        return f"{self._receiver_url}{parts.path}{'?' + parts.query if parts.query else ''}"

    async def carry(self, parcels: Sequence[Parcel], now: int) -> Outcome:
        """Carry everything, in order within each lane, and wait until it is done."""
        outcome = Outcome()
        lanes: list[list[list[Parcel]]] = [[] for _ in range(self._concurrency)]
        for number, load in enumerate(self._loads(parcels)):
            # Batches rotate over the lanes; everything else stays behind its own predecessors.
            lane = number if load[0].kind is ParcelKind.SENDGRID_EVENT else _stable_hash(load[0].lane)
            lanes[lane % self._concurrency].append(load)
        async with asyncio.TaskGroup() as group:
            for lane_loads in lanes:
                if lane_loads:
                    group.create_task(self._walk(lane_loads, now, outcome))
        return outcome

    def _loads(self, parcels: Sequence[Parcel]) -> list[list[Parcel]]:
        loads: list[list[Parcel]] = []
        batch: list[Parcel] = []
        size = 0
        for parcel in parcels:
            if parcel.kind is not ParcelKind.SENDGRID_EVENT:
                loads.append([parcel])
                continue
            if not batch or len(batch) >= self._events_per_post or size + len(parcel.body) > MAX_POST_BYTES:
                batch, size = [], 0
                loads.append(batch)
            batch.append(parcel)
            size += len(parcel.body) + 3
        return loads

    async def _walk(self, loads: Sequence[Sequence[Parcel]], now: int, outcome: Outcome) -> None:
        # One connection a lane and no client around it: a common pool looks at every connection for every request,
        # and a client adds cookies and redirects; together they took four fifths of the time.
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        async with httpx.AsyncHTTPTransport(verify=self._tls, limits=limits, trust_env=False) as transport:
            for load in loads:
                kind = load[0].kind
                if kind is ParcelKind.SENDGRID_EVENT:
                    arrived = await self._post_events(transport, load, now)
                elif kind is ParcelKind.PERSON:
                    arrived = await self._request_of_person(transport, load[0])
                else:
                    arrived = await self._call_back(transport, load[0])
                for parcel in load:
                    if arrived:
                        outcome.arrived_with(parcel)
                    else:
                        outcome.refused.append(parcel)

    async def _post_events(self, transport: httpx.AsyncHTTPTransport, load: Sequence[Parcel], now: int) -> bool:
        body = post_body([parcel.body for parcel in load])
        timestamp = str(now)
        signed = self._signing_key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        headers = {
            "User-Agent": "SendGrid Event API",
            "Content-Type": "application/json",
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signed).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }
        return (
            await self._status(transport, "POST", f"{self._receiver_url}/webhooks/sendgrid/events", headers, body)
            // 100
            == 2
        )

    async def _call_back(self, transport: httpx.AsyncHTTPTransport, parcel: Parcel) -> bool:
        policy = CallbackPolicy.of(parcel.url)
        headers = {
            "User-Agent": "TwilioProxy/1.1",
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "X-Twilio-Signature": signature(self._twilio_auth_token, policy.url, parcel.form),
            "I-Twilio-Idempotency-Token": hashlib.blake2b(parcel.key.encode(), digest_size=16).hexdigest(),
        }
        body, url = form_body(parcel.form), self.reachable(policy.url)
        for _ in range(1 + policy.retries):
            try:
                status = await self._request(transport, "POST", url, headers, body)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                result = "ct"
            except httpx.TransportError:
                result = "rt"
            else:
                if status < 400:
                    return status < 300
                result = "4xx" if status < 500 else "5xx"
            if not policy.retries_after(result):
                return False
        return False

    async def _request_of_person(self, transport: httpx.AsyncHTTPTransport, parcel: Parcel) -> bool:
        # A redirect is an arrival: the click was counted, and where it leads is not asked for.
        return (
            await self._status(transport, parcel.method, self.reachable(parcel.url), parcel.headers, parcel.body) < 400
        )

    async def _status(
        self, transport: httpx.AsyncHTTPTransport, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> int:
        """The status of the answer; 599 when there was none."""
        try:
            return await self._request(transport, method, url, headers, body)
        except httpx.TransportError:
            return 599

    async def _request(
        self, transport: httpx.AsyncHTTPTransport, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> int:
        try:
            request = httpx.Request(method, url, headers=headers, content=body, extensions={"timeout": self._timeout})
        except httpx.InvalidURL as error:
            raise httpx.UnsupportedProtocol(str(error)) from error
        response = await transport.handle_async_request(request)
        try:
            await response.aread()
        finally:
            await response.aclose()
        return response.status_code


def _stable_hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def monotonic() -> float:
    """Real seconds for real rates; the logical clock stands still while a rate is measured."""
    return time.monotonic()
