"""A real sandbox on a free port that lives on the world's clock, and the real SDKs pointed at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from rekindle.channels.credentials import SendGridAccount, TwilioAccount
from rekindle.channels.provider_errors import ProviderErrors
from rekindle.channels.suppressions import SendGridSuppressions, TwilioRecords
from rekindle.sandbox.server import build_server
from rekindle.sandbox.settings import SandboxSettings

SERVICE_SID = "MG" + "1" * 32


class ProviderRoom:
    """One served sandbox; what it did is in `world`, what it was asked in `counts`."""

    def __init__(self, base_url: str, settings: SandboxSettings, sandbox_world: Any) -> None:
        self.base_url = base_url
        self.settings = settings
        self.world = sandbox_world
        self.http = httpx.Client(base_url=base_url, timeout=30, trust_env=False)
        self.waits: list[float] = []

    def sendgrid(self, **options: Any) -> SendGridSuppressions:
        account = SendGridAccount(
            api_key=self.settings.sendgrid_api_key,
            base_url=self.base_url,
            from_email="hello@rekindle.example",
            from_name="Rekindle",
            postal_address="1 Example Street, Springfield",
        )
        options = {"wait": self.waits.append} | options
        return SendGridSuppressions(account, ProviderErrors.load(), **options)

    def twilio(self, **options: Any) -> TwilioRecords:
        account = TwilioAccount(
            account_sid=self.settings.twilio_account_sid,
            username=self.settings.twilio_account_sid,
            secret=options.pop("secret", self.settings.twilio_auth_token),
            base_url=self.base_url,
            messaging_service_sid=SERVICE_SID,
            status_callback_base_url="https://rekindle.example",
        )
        options = {"wait": self.waits.append} | options
        return TwilioRecords(account, ProviderErrors.load(), **options)

    def counts(self) -> dict[str, dict[str, int]]:
        return dict(self.http.get("/_sandbox/requests").json())

    def faults(self, *rules: dict[str, object]) -> None:
        assert self.http.post("/_sandbox/faults", json=list(rules)).status_code == 200

    def deactivate(self, day: str, *numbers: str) -> None:
        answer = self.http.post("/_sandbox/deactivations", json={"day": day, "numbers": numbers})
        assert answer.json() == {"numbers": len(numbers)}

    def text(self, to: str) -> Any:
        """A text accepted at the sandbox; what becomes of it is up to the test."""
        form = [("To", to), ("MessagingServiceSid", SERVICE_SID), ("Body", "hello")]
        return self.world.accept_text(repr(form).encode(), form)


@pytest.fixture
def providers(world: Any) -> Iterator[ProviderRoom]:
    """The providers, on the same stepped clock as `world`."""
    settings = SandboxSettings(
        port=0, seed=7, receiver_base_url="http://127.0.0.1:9", public_base_url="http://127.0.0.1:9"
    )
    server = build_server(settings, world.clock)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline and thread.is_alive(), "the sandbox did not start"
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    room = ProviderRoom(f"http://127.0.0.1:{port}", settings, server.config.app.state.world)
    yield room
    room.http.close()
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def mailed(world: Any) -> Callable[..., tuple[Any, dict[str, Any]]]:
    """A lead who was written to on day 0, and the message: by e-mail, or by text without an address."""

    def make(**words: Any) -> tuple[Any, dict[str, Any]]:
        lead = world.lead(**words)
        world.tick(0)
        return lead, world.message(lead)

    return make
