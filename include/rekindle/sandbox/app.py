"""The routes: SendGrid's, Twilio's, and the sandbox's own under `/_sandbox`."""

from __future__ import annotations

import asyncio
import base64
import hmac
import math
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from itertools import islice
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rekindle.clock import Clock, clock_from_environment
from rekindle.sandbox import sendgrid, twilio
from rekindle.sandbox.faults import AFTER, BEFORE, Endpoint, FaultKind, FaultRule, Provider
from rekindle.sandbox.keys import public_key_base64
from rekindle.sandbox.lookup import look_up
from rekindle.sandbox.page import render_page
from rekindle.sandbox.sendgrid import SuppressionList
from rekindle.sandbox.settings import Reactions, SandboxSettings
from rekindle.sandbox.world import World, iso

_LINES_PER_CHUNK = 500
_DEFAULT_LIMIT = 1000
_RULES = TypeAdapter(list[FaultRule])


class Deactivations(BaseModel):
    """One day's numbers given up."""

    day: date
    numbers: list[str]


def create_app(settings: SandboxSettings | None = None, clock: Clock | None = None) -> Starlette:
    """The sandbox as an ASGI application; `app.state.world` holds what it knows."""
    settings = settings or SandboxSettings()
    world = World(settings, clock or clock_from_environment())
    gate = Gate(world)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        world.close()

    app = SandboxApp(
        gate,
        routes=[*SendGridRoutes(world).routes(), *TwilioRoutes(world).routes(), *ControlRoutes(world, gate).routes()],
        exception_handlers={HTTPException: _in_the_providers_shape},
        lifespan=lifespan,
    )
    app.state.world = world
    return app


def _json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return _raw_json(to_json(content), status, headers)


