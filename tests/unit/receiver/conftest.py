"""A receiver in this process, with keys of its own and a clock that stands still."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr
from starlette.testclient import TestClient
from twilio.request_validator import RequestValidator

from rekindle.clock import SteppedClock
from rekindle.events import LandingFile, list_landing_files, read_landing_file
from rekindle.receiver import ReceiverSettings, create_app
from rekindle.tokens import TokenSigner
from rekindle.vocabulary import Stream

NOW = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
PUBLIC_URL = "https://hooks.example.com/rk"  # a proxy takes the prefix away and calls the next line
INTERNAL_URL = "http://receiver.internal:8085"
TWILIO_TOKEN = "twilio-auth-token"


def public_text(key: ec.EllipticCurvePrivateKey) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


@dataclass
class Desk:
    """The receiver under test and the hands of everybody who calls it."""

    root: Path
    clock: SteppedClock
    key: ec.EllipticCurvePrivateKey
    tokens: TokenSigner
    settings: ReceiverSettings
    client: TestClient = field(init=False)

    def start(self, **changes: Any) -> TestClient:
        """A client of a receiver with these settings changed; it follows no redirect and raises no server error."""
        app = create_app(self.settings.model_copy(update=changes), self.clock)
        self.client = TestClient(app, base_url=INTERNAL_URL, follow_redirects=False, raise_server_exceptions=False)
        return self.client

    def sign_sendgrid(self, body: bytes, timestamp: str | None = None) -> dict[str, str]:
        timestamp = timestamp or str(int(self.clock.now().timestamp()))
        signature = self.key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
        return {
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
            "Content-Type": "application/json",
        }

    def sign_twilio(
        self, url: str, parameters: dict[str, Any] | None = None, token: str = TWILIO_TOKEN
    ) -> dict[str, str]:
        return {"X-Twilio-Signature": RequestValidator(token).compute_signature(url, parameters or {})}

    def post_form(self, path: str, parameters: dict[str, str], headers: dict[str, str]) -> Any:
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return self.client.post(path, content=urlencode(parameters), headers=headers)

    def lines(self, stream: Stream) -> list[dict[str, Any]]:
        """Every record landed in a stream."""
        return [
            json.loads(line)
            for path in list_landing_files(self.root)
            if path.parts[-3] == stream
            for line in path.read_text().splitlines()
        ]

    def read(self) -> list[LandingFile]:
        return [read_landing_file(path, self.root) for path in list_landing_files(self.root)]


@pytest.fixture(scope="session")
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def stepped_clock(tmp_path: Path) -> SteppedClock:
    clock = SteppedClock(tmp_path / "clock")
    clock.step_to(NOW)
    return clock


@pytest.fixture
def desk(tmp_path: Path, ec_key: ec.EllipticCurvePrivateKey, stepped_clock: SteppedClock) -> Iterator[Desk]:
    settings = ReceiverSettings(
        landing_root=tmp_path / "landing",
        public_base_url=PUBLIC_URL,
        token_keys=(SecretStr("token-key"),),
        sendgrid_webhook_public_key=(public_text(ec_key),),
        twilio_auth_token=(SecretStr(TWILIO_TOKEN),),
        segment_write_keys=(SecretStr("write-key"), SecretStr("other-key")),
        sender_name="Acme <Tools>",
        topics={"marketing": "News & offers", "tips": "Tips"},
    )
    desk = Desk(tmp_path / "landing", stepped_clock, ec_key, TokenSigner(["token-key"]), settings)
    desk.start()
    yield desk
    desk.client.app.state.reception.landing.close()  # type: ignore[attr-defined]


@pytest.fixture
def receiver_vectors() -> Callable[[str], Any]:
    """Reads a shared vector file, or skips the test where the folder is absent."""

    def read(name: str) -> Any:
        path = Path(__file__).parents[3].parent / "shared" / "vectors" / name
        if not path.exists():
            pytest.skip(f"the shared vectors are not here ({name})")
        return json.loads(path.read_text())

    return read
