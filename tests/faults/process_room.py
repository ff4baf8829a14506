"""Starts real processes quickly: imports everything once, then forks a process for each job it reads.

Jobs are JSON lines on stdin; the answer to a job is one JSON line on stdout. A forked process is a process of its own:
it opens its own files and sockets, and dies of SIGKILL alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rekindle.campaigns.loader import restore_campaign
from rekindle.channels.credentials import SendGridAccount, TwilioAccount
from rekindle.channels.ports import Outcome
from rekindle.channels.provider_errors import ProviderErrors
from rekindle.channels.sendgrid import SendGridChannel
from rekindle.channels.twilio import TwilioChannel
from rekindle.clock import Clock, SteppedClock
from rekindle.dispatch import Composed, Composer, EmailSender, SmsSender, dispatch_batch
from rekindle.errors import ConfigurationError
from rekindle.governor.rate import Governor, ProviderRate
from rekindle.rendering.context import Company
from rekindle.run import Run
from rekindle.sandbox.server import build_server
from rekindle.sandbox.settings import SandboxSettings
from rekindle.tokens import TokenSigner
from rekindle.warehouse.duckdb import DuckDbTransaction, DuckDbWarehouse

STOPPED_BY_CONFIGURATION = 3
TIMEOUT = 2.0


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class MortalWarehouse(DuckDbWarehouse):
    """Dies just before or just after the commit of its n-th transaction."""

    def __init__(self, path: Path, die_at: str) -> None:
        super().__init__(path, patience=60)
        self.die_at = die_at
        self.count = 0

    @contextlib.contextmanager
    def transaction(self) -> Iterator[DuckDbTransaction]:
        self.count += 1
        number = self.count
        with super().transaction() as transaction:
            yield transaction
            if self.die_at == f"before commit {number}":
                die()
        if self.die_at == f"after commit {number}":
            die()


class MortalSender:
    """Dies just before or just after its n-th call."""

    def __init__(self, inner: Any, die_at: str) -> None:
        self.inner, self.die_at, self.count = inner, die_at, 0
        self.provider, self.chunk_size = inner.provider, inner.chunk_size

    def send(self, chunk: Sequence[Composed], clock: Clock) -> list[Outcome]:
        self.count += 1
        if self.die_at == f"before call {self.count}":
            die()
        outcomes: list[Outcome] = self.inner.send(chunk, clock)
        if self.die_at == f"after call {self.count}":
            die()
        return outcomes


def sendgrid_account(base_url: str) -> SendGridAccount:
    return SendGridAccount(
        api_key="SG.made-up-sandbox-key",
        base_url=base_url,
        from_email="hello@example.com",
        from_name="Example Records",
        postal_address="1 Example Street, Springfield, IL 62701, USA",
    )


def twilio_account(base_url: str) -> TwilioAccount:
    return TwilioAccount(
        account_sid="AC" + "0" * 32,
        username="AC" + "0" * 32,
        secret="made-up-sandbox-token",
        base_url=base_url,
        lookup_base_url=base_url,
        messaging_service_sid="MG" + "1" * 32,
        status_callback_base_url="https://rekindle.example",
    )


def sender_of(channel: str, base_url: str, chunk_size: int) -> Any:
    errors, governor = ProviderErrors.load(), Governor.in_memory(ProviderRate(100_000))
    sender: Any
    if channel == "email":
        sender = EmailSender(SendGridChannel(sendgrid_account(base_url), errors, timeout_seconds=TIMEOUT), governor)
    else:
        sender = SmsSender(TwilioChannel(twilio_account(base_url), errors, timeout_seconds=TIMEOUT), governor)
    sender.chunk_size = chunk_size
    return sender


def dispatch(job: dict[str, Any]) -> int:
    clock = SteppedClock(Path(job["clock"]))
    composer = Composer(
        campaign=restore_campaign(job["campaign_id"], Path(job["definition"]).read_text()),
        signer=TokenSigner(["token-key-of-the-tests"]),
        public_base_url="https://rekindle.example",
        app_url="https://app.example/",
        company=Company("Example Records", "1 Example Street, Springfield, IL 62701, USA"),
    )
    sender = MortalSender(sender_of(job["channel"], job["sandbox"], job["chunk_size"]), job["die_at"])
    run = Run(as_of=datetime.fromisoformat(job["as_of"]), run_id=job["run_id"], recorded_at=clock.now())
    warehouse = MortalWarehouse(Path(job["warehouse"]), job["die_at"])
    try:
        for batch_id in job["batch_ids"]:
            dispatch_batch(warehouse, batch_id, composer, sender, clock, run)
    except ConfigurationError:
        return STOPPED_BY_CONFIGURATION
    return 0


def sandbox(job: dict[str, Any]) -> int:
    settings = SandboxSettings(
        port=job["port"],
        receiver_base_url=job["receiver"],
        public_base_url="https://rekindle.example",
        seed=5,
        record_path=Path(job["record"]),
        late_share=0.0,
        repeated_share=0.3,
        overtaken_share=0.2,
    )
    build_server(settings, SteppedClock(Path(job["clock"]))).run()
    return 0


def fork(job: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = {"dispatch": dispatch, "sandbox": sandbox}[job["kind"]](job)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        if job["kind"] == "wait":
            _, status = os.waitpid(job["pid"], 0)
            answer = {"status": os.waitstatus_to_exitcode(status)}
        else:
            answer = {"pid": fork(job)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
