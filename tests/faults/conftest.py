"""Real processes to kill: a dispatcher with the real SDKs, the real sandbox, and a landing zone for its webhooks."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rekindle.channels.provider_errors import ProviderErrors
from rekindle.channels.twilio import TwilioChannel
from rekindle.dispatch.batch import LEASE
from rekindle.identity import address_hash
from rekindle.planning import plan as planning
from rekindle.vocabulary import Channel

ROOT = Path(__file__).parents[2]


class ProcessRoom:
    """Talks to `process_room.py`."""

    def __init__(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT / "include"), "TZ": "UTC"}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "process_room.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, **job: Any) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)


@pytest.fixture(scope="session")
def room() -> Iterator[ProcessRoom]:
    started = ProcessRoom()
    yield started
    started.close()


@pytest.fixture(scope="session")
def room_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rekindle_process_room", Path(__file__).parent / "process_room.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def receiver(world: Any) -> Iterator[str]:
    """Answers every webhook 2xx once its body is in the landing zone."""
    streams = {
        "/webhooks/sendgrid/events": "sendgrid_events",
        "/webhooks/twilio/status": "twilio_status",
        "/webhooks/twilio/inbound": "twilio_inbound",
    }

    async def take(request: Request) -> Response:
        body = (await request.body()).decode()
        line = world.line(
            world.clock.now(),
            body,
            query=dict(request.query_params),
            headers={"content-type": request.headers.get("content-type", "")},
        )
        world.land(streams[request.url.path], line)
        return Response(status_code=200)

    app = Starlette(routes=[Route("/{path:path}", take, methods=["POST"])])
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listener.close()


@dataclass
class Battlefield:
    """One world, its sandbox, and dispatchers to kill."""

    world: Any
    room: ProcessRoom
    room_module: ModuleType
    url: str
    http: httpx.Client
    day: float = 0
    channel: str = "email"
    chunk_size: int = 2
    deaths: Counter[str] = field(default_factory=Counter)
    leads: list[Any] = field(default_factory=list)

    # --- getting ready

    def plan(self, leads: int, channel: str, batch_size: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """That many leads with a planned message each, in batches of that size."""
        self.channel = channel
        words = {} if channel == "email" else {"email": None}
        monkeypatch.setitem(planning.BATCH_SIZE, Channel(channel), batch_size)
        self.leads = self.world.leads([words for _ in range(leads)])
        self.world.freeze(0)
        batches = self.world.plan(0)
        if channel == "sms":
            batches = self.world.plan(0, Channel.SMS)
        self.world.let_go()
        definition = self.world.folder / "definition.json"
        definition.write_text(self.world.campaign.definition_json)
        return [batch.batch_id for batch in batches]

    def open_batches(self) -> list[str]:
        found: list[str] = self.world.values(
            "select distinct batch_id from rekindle_state.messages where status = 'planned' order by 1"
        )
        return found

    # --- processes

    def start(self, *batch_ids: str, die_at: str = "never", run_id: str = "run") -> int:
        answer = self.room.ask(
            kind="dispatch",
            log=str(self.world.folder / "dispatcher.log"),
            warehouse=str(self.world.path),
            clock=str(self.world.clock.path),
            sandbox=self.url,
            batch_ids=batch_ids,
            channel=self.channel,
            chunk_size=self.chunk_size,
            campaign_id=self.world.campaign.campaign_id,
            definition=str(self.world.folder / "definition.json"),
            as_of=self.world.at(0).isoformat(),
            run_id=run_id,
            die_at=die_at,
        )
        return int(answer["pid"])

    def wait(self, pid: int) -> int:
        status = int(self.room.ask(kind="wait", pid=pid)["status"])
        self.deaths["killed" if status == -signal.SIGKILL else f"exit {status}"] += 1
        assert status in (0, -signal.SIGKILL, self.room_module.STOPPED_BY_CONFIGURATION), self.log()
        return status

    def dispatch(self, *batch_ids: str, die_at: str = "never") -> int:
        return self.wait(self.start(*batch_ids, die_at=die_at))

    def kill_later(self, batch_id: str, seconds: float) -> int:
        pid = self.start(batch_id)
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        return self.wait(pid)

    def log(self) -> str:
        log = self.world.folder / "dispatcher.log"
        return log.read_text() if log.exists() else ""

    # --- the sandbox

    def faults(self, *rules: dict[str, Any]) -> None:
        assert self.http.post("/_sandbox/faults", json=list(rules)).status_code == 200

    def accepted(self) -> list[dict[str, Any]]:
        text = self.http.get("/_sandbox/messages", params={"format": "jsonl"}).text
        return [json.loads(line) for line in text.splitlines()]

    def until_accepted(self, count: int) -> None:
        deadline = time.monotonic() + 20
        while len(self.accepted()) < count:
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.01)

    def until_attempting(self) -> None:
        deadline = time.monotonic() + 20
        while "attempting" not in {row["status"] for row in self.world.messages()}:
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.01)

    # --- afterwards

    def lease_ends(self) -> dict[str, int]:
        """The clock passes every lease, and reconcile looks at what is left behind."""
        self.world.clock.step_to(self.world.clock.now() + LEASE + timedelta(seconds=1))
        return self.reconcile()

    def reconcile(self) -> dict[str, int]:
        channel = TwilioChannel(self.room_module.twilio_account(self.url), ProviderErrors.load(), timeout_seconds=10)
        self.world.find_texts = channel.find_messages
        try:
            counts: dict[str, int] = self.world.reconcile(0)
        finally:
            if channel._http.session is not None:
                channel._http.session.close()
        return counts

    def resume(self) -> None:
        """Healthy workers take what is left until nothing is planned."""
        self.lease_ends()
        for _ in range(5):
            batches = self.open_batches()
            if not batches:
                return
            self.dispatch(*batches)
        raise AssertionError("something is planned for ever")

    def settle(self) -> None:
        """Every callback that is due, day by day, until nothing is unproved; nothing can be dispatched after it."""
        self.world.hold()
        for days in (1, 2, 4):
            self.world.clock.step_to(self.world.at(days))
            assert self.http.post("/_sandbox/deliver", timeout=60).status_code == 200
            self.world.ingest(days)
            self.reconcile()
        self.world.advance(4)

    def verdict(self) -> None:
        """The sandbox's own record against the ledger: 0 duplicates, 0 lost, 0 to holdout, 0 after exit."""
        record = self.accepted()
        ids = [message["message_id"] for message in record]
        assert [one for one, count in Counter(ids).items() if count > 1] == []
        ledger = {row["message_id"]: row for row in self.world.messages()}
        proved = {
            one for one, row in ledger.items() if row["status"] in ("accepted", "sent", "delivered", "undelivered")
        }
        assert set(ids) == proved, self.log()
        in_the_air = {"planned", "claimed", "attempting", "unknown"}
        assert not in_the_air & {row["status"] for row in ledger.values()}
        held_out = self.world.query(
            "select email_hash, phone_hash from rekindle_state.journey_entries where arm = 'holdout'"
        )
        assert not {address_hash(message["to"]) for message in record} & {
            value for row in held_out for value in row.values()
        }
        assert self.world.broken() == {}


