"""A real sandbox and a real receiver, each served by uvicorn on a free port, and the official SDKs pointed at them."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit, urlunsplit

import httpx
import pytest
import uvicorn
from sendgrid import SendGridAPIClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from rekindle.clock import SteppedClock
from rekindle.sandbox.keys import public_key_base64
from rekindle.sandbox.server import build_server
from rekindle.sandbox.settings import Reactions, SandboxSettings

START = datetime(2026, 7, 18, 18, tzinfo=UTC)
PUBLIC = "https://rekindle.example"


@contextmanager
def running(server: uvicorn.Server) -> Iterator[int]:
    """Serve in a thread; yields the port."""
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline and thread.is_alive(), "the server did not start"
        time.sleep(0.005)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@dataclass
class Call:
    """One request the receiver got."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def mid(self) -> str:
        return parse_qs(self.query)["mid"][0]


@dataclass
class FakeReceiver:
    """Collects what it is sent; `answer` decides the status, 200 unless told otherwise."""

    base_url: str = ""
    calls: list[Call] = field(default_factory=list)
    answer: Callable[[Call], int] = lambda call: 302 if call.path.startswith("/c/") else 200

    async def take(self, request: Request) -> Response:
        url = request.url
        call = Call(request.method, url.path, url.query, dict(request.headers), await request.body())
        self.calls.append(call)
        status = self.answer(call)
        return RedirectResponse("https://elsewhere.example/", status) if status == 302 else Response(status_code=status)

    def at(self, path: str) -> list[Call]:
        return [call for call in self.calls if call.path.startswith(path)]

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every SendGrid event, in the order it came."""
        return [event for call in self.at("/webhooks/sendgrid/events") for event in json.loads(call.body)]


@pytest.fixture
def receiver() -> Iterator[FakeReceiver]:
    fake = FakeReceiver()
    methods = ["GET", "HEAD", "POST", "PUT", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", fake.take, methods=methods)])
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="warning", access_log=False, ws="none", lifespan="off"
    )
    with running(uvicorn.Server(config)) as port:
        fake.base_url = f"http://127.0.0.1:{port}"
        yield fake


class BaseUrlHttpClient(TwilioHttpClient):
    """Twilio's own client with the host swapped."""

    def __init__(self, base_url: str) -> None:
        super().__init__(timeout=10)
        self._base = urlsplit(base_url)
        self.last_headers: dict[str, str] = {}

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        parts = urlsplit(url)
        response = super().request(
            method, urlunsplit((self._base.scheme, self._base.netloc, parts.path, parts.query, "")), *args, **kwargs
        )
        self.last_headers = dict(response.headers)
        return response

    def close(self) -> None:
        if self.session is not None:
            self.session.close()


class RunningSandbox:
    """One served sandbox and everything a test does with it."""

    def __init__(self, base_url: str, clock: SteppedClock, server: uvicorn.Server, settings: SandboxSettings) -> None:
        self.base_url = base_url
        self.clock = clock
        self.settings = settings
        self.world = server.config.app.state.world
        self.http = httpx.Client(base_url=base_url, timeout=30, trust_env=False)
        self.transport = BaseUrlHttpClient(base_url)
        self.account_sid = settings.twilio_account_sid

    @property
    def public_key(self) -> str:
        return public_key_base64(self.world.signing_key)

    def sendgrid(self, api_key: str | None = None) -> SendGridAPIClient:
        client = SendGridAPIClient(api_key or self.settings.sendgrid_api_key.get_secret_value(), host=self.base_url)
        client.client.timeout = 10
        return client

    def twilio(self, token: str | None = None) -> Client:
        secret = token or self.settings.twilio_auth_token.get_secret_value()
        return Client(self.account_sid, secret, http_client=self.transport)

    def step(self, **delta: float) -> None:
        self.clock.step_to(self.clock.now() + timedelta(**delta))

    def deliver(self) -> dict[str, Any]:
        answer = self.http.post("/_sandbox/deliver")
        assert answer.status_code == 200
        return dict(answer.json())

    def step_and_deliver(self, **delta: float) -> dict[str, Any]:
        self.step(**delta)
        return self.deliver()

    def faults(self, *rules: dict[str, object]) -> None:
        answer = self.http.post("/_sandbox/faults", json=list(rules))
        assert answer.status_code == 200, answer.text

    def accepted(self) -> list[dict[str, Any]]:
        text = self.http.get("/_sandbox/messages", params={"format": "jsonl"}).text
        return [json.loads(line) for line in text.splitlines()]

    def counts(self) -> dict[str, dict[str, int]]:
        return dict(self.http.get("/_sandbox/requests").json())

    def close(self) -> None:
        self.http.close()
        self.transport.close()


