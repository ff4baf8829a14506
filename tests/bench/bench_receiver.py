"""What one receiver process takes in: `python tests/bench/bench_receiver.py`; exit 1 if a bar is missed.

A benchmark and not a test: a busy machine must not fail a change. One uvicorn worker with a local landing zone, and the
callers beside it on the same two cores: raw HTTP over connections that are kept, requests signed beforehand. Each phase
is bounded in time and in connections. The last one kills the receiver with SIGKILL in the middle. After every phase
each acknowledged event is looked for in the landing zone.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import psutil
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rich.console import Console
from rich.table import Table
from twilio.request_validator import RequestValidator

from rekindle.events import list_landing_files, read_landing_file
from rekindle.identity import address_hash
from rekindle.tokens import TokenSigner

ROOT = Path(__file__).parents[2]
BAR_EVENTS = 2_000  # a second, in batches
BAR_REQUESTS = 800  # a second, one event each
BAR_P99 = 0.100  # seconds
SECONDS = 6.0  # of each phase
BATCH = 50  # events of a batch
BATCH_CALLERS, SINGLE_CALLERS = 4, 16
MOST_REQUESTS = 15_000  # made beforehand for a phase
AT = int(time.time())

console = Console()


@dataclass(frozen=True)
class Call:
    """One request as bytes, and the ids whose acknowledgement it is."""

    content: bytes
    ids: tuple[str, ...]


@dataclass
class Heard:
    """What the callers saw in one phase."""

    acknowledged: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    refused: int = 0
    seconds: float = 0.0

    def p99(self) -> float:
        return statistics.quantiles(self.latencies, n=100)[98] if len(self.latencies) > 1 else 0.0


@dataclass
class Receiver:
    """The process under load, and the keys to talk to it."""

    folder: Path
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        if not self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
        der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REKINDLE")}
        environment = kept | {
            "PYTHONPATH": str(ROOT / "include"),
            "REKINDLE_PROJECT_ROOT": str(ROOT),
            "REKINDLE_LANDING_ROOT": str(self.landing),
            "REKINDLE_PUBLIC_BASE_URL": self.url,
            "REKINDLE_TOKEN_KEYS": "token-key",
            "REKINDLE_SENDGRID_WEBHOOK_PUBLIC_KEY": base64.b64encode(der).decode(),
            "REKINDLE_TWILIO_AUTH_TOKEN": "twilio-token",
            "REKINDLE_SEGMENT_WRITE_KEYS": "write-key",
        }
        command = [sys.executable, "-m", "rekindle.cli", "receiver", "--port", str(self.port)]
        with (self.folder / "receiver.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit((self.folder / "receiver.log").read_text())

    def end(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(with_signal)
            self.process.wait(20)

    # --- requests

    def post(self, path: str, body: bytes, headers: dict[str, str], *ids: str, method: str = "POST") -> Call:
        head = {"Host": f"127.0.0.1:{self.port}", "Content-Length": str(len(body)), **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        return Call(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body, ids)

    def mail_events(self, names: list[str]) -> Call:
        body = json.dumps(
            [
                {
                    "email": f"{name}@mail.example",
                    "event": "delivered",
                    "timestamp": AT,
                    "sg_event_id": f"event-{name}",
                    "sg_message_id": f"{name}.recvd-5f54b5d587-2cz5j-1-64AFB0F2-3.0",
                    "smtp-id": f"<{name}@geopod-ismtpd-1>",
                    "response": "250 2.0.0 OK  1772380800 d9443c01a7336-1f5c",
                    "rk_message_id": name,
                }
                for name in names
            ]
        ).encode()
        signature = self.key.sign(str(AT).encode() + body, ec.ECDSA(SHA256()))
        headers = {
            "Content-Type": "application/json",
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": str(AT),
        }
        return self.post("/webhooks/sendgrid/events", body, headers, *names)

    def text_status(self, name: str) -> Call:
        form = {"MessageSid": f"SM{name}", "MessageStatus": "delivered", "To": "+14155550100", "From": "+12125550100"}
        path = f"/webhooks/twilio/status?mid={name}"
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": RequestValidator("twilio-token").compute_signature(self.url + path, form),
        }
        return self.post(path, urlencode(form).encode(), headers, name)

    def tracked(self, name: str) -> Call:
        body = json.dumps({"userId": "u", "event": "log_in", "messageId": name}).encode()
        login = base64.b64encode(b"write-key:").decode()
        return self.post(
            "/v1/track", body, {"Content-Type": "application/json", "Authorization": f"Basic {login}"}, name
        )

    def unsubscribe(self, name: str) -> Call:
        token = TokenSigner(["token-key"]).unsubscribe(name, address_hash(name), "email", "marketing")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.post(f"/u/{token}", b"List-Unsubscribe=One-Click", form, name)

    def singles(self, prefix: str, count: int) -> list[Call]:
        """One event a request: six of ten from SendGrid, the rest receipts, tracked calls and unsubscribes."""
        dice = random.Random(1)
        makers: list[Callable[[str], Call]] = [lambda name: self.mail_events([name]), self.text_status, self.tracked]
        makers.append(self.unsubscribe)
        return [dice.choices(makers, (60, 20, 15, 5))[0](f"{prefix}{number}") for number in range(count)]

    def batches(self, prefix: str, count: int) -> list[Call]:
        return [self.mail_events([f"{prefix}{number}-{one}" for one in range(BATCH)]) for number in range(count)]

    def landed(self) -> set[str]:
        found: set[str] = set()
        for path in list_landing_files(self.landing):
            file = read_landing_file(path, self.landing)
            found.update(event.message_id for event in file.message_events if event.message_id)
            found.update(event.event_id for event in file.app_events)
        return found


async def call_one(port: int, calls: Iterator[Call], until: float, heard: Heard) -> None:
    """One connection: the next request goes out when the last one was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.perf_counter() < until and (call := next(calls, None)) is not None:
            started = time.perf_counter()
            writer.write(call.content)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
            )
            if length:
                await reader.readexactly(length)
            heard.latencies.append(time.perf_counter() - started)
            if head.startswith(b"HTTP/1.1 200"):
                heard.acknowledged += call.ids
            else:
                heard.refused += 1
    except (ConnectionError, asyncio.IncompleteReadError):
        return  # cut off: nothing was acknowledged
    finally:
        writer.close()


