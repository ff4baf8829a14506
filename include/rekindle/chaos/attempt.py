"""One attempt inside its own process: the real dispatcher, with witnesses at every boundary who carry out its fate."""

from __future__ import annotations

import contextlib
import os
import pkgutil
import resource
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import duckdb

from rekindle.campaigns.loader import restore_campaign
from rekindle.campaigns.models import Campaign
from rekindle.channels.credentials import SendGridAccount, TwilioAccount
from rekindle.channels.ports import Outcome
from rekindle.channels.provider_errors import ProviderErrors
from rekindle.channels.sendgrid import SendGridChannel
from rekindle.channels.twilio import TwilioChannel
from rekindle.chaos.jobs import Deed, DispatchJob, Fate
from rekindle.chaos.open_files import wait_until_let_go
from rekindle.chaos.places import Place, Trail, commit_between
from rekindle.clock import Clock, SteppedClock
from rekindle.dispatch import Composed, Composer, EmailSender, Sender, SmsSender
from rekindle.errors import ConfigurationError, WarehouseBusyError
from rekindle.governor.rate import Governor, ProviderRate
from rekindle.project import project_root
from rekindle.rendering.context import Company
from rekindle.run import Run
from rekindle.tokens import TokenSigner
from rekindle.vocabulary import Channel
from rekindle.warehouse.dialect import DUCKDB
from rekindle.warehouse.duckdb import DuckDbTransaction, DuckDbWarehouse
from rekindle.warehouse.statements import statement

STOPPED_BY_CONFIGURATION = 3
WAREHOUSE_FAILED = 4
PUBLIC_BASE_URL = "https://rekindle.example"
TOKEN_KEY = "key-of-made-up-people"  # noqa: S105 - signs links of made-up people on this machine
SENDGRID_API_KEY = "SG.made-up-sandbox-key"
TWILIO_AUTH_TOKEN = "made-up-sandbox-token"  # noqa: S105 - opens nothing but the sandbox
_GOVERNOR_PATIENCE = 0.2  # seconds: who is told to wait longer gives the chunk back instead


def sendgrid_account(base_url: str) -> SendGridAccount:
    """The sandbox's SendGrid account."""
    return SendGridAccount.model_validate(
        {
            "api_key": SENDGRID_API_KEY,
            "base_url": base_url,
            "from_email": "hello@example.com",
            "from_name": "Example Records",
            "postal_address": "1 Example Street, Springfield, IL 62701, USA",
        }
    )


def twilio_account(base_url: str) -> TwilioAccount:
    """The sandbox's Twilio account."""
    return TwilioAccount.model_validate(
        {
            "account_sid": "AC" + "0" * 32,
            "username": "AC" + "0" * 32,
            "secret": TWILIO_AUTH_TOKEN,
            "base_url": base_url,
            "lookup_base_url": base_url,
            "messaging_service_sid": "MG" + "1" * 32,
            "status_callback_base_url": PUBLIC_BASE_URL,
        }
    )


@cache
def campaign_of(campaign_id: str, definition: Path) -> Campaign:
    """The campaign as its warehouse knows it."""
    return restore_campaign(campaign_id, definition.read_text())


@cache
def provider_errors() -> ProviderErrors:
    """The reviewed error table."""
    return ProviderErrors.load()


@cache
def warm_up() -> None:
    """Read what every attempt reads, once for all forks of a room."""
    provider_errors()
    queries = project_root() / "sql" / "queries"
    for area in ("dispatch", "chaos"):
        for path in (queries / area).glob("*.sql"):
            statement(DUCKDB, f"{area}/{path.stem}")


class Witness:
    """Marks the trail, and does the deed when its place is reached for the n-th time."""

    def __init__(self, trail: Trail, fate: Fate | None, warehouse: Path) -> None:
        self._trail = trail
        self._warehouse = warehouse
        self._fate = fate
        self._seen: Counter[Place] = Counter()

    def at(self, place: Place) -> None:
        self._trail.mark(place)
        self._seen[place] += 1
        if self._fate is None or place is not self._fate.place or self._seen[place] != self._fate.nth:
            return
        match self._fate.deed:
            case Deed.KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            case Deed.FREEZE:
                wait_until_let_go(os.getpid(), self._warehouse)
                os.kill(os.getpid(), signal.SIGSTOP)
            case Deed.FILL_DISK:
                resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


class WitnessedWarehouse(DuckDbWarehouse):
    """The real warehouse, with a witness around every commit."""

    def __init__(self, path: Path, patience: float, witness: Witness) -> None:
        super().__init__(path, patience)
        self._witness = witness

    @contextlib.contextmanager
    def transaction(self) -> Iterator[DuckDbTransaction]:
        with super().transaction() as transaction:
            self._witness.at(Place.IN_TRANSACTION)
            before = _statuses(transaction)
            yield transaction
            commit = commit_between(before, _statuses(transaction))
            self._witness.at(Place.around("before", commit))
            self._witness.at(Place.around("during", commit))
        self._witness.at(Place.around("after", commit))


def _statuses(transaction: DuckDbTransaction) -> dict[str, int]:
    return {row["status"]: row["message_count"] for row in transaction.fetch("chaos/count_statuses")}


class WitnessedSender:
    """The real sender, with a witness around every call."""

    def __init__(self, inner: Sender, chunk_size: int, witness: Witness) -> None:
        self._inner = inner
        self._witness = witness
        self.provider = inner.provider
        self.chunk_size = chunk_size

    def send(self, chunk: Sequence[Composed], clock: Clock) -> list[Outcome]:
        self._witness.at(Place.BEFORE_CALL)
        self._witness.at(Place.DURING_CALL)
        outcomes = self._inner.send(chunk, clock)
        self._witness.at(Place.AFTER_CALL)
        return outcomes


def attempt(job: DispatchJob) -> int:
    """Dispatch the batches; returns the exit code."""
    clock = SteppedClock(job.clock)
    witness = Witness(Trail(job.trail), job.fate, job.warehouse)
    witness.at(Place.STARTING)
    composer = Composer(
        campaign=campaign_of(job.campaign_id, job.definition),
        signer=TokenSigner([TOKEN_KEY]),
        public_base_url=PUBLIC_BASE_URL,
        app_url="https://app.example/",
        company=Company("Example Records", "1 Example Street, Springfield, IL 62701, USA"),
    )
    sender = WitnessedSender(_sender(job), job.chunk_size, witness)
    warehouse = WitnessedWarehouse(job.warehouse, job.patience_seconds, witness)
    run = Run(as_of=job.as_of, run_id=job.run_id, recorded_at=clock.now())
    dispatch = pkgutil.resolve_name(job.dispatcher)
    try:
        for batch_id in job.batch_ids:
            dispatch(warehouse, batch_id, composer, sender, clock, run)
    except ConfigurationError:
        return STOPPED_BY_CONFIGURATION
    except (duckdb.Error, WarehouseBusyError):
        if job.fate is None or job.fate.deed is Deed.KILL:
            raise  # nobody touched its warehouse
        return WAREHOUSE_FAILED
    witness.at(Place.FINISHED)
    return 0


def _sender(job: DispatchJob) -> Sender:
    governor = Governor.in_memory(ProviderRate(100_000), patience_seconds=_GOVERNOR_PATIENCE)
    if job.channel is Channel.EMAIL:
        mail = SendGridChannel(sendgrid_account(job.sandbox), provider_errors(), timeout_seconds=job.timeout_seconds)
        return EmailSender(mail, governor)
    texts = TwilioChannel(twilio_account(job.sandbox), provider_errors(), timeout_seconds=job.timeout_seconds)
    return SmsSender(texts, governor)
