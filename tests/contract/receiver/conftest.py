"""A real receiver process on the loopback interface, and the keys to talk to it."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ROOT = Path(__file__).parents[3]
TOKEN_KEY = "token-key-of-the-test"
WRITE_KEY = "write-key"
TWILIO_TOKEN = "twilio-auth-token"


@dataclass
class ReceiverProcess:
    """Starts, kills and restarts `run_receiver` over one landing zone."""

    landing: Path
    log: Path
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "include"),
            "REKINDLE_LANDING_ROOT": str(self.landing),
            "REKINDLE_PUBLIC_BASE_URL": self.url,
            "REKINDLE_TOKEN_KEYS": TOKEN_KEY,
            "REKINDLE_SENDGRID_WEBHOOK_PUBLIC_KEY": base64.b64encode(der).decode(),
            "REKINDLE_TWILIO_AUTH_TOKEN": TWILIO_TOKEN,
            "REKINDLE_SEGMENT_WRITE_KEYS": WRITE_KEY,
        }
        environment.pop("REKINDLE_CLOCK_FILE", None)
        program = f"from rekindle.receiver import run_receiver; run_receiver('127.0.0.1', {self.port})"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while True:
            try:
                if httpx.get(f"{self.url}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL: no handler, no flush, no goodbye."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> str:
        """SIGTERM, as an orchestrator sends it; returns what the process logged."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(20)
        return self.log.read_text()

    def sign(self, body: bytes) -> dict[str, str]:
        timestamp = str(int(time.time()))
        signature = self.key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
        return {
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }


@pytest.fixture
def receiver_process(tmp_path: Path) -> Iterator[ReceiverProcess]:
    receiver = ReceiverProcess(tmp_path / "landing", tmp_path / "receiver.log")
    receiver.start()
    yield receiver
    if receiver.process is not None and receiver.process.poll() is None:
        receiver.kill()