StartSandbox = Callable[..., RunningSandbox]


@pytest.fixture
def start_sandbox(tmp_path: Path, receiver: FakeReceiver) -> Iterator[StartSandbox]:
    """Start a sandbox with these settings; `stop()` on what comes back ends it early."""
    stops: list[Callable[[], None]] = []

    def start(**given: Any) -> RunningSandbox:
        clock = SteppedClock(tmp_path / "clock")
        if not clock.path.exists():
            clock.step_to(START)
        quiet = {"late_share": 0.0, "repeated_share": 0.0, "overtaken_share": 0.0}
        settings = SandboxSettings(
            **{
                "port": 0,
                "receiver_base_url": receiver.base_url,
                "public_base_url": PUBLIC,
                "seed": 7,
                **quiet,
                **given,
            }
        )
        server = build_server(settings, clock)
        context = running(server)
        sandbox = RunningSandbox(f"http://127.0.0.1:{context.__enter__()}", clock, server, settings)

        def stop() -> None:
            if stop in stops:
                stops.remove(stop)
                sandbox.close()
                context.__exit__(None, None, None)

        stops.append(stop)
        sandbox.stop = stop  # type: ignore[attr-defined]
        return sandbox

    yield start
    for stop in list(stops):
        stop()


@pytest.fixture
def sandbox(start_sandbox: StartSandbox) -> RunningSandbox:
    """A sandbox whose webhooks are reliable and whose people keep still."""
    return start_sandbox()


@pytest.fixture
def persuadable(start_sandbox: StartSandbox) -> RunningSandbox:
    """A sandbox whose webhooks are reliable and whose people react."""
    return start_sandbox(reactions=Reactions.PERSUADABLE)


@pytest.fixture
def mail() -> Callable[..., dict[str, Any]]:
    """Builds one mail request; `count` personalizations with our ids, links and one-click headers."""

    def build(count: int = 1, *, first: int = 0, html: bool = True, **changes: Any) -> dict[str, Any]:
        def personalization(number: int) -> dict[str, Any]:
            return {
                "to": [{"email": f"person{number}@mail{number % 50}.example"}],
                "custom_args": {
                    "rk_message_id": f"message-{number}",
                    "rk_campaign": "spring",
                    "rk_step": "probe",
                    "rk_lead": f"lead-{number}",
                },
                "substitutions": {
                    "-click-": f"{PUBLIC}/c/click-{number}.sig",
                    "-unsubscribe-": f"{PUBLIC}/u/unsub-{number}.sig",
                },
                "headers": {
                    "List-Unsubscribe": f"<{PUBLIC}/u/unsub-{number}.sig>",
                    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                },
            }

        text = "Hi, come back: -click-.\nOr stop: -unsubscribe-\n"
        content = [{"type": "text/plain", "value": text}]
        if html:
            content.append(
                {"type": "text/html", "value": '<a href="-click-">back</a> <a href="-unsubscribe-">stop</a>'}
            )
        return {
            "from": {"email": "hello@rekindle.example", "name": "Rekindle"},
            "subject": "We miss you",
            "content": content,
            "personalizations": [personalization(number) for number in range(first, first + count)],
            **changes,
        }

    return build


@pytest.fixture
def basic() -> Callable[[str, str], str]:
    return lambda user, secret: "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()