def _raw_json(content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(content, status, headers, media_type="application/json")


async def _in_the_providers_shape(request: Request, error: Exception) -> Response:
    """404 and 405 look like the provider's whose path it is."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if path.startswith("/v3/"):
        return _raw_json(
            sendgrid.NOT_FOUND if error.status_code == 404 else sendgrid.METHOD_NOT_ALLOWED, error.status_code
        )
    if path.startswith(("/2010-04-01/", "/v1/", "/v2/")):
        return _refused(twilio.Refusal(20404 if error.status_code == 404 else 20004, detail=path))
    return _json({"detail": error.detail}, error.status_code)


def _whole_number(request: Request, name: str, default: int | None = None) -> int | None:
    text = request.query_params.get(name)
    if not text:
        return default
    try:
        return max(0, int(text))
    except ValueError:
        raise HTTPException(400, f"{name} must be a whole number") from None


def _too_busy(world: World, provider: Provider, wait: float, limit: float | None = None) -> Response:
    """429, in the provider's own words: the request was not processed."""
    seconds = max(1, math.ceil(wait))
    headers = {"Retry-After": str(seconds)}
    if provider is Provider.TWILIO:
        return _raw_json(twilio.Refusal(20429).body(), 429, headers | {"Twilio-Concurrent-Requests": "100"})
    return _raw_json(sendgrid.TOO_MANY_REQUESTS, 429, headers | _rate_headers(world, limit or 600, 0, seconds))


def _rate_headers(world: World, limit: float, remaining: int, wait: float) -> dict[str, str]:
    """SendGrid's three, on refusals and on what it accepts; the reset is in whole Unix seconds."""
    return {
        "X-RateLimit-Limit": str(int(limit)),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(world.now() + math.ceil(wait)),
    }


# --- SendGrid


class SendGridRoutes:
    def __init__(self, world: World) -> None:
        self._world = world
        self._authorization = f"Bearer {world.settings.sendgrid_api_key.get_secret_value()}".encode()

    def routes(self) -> list[Route]:
        suppression = "/v3/suppression/{name}"
        return [
            Route("/v3/mail/send", self.send, methods=["POST"]),
            Route(suppression, self.list_suppressed, methods=["GET"]),
            Route(suppression, self.delete_many_suppressed, methods=["DELETE"]),
            Route(suppression + "/{email}", self.get_suppressed, methods=["GET"]),
            Route(suppression + "/{email}", self.delete_suppressed, methods=["DELETE"]),
            Route("/v3/asm/suppressions/global", self.unsubscribe, methods=["POST"]),
            Route("/v3/asm/suppressions/global/{email}", self.get_unsubscribed, methods=["GET"]),
            Route("/v3/asm/suppressions/global/{email}", self.delete_unsubscribed, methods=["DELETE"]),
            Route("/v3/asm/groups/{group:int}/suppressions", self.unsubscribe_from_group, methods=["POST"]),
            Route("/v3/asm/groups/{group:int}/suppressions", self.list_group, methods=["GET"]),
            Route("/v3/asm/groups/{group:int}/suppressions/{email}", self.delete_from_group, methods=["DELETE"]),
            Route("/v3/user/webhooks/event/settings/signed", self.signing_key, methods=["GET"]),
        ]

    def _denied(self, request: Request) -> Response | None:
        given = request.headers.get("authorization", "").encode()
        return None if hmac.compare_digest(given, self._authorization) else _raw_json(sendgrid.UNAUTHORIZED, 401)

    async def send(self, request: Request) -> Response:
        """`POST /v3/mail/send`: all of it or nothing of it."""
        denied = self._denied(request)
        if denied is not None:
            return denied
        if not request.headers.get("content-type", "").lower().startswith("application/json"):
            return _raw_json(sendgrid.WRONG_CONTENT_TYPE, 415)
        raw = await request.body()
        if len(raw) > sendgrid.MAX_BYTES_OF_MESSAGE:
            return _raw_json(sendgrid.TOO_LARGE, 413)
        document = sendgrid.parse(raw)
        if document is None:
            return _raw_json(sendgrid.BAD_REQUEST, 400)
        world = self._world
        bad_recipients = world.faults.bad_recipients(Provider.SENDGRID, Endpoint.MAIL_SEND, raw)
        problems = sendgrid.problems_with(document, world.now(), bad_recipients)
        if problems:
            return _raw_json(sendgrid.error_body(*problems), 400)
        if sendgrid.is_sandbox_mode(document):
            return Response(status_code=200)
        recipients = sendgrid.count_recipients(document)
        busy = world.faults.wait_for(Provider.SENDGRID, Endpoint.MAIL_SEND, recipients, recipients)
        if busy is not None:
            return _too_busy(world, Provider.SENDGRID, busy[0], busy[1].per_second)
        accepted = world.accept_mail(raw, recipients)
        headers = {"X-Message-Id": accepted.request_id}
        left = world.faults.left(Provider.SENDGRID, Endpoint.MAIL_SEND)
        return Response(status_code=202, headers=headers if left is None else headers | _rate_headers(world, *left))

    def _list_name(self, request: Request) -> SuppressionList:
        try:
            return SuppressionList(request.path_params["name"])
        except ValueError:
            raise HTTPException(404) from None

    async def list_suppressed(self, request: Request) -> Response:
        denied = self._denied(request)
        if denied is not None:
            return denied
        entries = self._world.suppressions.page(
            self._list_name(request),
            start=_whole_number(request, "start_time"),
            end=_whole_number(request, "end_time"),
            part=request.query_params.get("email", ""),
            offset=_whole_number(request, "offset", 0) or 0,
            limit=min(500, _whole_number(request, "limit", 500) or 500),
        )
        return _json(entries)

    async def get_suppressed(self, request: Request) -> Response:
        denied = self._denied(request)
        if denied is not None:
            return denied
        entry = self._world.suppressions.entry(self._list_name(request), request.path_params["email"])
        return _json([] if entry is None else [entry])

    async def delete_suppressed(self, request: Request) -> Response:
        denied = self._denied(request)
        if denied is not None:
            return denied
        return self._removed(self._world.unsuppress(self._list_name(request), request.path_params["email"]))

    async def delete_many_suppressed(self, request: Request) -> Response:
        """`{"delete_all": true}` or `{"emails": [...]}`; never both."""
        denied = self._denied(request)
        if denied is not None:
            return denied
        name = self._list_name(request)
        document = sendgrid.parse(await request.body()) or {}
        delete_all, emails = document.get("delete_all") is True, document.get("emails") or []
        if delete_all == bool(emails) or not isinstance(emails, list):
            return _raw_json(
                sendgrid.error_body(sendgrid.problem("Give either delete_all or emails.", "delete_all")), 400
            )
        for email in list(self._world.suppressions.lists[name]) if delete_all else emails:
            self._world.unsuppress(name, str(email))
        return Response(status_code=204)

    async def unsubscribe(self, request: Request) -> Response:
        """`POST /v3/asm/suppressions/global`: what mirrors opt-outs learned elsewhere."""
        return await self._take_recipients(
            request, lambda email: self._world.suppress(SuppressionList.UNSUBSCRIBES, email)
        )

    async def unsubscribe_from_group(self, request: Request) -> Response:
        """`POST /v3/asm/groups/{id}/suppressions`."""
        group = str(request.path_params["group"])
        return await self._take_recipients(request, lambda email: self._world.suppress_in_group(group, email))

    async def list_group(self, request: Request) -> Response:
        """`GET /v3/asm/groups/{id}/suppressions`: the addresses, as they were given."""
        denied = self._denied(request)
        if denied is not None:
            return denied
        return _json(list(self._world.suppressions.groups.get(str(request.path_params["group"]), {}).values()))

    async def delete_from_group(self, request: Request) -> Response:
        """`DELETE /v3/asm/groups/{id}/suppressions/{email}`."""
        denied = self._denied(request)
        if denied is not None:
            return denied
        group, email = str(request.path_params["group"]), request.path_params["email"]
        return self._removed(self._world.unsuppress_in_group(group, email))

    async def _take_recipients(self, request: Request, take: Callable[[str], None]) -> Response:
        denied = self._denied(request)
        if denied is not None:
            return denied
        document = sendgrid.parse(await request.body()) or {}
        emails = document.get("recipient_emails")
        if (
            not isinstance(emails, list)
            or not emails
            or not all(isinstance(email, str) and "@" in email for email in emails)
        ):
            body = sendgrid.error_body(
                sendgrid.problem("recipient_emails must be a list of valid email addresses", "recipient_emails")
            )
            return _raw_json(body, 400)
        for email in emails:
            take(email)
        return _json({"recipient_emails": emails}, 201)

    async def get_unsubscribed(self, request: Request) -> Response:
        denied = self._denied(request)
        if denied is not None:
            return denied
        email = request.path_params["email"]
        entry = self._world.suppressions.entry(SuppressionList.UNSUBSCRIBES, email)
        return _json({} if entry is None else {"recipient_email": entry["email"]})

    async def delete_unsubscribed(self, request: Request) -> Response:
        denied = self._denied(request)
        if denied is not None:
            return denied
        return self._removed(self._world.unsuppress(SuppressionList.UNSUBSCRIBES, request.path_params["email"]))

    def _removed(self, removed: bool) -> Response:
        return Response(status_code=204) if removed else _raw_json(sendgrid.NOT_FOUND, 404)

    async def signing_key(self, request: Request) -> Response:
        """The public key of the Event Webhook."""
        denied = self._denied(request)
        return (
            denied
            if denied is not None
            else _json({"id": None, "public_key": public_key_base64(self._world.signing_key)})
        )


# --- Twilio


def _refused(refusal: twilio.Refusal) -> Response:
    headers = {"WWW-Authenticate": 'Basic realm="Twilio API"'} if refusal.status == 401 else None
    return _raw_json(refusal.body(), refusal.status, headers)


class TwilioRoutes:
    def __init__(self, world: World) -> None:
        self._world = world
        settings = world.settings
        self._sid = settings.twilio_account_sid
        pairs = [(self._sid, settings.twilio_auth_token.get_secret_value())]
        if settings.twilio_api_key_sid and settings.twilio_api_key_secret:
            pairs.append((settings.twilio_api_key_sid, settings.twilio_api_key_secret.get_secret_value()))
        self._authorizations = [b"Basic " + base64.b64encode(f"{user}:{secret}".encode()) for user, secret in pairs]

    def routes(self) -> list[Route]:
        messages = "/2010-04-01/Accounts/{account}/Messages"
        return [
            Route(messages + ".json", self.create, methods=["POST"]),
            Route(messages + ".json", self.list, methods=["GET"]),
            Route(messages + "/{sid}.json", self.fetch, methods=["GET"]),
            Route(messages + "/{sid}.json", self.update, methods=["POST"]),
            Route("/v2/PhoneNumbers/{number}", self.look_up, methods=["GET"]),
            Route("/v1/Deactivations", self.deactivations, methods=["GET"]),
            Route("/v1/Deactivations/{day}.txt", self.deactivations_file, methods=["GET"]),
            Route("/v1/Consents/Bulk", self.consents, methods=["POST"]),
        ]

    def _refusal(self, request: Request) -> Response | None:
        given = request.headers.get("authorization", "").encode()
        if not any(hmac.compare_digest(given, expected) for expected in self._authorizations):
            return _refused(twilio.Refusal(20003))
        account = request.path_params.get("account", self._sid)
        return None if account == self._sid else _refused(twilio.Refusal(20404, detail=request.url.path))

    async def create(self, request: Request) -> Response:
        """`POST Messages.json`."""
        refused = self._refusal(request)
        if refused is not None:
            return refused
        raw = await request.body()
        form = twilio.parse_form(raw)
        world = self._world
        to = next((value for name, value in form if name == "To"), "")
        refusal = twilio.refusal_of(form, world.now(), world.opted_out)
        if refusal is None and world.faults.bad_recipients(Provider.TWILIO, Endpoint.MESSAGES_CREATE, to):
            refusal = twilio.Refusal(21211, to=to)
        if refusal is not None:
            return _refused(refusal)
        segments = twilio.count_segments(next((value for name, value in form if name == "Body"), ""))
        busy = world.faults.wait_for(Provider.TWILIO, Endpoint.MESSAGES_CREATE, 1, max(1, segments))
        if busy is not None:
            return _too_busy(world, Provider.TWILIO, busy[0])
        return _json(world.accept_text(raw, form).resource(), 201)

    async def list(self, request: Request) -> Response:
        """`GET Messages.json`."""
        refused = self._refusal(request)
        if refused is not None:
            return refused
        parameters = dict(request.query_params)
        try:
            query = twilio.ListQuery.from_parameters(parameters)
        except ValueError as error:
            return _refused(twilio.Refusal(20001, detail=f"Invalid parameter: {error}"))
        return _json(twilio.list_page(self._world.messages, query, self._sid, parameters))

    async def fetch(self, request: Request) -> Response:
        refused = self._refusal(request)
        if refused is not None:
            return refused
        message = self._world.messages.by_sid.get(request.path_params["sid"])
        return (
            _refused(twilio.Refusal(20404, detail=request.url.path)) if message is None else _json(message.resource())
        )

    async def update(self, request: Request) -> Response:
        """`Status=canceled` stops a scheduled message, an empty `Body` redacts it."""
        refused = self._refusal(request)
        if refused is not None:
            return refused
        message = self._world.messages.by_sid.get(request.path_params["sid"])
        if message is None:
            return _refused(twilio.Refusal(20404, detail=request.url.path))
        values = dict(twilio.parse_form(await request.body()))
        if values.get("Status", "canceled") != "canceled" or values.get("Body", ""):
            return _refused(
                twilio.Refusal(20001, detail="Status may only become canceled and Body may only become empty")
            )
        if not self._world.update_text(message, cancel="Status" in values, redact="Body" in values):
            return _refused(twilio.Refusal(30409))
        return _json(message.resource())

    async def deactivations(self, request: Request) -> Response:
        """`GET /v1/Deactivations?Date=`: 307 to the day's file, 404 while there is none."""
        refused = self._refusal(request)
        if refused is not None:
            return refused
        day = request.query_params.get("Date", "")
        if day not in self._world.deactivated:
            return _refused(twilio.Refusal(20404, detail=request.url.path))
        place = f"{request.url.scheme}://{request.url.netloc}/v1/Deactivations/{day}.txt"
        return _json({"redirect_to": place}, 307, {"Location": place})

    async def deactivations_file(self, request: Request) -> Response:
        """The file itself, a number a line. Its place is signed at the provider: no credentials are asked for."""
        numbers = self._world.deactivated.get(request.path_params["day"])
        if numbers is None:
            raise HTTPException(404)
        return Response("".join(f"{number}\n" for number in numbers), media_type="text/plain")

    async def consents(self, request: Request) -> Response:
        """`POST /v1/Consents/Bulk`: each item is taken or refused by itself."""
        refused = self._refusal(request)
        if refused is not None:
            return refused
        answers = []
        for name, value in twilio.parse_form(await request.body()):
            if name != "Items":
                continue
            item = twilio.parse_consent(value)
            if item is None:
                return _refused(twilio.Refusal(20001, detail="Invalid parameter: Items"))
            problems = twilio.problems_with_consent(item)
            if not problems:
                self._world.set_consent(item["sender_id"], item["contact_id"], opted_out=item["status"] == "opt-out")
            answers.append(
                {
                    "correlation_id": item.get("correlation_id"),
                    "error_code": 20001 if problems else 0,
                    "error_messages": problems,
                }
            )
        return _json({"items": answers}, 201)

    async def look_up(self, request: Request) -> Response:
        """`GET /v2/PhoneNumbers/{e164}`."""
        refused = self._refusal(request)
        if refused is not None:
            return refused
        fields = frozenset(request.query_params.get("Fields", "").split(","))
        number = request.path_params["number"]
        url = f"https://lookups.twilio.com/v2/PhoneNumbers/{number}"
        return _json(look_up(self._world.settings.seed, number, fields, url))


# --- the sandbox's own


class ControlRoutes:
    def __init__(self, world: World, gate: Gate) -> None:
        self._world = world
        self._gate = gate

    def routes(self) -> list[Route]:
        return [
            Route("/", self.page, methods=["GET"]),
            Route("/_sandbox/healthz", self.healthz, methods=["GET"]),
            Route("/_sandbox/messages", self.messages, methods=["GET"]),
            Route("/_sandbox/requests", self.requests, methods=["GET"]),
            Route("/_sandbox/deliver", self.deliver, methods=["POST"]),
            Route("/_sandbox/inbound", self.inbound, methods=["POST"]),
            Route("/_sandbox/deactivations", self.deactivate, methods=["POST"]),
            Route("/_sandbox/faults", self.get_faults, methods=["GET"]),
            Route("/_sandbox/faults", self.set_faults, methods=["POST"]),
            Route("/_sandbox/faults", self.clear_faults, methods=["DELETE"]),
        ]

    async def page(self, request: Request) -> Response:
        world = self._world
        return HTMLResponse(
            render_page(
                seed=world.settings.seed,
                people_react=world.settings.reactions is Reactions.PERSUADABLE,
                now=iso(world.now()),
                mails=world.mail_count,
                texts=sum(message.direction != "inbound" for message in world.messages.in_order),
                pending=world.pending,
                next_due=world.timeline.next_due,
                opted_out=len({number for _, number in world.opted_out}),
                suppressed={name.value: len(entries) for name, entries in world.suppressions.lists.items()},
                receiver=world.settings.receiver_url,
                faults=len(world.faults.describe()),
            )
        )

    async def healthz(self, request: Request) -> Response:
        return _json({"status": "ok", "now": iso(self._world.now()), "pending": self._world.pending})

    async def messages(self, request: Request) -> Response:
        """Every accepted message, a page at a time, or all as JSON lines with `?format=jsonl`."""
        wanted = {
            name: request.query_params[name]
            for name in ("provider", "to", "message_id")
            if name in request.query_params
        }
        offset = _whole_number(request, "offset", 0) or 0
        limit = _whole_number(request, "limit")
        found: Iterator[dict[str, object]] = self._world.accepted()
        if wanted:
            found = (each for each in found if all(each[name] == value for name, value in wanted.items()))
        if request.query_params.get("format") == "jsonl":
            rows = islice(found, offset, None if limit is None else offset + limit)
            return StreamingResponse(_json_lines(rows), media_type="application/x-ndjson")
        limit = _DEFAULT_LIMIT if limit is None else limit
        page = list(islice(found, offset, offset + limit + 1))
        more = len(page) > limit
        return _json({"messages": page[:limit], "offset": offset, "next_offset": offset + limit if more else None})

    async def requests(self, request: Request) -> Response:
        """Requests by endpoint and status; `0` stands for a connection dropped on purpose."""
        return _json(self._gate.counts())

    async def deliver(self, request: Request) -> Response:
        return _json(await self._world.deliver())

    async def inbound(self, request: Request) -> Response:
        """A text from a person to one of our numbers or services: `{"from", "to", "body"}`."""
        document = sendgrid.parse(await request.body()) or {}
        values = [document.get(name) for name in ("from", "to", "body")]
        if not all(isinstance(value, str) for value in values):
            return _json({"detail": 'send {"from": "+1…", "to": "+1… or MG…", "body": "…"}'}, 422)
        sender, to, body = map(str, values)
        return _json({"sid": self._world.receive_text(sender, to, body).sid}, 201)

    async def deactivate(self, request: Request) -> Response:
        """`{"day": "2026-07-17", "numbers": [...]}`: that day's file of numbers given up."""
        try:
            given = Deactivations.model_validate_json(await request.body())
        except ValidationError as error:
            return _json({"detail": error.errors(include_url=False, include_input=False)}, 422)
        self._world.deactivate(given.day.isoformat(), given.numbers)
        return _json({"numbers": len(given.numbers)})

    async def get_faults(self, request: Request) -> Response:
        return _json({"faults": self._world.faults.describe()})

    async def set_faults(self, request: Request) -> Response:
        """Put a list of rules, or one rule, in the place of those set before."""
        raw = await request.body()
        try:
            rules = _RULES.validate_json(b"[" + raw + b"]" if raw.lstrip().startswith(b"{") else raw)
        except ValidationError as error:
            return _json({"detail": error.errors(include_url=False, include_context=False, include_input=False)}, 422)
        self._world.faults.set(rules)
        return _json({"faults": self._world.faults.describe()})

    async def clear_faults(self, request: Request) -> Response:
        self._world.faults.clear()
        return _json({"faults": self._world.faults.describe()})


async def _json_lines(rows: Iterator[dict[str, object]]) -> AsyncIterator[bytes]:
    while True:
        chunk = b"".join(to_json(row) + b"\n" for row in islice(rows, _LINES_PER_CHUNK))
        if not chunk:
            return
        yield chunk
        await asyncio.sleep(0)


# --- the gate: counting, and faults


class Gate:
    """Stands before every route: counts the answers and plays the faults that are in force."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._counts: Counter[tuple[str, int]] = Counter()

    def counts(self) -> dict[str, dict[str, int]]:
        table: dict[str, dict[str, int]] = {}
        for (place, status), number in sorted(self._counts.items()):
            table.setdefault(place, {})[str(status)] = number
        return table

    async def pass_through(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_sandbox/"):
            await app(scope, receive, send)
            return
        place = _place_of(scope["method"], scope["path"])
        name = f"{scope['method']} {place[2] if place else scope['path'][:60]}"

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._counts[name, message["status"]] += 1
            await send(message)

        if place is None:
            await app(scope, receive, counted)
            return
        provider, endpoint, _ = place
        faults = self._world.faults
        while (fault := faults.draw(BEFORE, provider, endpoint)) is not None:
            if fault.kind is FaultKind.SLOW:
                await asyncio.sleep(fault.seconds)
                break
            if fault.kind is FaultKind.RESET_BEFORE:
                self._counts[name, 0] += 1
                await _read_all(receive)
                await _drop(send, receive)
                return
            await _read_all(receive)
            await self._answer(fault, provider)(scope, receive, counted)
            return
        if faults.has(AFTER, provider, endpoint):
            await self._spoil_answer(app, scope, receive, send, provider, endpoint, name)
        else:
            await app(scope, receive, counted)

    def _answer(self, fault: FaultRule, provider: Provider) -> Response:
        if fault.kind is FaultKind.RATE_LIMITED:
            return _too_busy(self._world, provider, fault.retry_after)
        if fault.kind is FaultKind.CONFIG_ERROR:
            return (
                _raw_json(sendgrid.UNAUTHORIZED, 401)
                if provider is Provider.SENDGRID
                else _refused(twilio.Refusal(20003))
            )
        return _server_error(fault, provider)

    async def _spoil_answer(
        self,
        app: ASGIApp,
        scope: Scope,
        receive: Receive,
        send: Send,
        provider: Provider,
        endpoint: Endpoint,
        name: str,
    ) -> None:
        """Let the request be processed whole, then spoil the answer of one that was accepted."""
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        await app(scope, receive, hold)
        status = held[0]["status"]
        fault = self._world.faults.draw(AFTER, provider, endpoint) if status // 100 == 2 else None
        dropped = fault is not None and fault.kind in {FaultKind.RESET_AFTER, FaultKind.TRUNCATED_BODY}
        spoiled = fault is not None and fault.kind is FaultKind.SERVER_ERROR_AFTER
        self._counts[name, 0 if dropped else fault.status if fault is not None and spoiled else status] += 1
        match fault.kind if fault is not None else None:
            case FaultKind.SERVER_ERROR_AFTER:
                assert fault is not None
                await _server_error(fault, provider)(scope, receive, send)
                return
            case FaultKind.RESET_AFTER:
                await _drop(send, receive)
                return
            case FaultKind.TIMEOUT_AFTER:
                assert fault is not None
                await asyncio.sleep(fault.seconds)
            case FaultKind.TRUNCATED_BODY:
                body = b"".join(message.get("body", b"") for message in held[1:])
                await send(
                    {
                        "type": "http.response.start",
                        "status": status,
                        "headers": [
                            (b"content-length", str(len(body) + 64).encode()),
                            (b"content-type", b"application/json"),
                        ],
                    }
                )
                await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
                await _hang_up(send, receive)
                return
            case FaultKind.MALFORMED_BODY:
                # SendGrid says what it has to say in a header; without it the answer tells nothing.
                await Response(b'{"sid": "SM', status, media_type="application/json")(scope, receive, send)
                return
        for message in held:
            await send(message)


class SandboxApp(Starlette):
    """The application behind its gate; a middleware would stand too far inside to reach the connection."""

    def __init__(self, gate: Gate, *, routes: Sequence[BaseRoute], **options: Any) -> None:
        super().__init__(routes=routes, **options)
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._gate.pass_through(super().__call__, scope, receive, send)


def _server_error(fault: FaultRule, provider: Provider) -> Response:
    body = sendgrid.SERVER_ERROR if provider is Provider.SENDGRID else twilio.Refusal(20500).body()
    return _raw_json(body, fault.status)


def _place_of(method: str, path: str) -> tuple[Provider, Endpoint, str] | None:
    """Which provider and endpoint a request is for, and the route's name in the counts."""
    if path == "/v3/mail/send":
        return Provider.SENDGRID, Endpoint.MAIL_SEND, path
    if path.startswith("/v3/asm/groups/"):
        return Provider.SENDGRID, Endpoint.SUPPRESSIONS, "/v3/asm/groups/{id}/suppressions"
    if path.startswith("/v1/Deactivations"):
        return Provider.TWILIO, Endpoint.DEACTIVATIONS, "/v1/Deactivations"
    if path == "/v1/Consents/Bulk":
        return Provider.TWILIO, Endpoint.CONSENTS, path
    if path.startswith(("/v3/suppression/", "/v3/asm/suppressions/")):
        parts = path.split("/")
        return (
            Provider.SENDGRID,
            Endpoint.SUPPRESSIONS,
            "/".join(parts[:4]) if parts[2] == "suppression" else "/v3/asm/suppressions/global",
        )
    if path.startswith("/v2/PhoneNumbers/"):
        return Provider.TWILIO, Endpoint.LOOKUP, "/v2/PhoneNumbers/{number}"
    if path.startswith("/2010-04-01/Accounts/"):
        if path.endswith("/Messages.json"):
            endpoint = Endpoint.MESSAGES_CREATE if method == "POST" else Endpoint.MESSAGES_LIST
            return Provider.TWILIO, endpoint, "/2010-04-01/Accounts/{sid}/Messages.json"
        if "/Messages/" in path:
            return Provider.TWILIO, Endpoint.MESSAGES_FETCH, "/2010-04-01/Accounts/{sid}/Messages/{sid}.json"
    return None


async def _read_all(receive: Receive) -> None:
    """Take the whole request, as a proxy in front would, so that the client is past writing when the fault strikes."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return


def _transport(send: Send) -> Any:
    """The connection under an ASGI `send`: dropping is no ASGI message, so uvicorn's request cycle lends its own."""
    return getattr(getattr(send, "__self__", None), "transport", None)


async def _drop(send: Send, receive: Receive) -> None:
    """Reset the connection without an answer."""
    transport = _transport(send)
    if transport is None:
        raise ConnectionResetError("dropped on purpose")
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # Linger on with zero seconds turns the close into a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await _until_disconnected(receive)


async def _hang_up(send: Send, receive: Receive) -> None:
    """Close the connection after what has been written."""
    transport = _transport(send)
    if transport is None:
        raise ConnectionResetError("hung up on purpose")
    transport.close()
    await _until_disconnected(receive)


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