@pytest.fixture
def battlefield(
    world: Any, room: ProcessRoom, room_module: ModuleType, receiver: str, tmp_path: Path
) -> Iterator[Battlefield]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    pid = room.ask(
        kind="sandbox",
        log=str(tmp_path / "sandbox.log"),
        port=port,
        receiver=receiver,
        record=str(tmp_path / "record.jsonl"),
        clock=str(world.clock.path),
    )["pid"]
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
        deadline = time.monotonic() + 20
        while True:
            try:
                http.get("/_sandbox/healthz")
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, (tmp_path / "sandbox.log").read_text()
                time.sleep(0.02)
        yield Battlefield(world, room, room_module, url, http)
    os.kill(pid, signal.SIGKILL)
    room.ask(kind="wait", pid=pid)


@pytest.fixture
def world(new_world: Callable[..., Any]) -> Any:
    """A world in which some are held out."""
    return new_world(holdout={"share": 0.2, "salt": "salt"})


def boundaries(chunks: int) -> Sequence[str]:
    """Every place where a dispatcher of so many chunks can die: each commit, each call, before and after."""
    commits = 1 + 2 * chunks + 1  # claim, (attempting, record) for each chunk, release
    return [
        f"{when} {what} {number}"
        for what, count in (("commit", commits), ("call", chunks))
        for number in range(1, count + 1)
        for when in ("before", "after")
    ]


@pytest.fixture(scope="session")
def every_boundary() -> Sequence[str]:
    return boundaries(2)