async def call_all(port: int, calls: list[Call], callers: int, kill: Callable[[], None] | None = None) -> Heard:
    """So many connections for the phase's time, or until the requests run out; `kill` comes in the middle."""
    heard, waiting = Heard(), iter(calls)
    started = time.perf_counter()
    tasks = [asyncio.create_task(call_one(port, waiting, started + SECONDS, heard)) for _ in range(callers)]
    if kill is not None:
        await asyncio.sleep(SECONDS / 2)
        kill()
    await asyncio.gather(*tasks)
    heard.seconds = time.perf_counter() - started
    return heard


def main() -> int:
    """Print the figures; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rekindle-bench-receiver-"))
    receiver = Receiver(folder)
    verdicts: list[tuple[str, str, str, bool]] = []
    try:
        receiver.start()
        assert receiver.process is not None
        process = psutil.Process(receiver.process.pid)
        warm = asyncio.run(call_all(receiver.port, receiver.singles("w", 300), 4))
        assert not warm.refused, "the receiver refuses what the bench signed"

        before = sum(process.cpu_times()[:2])
        batches = asyncio.run(call_all(receiver.port, receiver.batches("b", 3_000), BATCH_CALLERS))
        batch_cpu = sum(process.cpu_times()[:2]) - before
        events = len(batches.acknowledged) / batches.seconds
        verdicts += [
            (
                f"signed events a second, batches of {BATCH}",
                f"{events:,.0f}",
                f"≥ {BAR_EVENTS:,}",
                events >= BAR_EVENTS,
            ),
            ("  p99 of a batch", f"{batches.p99() * 1e3:.1f} ms", f"< {BAR_P99 * 1e3:.0f} ms", batches.p99() < BAR_P99),
            ("  receiver CPU per event", f"{batch_cpu / max(len(batches.acknowledged), 1) * 1e6:.0f} µs", "", True),
        ]
        before = sum(process.cpu_times()[:2])
        singles = asyncio.run(call_all(receiver.port, receiver.singles("s", MOST_REQUESTS), SINGLE_CALLERS))
        single_cpu = sum(process.cpu_times()[:2]) - before
        rate = len(singles.acknowledged) / singles.seconds
        verdicts += [
            ("single requests a second", f"{rate:,.0f}", f"≥ {BAR_REQUESTS:,}", rate >= BAR_REQUESTS),
            (
                "  p99 of a request",
                f"{singles.p99() * 1e3:.1f} ms",
                f"< {BAR_P99 * 1e3:.0f} ms",
                singles.p99() < BAR_P99,
            ),
            ("  receiver CPU per request", f"{single_cpu / max(len(singles.acknowledged), 1) * 1e6:.0f} µs", "", True),
            (
                "  files per request",
                f"{len(list_landing_files(receiver.landing)) / max(len(singles.acknowledged), 1):.2f}",
                "",
                True,
            ),
            ("refused requests", f"{batches.refused + singles.refused}", "0", not batches.refused + singles.refused),
        ]
        once = [*receiver.singles("k", 8_000), *receiver.batches("kb", 400)]
        random.Random(2).shuffle(once)
        killed = asyncio.run(call_all(receiver.port, once, SINGLE_CALLERS, lambda: receiver.end(signal.SIGKILL)))
        acknowledged = {*warm.acknowledged, *batches.acknowledged, *singles.acknowledged, *killed.acknowledged}
        lost = len(acknowledged - receiver.landed())
        verdicts.append(
            (f"lost of {len(acknowledged):,} acknowledged, kill -9 in the middle", f"{lost}", "0", lost == 0)
        )
        verdicts.append(
            (
                "  of these, in the phase that was killed",
                f"{len(killed.acknowledged):,}",
                "> 0",
                bool(killed.acknowledged),
            )
        )
    finally:
        receiver.end(signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
    table = Table(title=f"receiver: one worker, callers beside it, load average {psutil.getloadavg()[0]:.1f}")
    for heading in ("what", "measured", "bar", "verdict"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for what, measured, wanted, holds in verdicts:
        table.add_row(what, measured, wanted, ("[green]ok[/]" if holds else "[red]missed[/]") if wanted else "")
    console.print(table)
    return int(not all(holds for *_, holds in verdicts))


if __name__ == "__main__":
    sys.exit(main())
