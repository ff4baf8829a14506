"""Real servers on this machine for the real SDKs to talk to."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rekindle.channels.credentials import SendGridAccount, TwilioAccount
from rekindle.channels.ports import OutgoingEmail, OutgoingSms
from rekindle.channels.provider_errors import ProviderErrors

ACCOUNT_SID = "AC" + "0" * 32
SERVICE_SID = "MG" + "1" * 32


class SeenRequest:
    """One request as it arrived, body and all."""

    def __init__(self, request: Request, body: bytes) -> None:
        self.method = request.method
        self.path = request.url.path
        self.query = request.url.query
        self.headers = dict(request.headers)
        self.body = body


Handler = Callable[[SeenRequest], Response]


@pytest.fixture
def serve() -> Iterator[Callable[[Handler], tuple[str, list[SeenRequest]]]]:
    """Start an HTTP server that answers with a function; gives its base URL and the list of what it saw."""
    running: list[tuple[uvicorn.Server, threading.Thread, socket.socket]] = []

    def start(answer: Handler) -> tuple[str, list[SeenRequest]]:
        seen: list[SeenRequest] = []

        async def everything(request: Request) -> Response:
            one = SeenRequest(request, await request.body())
            seen.append(one)
            return answer(one)

        app = Starlette(routes=[Route("/{path:path}", everything, methods=["GET", "POST"])])
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", timeout_keep_alive=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        running.append((server, thread, listener))
        return f"http://127.0.0.1:{listener.getsockname()[1]}", seen

    yield start
    for server, thread, listener in running:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


@pytest.fixture
def misbehave() -> Iterator[Callable[[bytes | None], tuple[str, list[bytes]]]]:
    """A server that reads the whole request, then says these bytes and hangs up, resets (None), or hangs (b"")."""
    stop = threading.Event()
    cleanup = contextlib.ExitStack()

    def start(answer: bytes | None) -> tuple[str, list[bytes]]:
        received: list[bytes] = []
        listener = cleanup.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(0.1)

        def read_request(connection: socket.socket) -> bytes:
            data = b""
            while b"\r\n\r\n" not in data:
                data += connection.recv(65536)
            head, _, body = data.partition(b"\r\n\r\n")
            lengths = [
                line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
            ]
            while len(body) < int(lengths[0] if lengths else 0):
                body += connection.recv(65536)
            return head + b"\r\n\r\n" + body

        def run() -> None:
            held: list[socket.socket] = []
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                except OSError:
                    break
                connection.settimeout(5)
                received.append(read_request(connection))
                if answer is None:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                elif answer == b"":
                    held.append(connection)
                    continue
                else:
                    connection.sendall(answer)
                connection.close()
            for connection in held:
                connection.close()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        cleanup.callback(thread.join, 5)
        return f"http://127.0.0.1:{listener.getsockname()[1]}", received

    yield start
    stop.set()
    cleanup.close()


@pytest.fixture
def dead_url() -> str:
    """A base URL where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(scope="session")
def provider_errors() -> ProviderErrors:
    return ProviderErrors.load()


@pytest.fixture
def sendgrid_account() -> Callable[..., SendGridAccount]:
    def build(base_url: str, **overrides: str) -> SendGridAccount:
        values = {
            "api_key": "SG.secret-api-key",
            "base_url": base_url,
            "from_email": "hello@shop.example",
            "from_name": "The Shop",
            "postal_address": "1 Market Street, San Francisco, CA 94105",
        }
        return SendGridAccount.model_validate(values | overrides)

    return build


@pytest.fixture
def twilio_account() -> Callable[..., TwilioAccount]:
    def build(base_url: str, **overrides: str | None) -> TwilioAccount:
        values = {
            "account_sid": ACCOUNT_SID,
            "username": "SK" + "2" * 32,
            "secret": "twilio-api-secret",
            "base_url": base_url,
            "lookup_base_url": base_url,
            "messaging_service_sid": SERVICE_SID,
            "status_callback_base_url": "https://rekindle.example",
        }
        return TwilioAccount.model_validate(values | overrides)

    return build


@pytest.fixture
def an_email() -> Callable[..., OutgoingEmail]:
    def build(number: int = 1, **overrides: str | None) -> OutgoingEmail:
        values: dict[str, str | None] = {
            "message_id": f"message-{number}",
            "campaign_id": "win_back",
            "step_id": "probe",
            "lead_id": f"lead-{number}",
            "to": f"person{number}@example.com",
            "subject": f"We miss you, Person {number}",
            "text": f"Hello Person {number}",
            "html": None,
            "unsubscribe_url": f"https://rekindle.example/u/token-{number}",
        }
        return OutgoingEmail(**(values | overrides))  # type: ignore[arg-type]

    return build


@pytest.fixture
def an_sms() -> Callable[..., OutgoingSms]:
    def build(**overrides: object) -> OutgoingSms:
        values: dict[str, object] = {
            "message_id": "3f0d3c1e-0000-5000-8000-000000000001",
            "campaign_id": "win_back",
            "step_id": "text",
            "lead_id": "lead-1",
            "to": "+14155550123",
            "body": "Hello Ada, come back: https://s.example/c/abc Reply STOP to stop",
            "segments": 1,
            "validity_seconds": 7200,
        }
        return OutgoingSms(**(values | overrides))  # type: ignore[arg-type]

    return build
