"""One place to be killed on: a warehouse file with made-up people, a clock, the sandbox, the receiver, and attempts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil

from rekindle.campaigns.loader import load_campaign, restore_campaign
from rekindle.campaigns.models import Campaign
from rekindle.channels.ports import ProviderUnavailableError
from rekindle.channels.twilio import TwilioChannel
from rekindle.chaos.attempt import (
    STOPPED_BY_CONFIGURATION,
    TOKEN_KEY,
    WAREHOUSE_FAILED,
    provider_errors,
    twilio_account,
)
from rekindle.chaos.checker import Accepted, Evidence
from rekindle.chaos.jobs import TELL, DispatchJob, Fate, HoldJob, ReceiverJob, SandboxJob
from rekindle.chaos.places import Place, places_on
from rekindle.chaos.room import ProcessRoom
from rekindle.clock import SteppedClock
from rekindle.contacts.checks import ContactCheck, check_email
from rekindle.dispatch.batch import LEASE
from rekindle.errors import RekindleError
from rekindle.identity import address_hash
from rekindle.ingest import load_landing_zone
from rekindle.invariants import check_invariants
from rekindle.journey import advance_journeys, freeze_cohort
from rekindle.planning import check_contacts, plan_messages
from rekindle.project import project_root
from rekindle.reconcile import reconcile_ledger
from rekindle.run import Run
from rekindle.sandbox.keys import load_or_create_signing_key
from rekindle.simulate.warehouse import build_warehouse, consent_row, contact_row, offer_row
from rekindle.tokens import TokenSigner
from rekindle.vocabulary import Channel
from rekindle.warehouse.duckdb import DuckDbWarehouse
from rekindle.warehouse.ports import Row

CAMPAIGN_ID = "cold_lead_reengagement"
#: A Monday in winter, half past eight in New York: the campaign's window has just opened, and stays open until 20:00.
START = datetime(2026, 1, 12, 13, 30, tzinfo=UTC)
#: The endpoint that sends, for each channel: only these are made to fail.
SENDING = {Channel.EMAIL: "mail_send", Channel.SMS: "messages_create"}
#: Nothing is waited for longer than this, seconds.
DEADLINE = 60.0

_POLL = 0.001  # seconds
_TELLING = 1.0  # seconds


class ChaosError(RekindleError):
    """The harness itself could not go on; says nothing about the product."""


@dataclass(frozen=True)
class Person:
    """A made-up lead."""

    lead_id: str
    email: str | None
    phone: str | None


@dataclass
class Attempt:
    """A dispatcher that was started."""

    pid: int
    trail: Path
    channel: Channel

    @property
    def places(self) -> list[Place]:
        """Where it has come to."""
        return places_on(self.trail)

    @property
    def is_over(self) -> bool:
        """Whether it ended, in whatever way; its status is told to whoever waits for it."""
        try:
            return psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True


@dataclass
class Counts:
    """What was really done and seen, not what was planned."""

    kills: Counter[tuple[Channel, Place]] = field(default_factory=Counter)
    ordeals: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    attempts: int = 0

    @property
    def killed(self) -> int:
        """Dispatchers the operating system reported as ended by SIGKILL."""
        return self.kills.total()

    def add(self, other: Counts) -> None:
        """Take in what another ground counted."""
        self.kills += other.kills
        self.ordeals += other.ordeals
        self.faults += other.faults
        self.attempts += other.attempts


def build_empty_ground(path: Path) -> Path:
    """An empty warehouse to copy for each ground."""
    build_warehouse(path, START)
    return path


class Ground:
    """See the module. Leaving it kills its servers; its folder stays."""

    def __init__(
        self,
        folder: Path,
        template: Path,
        room: ProcessRoom,
        *,
        seed: int = 0,
        timeout_seconds: float = 1.0,
        dispatcher: str | None = None,
    ) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.room = room
        self.counts = Counts()
        self.chunk_size = 2
        self.people: dict[str, Person] = {}
        self.day = 0
        self._timeout = timeout_seconds
        self._dispatcher = {"dispatcher": dispatcher} if dispatcher else {}
        self._seed = seed
        self._trails = 0
        self._ever_unknown: set[str] = set()
        self._permitted: dict[str, frozenset[str]] = {}
        self._servers: list[int] = []
        self.clock = SteppedClock(folder / "clock")
        self.clock.step_to(START)
        self.warehouse = DuckDbWarehouse(folder / "warehouse.duckdb", patience=DEADLINE)
        shutil.copy(template, self.warehouse.path)
        self.landing = folder / "landing"
        self.landing.mkdir()
        self.record = folder / "record.jsonl"
        self.campaign = _campaign()
        self._definition = folder / "definition.json"
        self._definition.write_text(self.campaign.definition_json)
        self._signing_key = folder / "signing_key.pem"
        load_or_create_signing_key(self._signing_key)
        self._signer = TokenSigner([TOKEN_KEY])
        self._receiver = httpx.Client(base_url=self._serve_receiver(), timeout=DEADLINE, trust_env=False)
        self._sandbox = httpx.Client(base_url=self._serve_sandbox(), timeout=DEADLINE, trust_env=False)

    def _serve_receiver(self) -> str:
        return self._serve(
            ReceiverJob(
                log=self.folder / "receiver.log",
                clock=self.clock.path,
                landing=self.landing,
                signing_key=self._signing_key,
            )
        )

    def _serve_sandbox(self) -> str:
        return self._serve(
            SandboxJob(
                log=self.folder / "sandbox.log",
                clock=self.clock.path,
                receiver=str(self._receiver.base_url),
                record=self.record,
                signing_key=self._signing_key,
                seed=self._seed,
            )
        )

    def _serve(self, job: SandboxJob | ReceiverJob) -> str:
        started = self.room.start(job)
        self._servers.append(started.pid)
        return f"http://127.0.0.1:{started.port}"

    def close(self) -> None:
        """Kill the servers."""
        self._receiver.close()
        self._sandbox.close()
        for pid in self._servers:
            os.kill(pid, signal.SIGKILL)
            self.room.wait(pid)
        self._servers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # --- people and plans

    def populate(self, count: int, channels: Sequence[Channel] = tuple(Channel)) -> list[Person]:
        """That many people who just went cold, reachable by these channels."""
        first = len(self.people) + 1
        made = [
            Person(
                f"lead-{number:05d}",
                f"person{number}@mail.example" if Channel.EMAIL in channels else None,
                f"+1415555{number:04d}" if Channel.SMS in channels else None,
            )
            for number in range(first, first + count)
        ]
        self.people |= {person.lead_id: person for person in made}
        with self.warehouse.transaction() as transaction:
            transaction.insert("rekindle_activation.sync_lead_contacts", [_contact(person) for person in made])
            transaction.insert(
                "rekindle_activation.sync_cold_leads", [offer_row(person.lead_id, START) for person in made]
            )
            transaction.insert("rekindle_state.consents", [row for person in made for row in _consents(person)])
        freeze_cohort(self.warehouse, self.campaign, self._run())
        return made

    def plan(self, channel: Channel, batch_size: int) -> list[str]:
        """Plan the day's messages of a channel in batches of that size; their ids."""
        run = self._run()
        advance_journeys(self.warehouse, self.campaign, run)
        for step in self.campaign.message_steps:
            if step.channel is channel:
                check_contacts(self.warehouse, self.campaign, step, run, _check)
        plan_messages(self.warehouse, self.campaign, channel, run)
        with self.warehouse.transaction() as transaction:
            transaction.execute("chaos/cut_batches", planned_at=run.as_of, batch_size=batch_size)
        return self.open_batches()

    def open_batches(self) -> list[str]:
        """Batches that still hold something to send."""
        return sorted({row["batch_id"] for row in self.ledger() if row["status"] == "planned"})

    def ledger(self) -> list[Row]:
        """Every message as the ledger has it."""
        with self.warehouse.transaction() as transaction:
            return transaction.fetch("chaos/list_ledger")

    def _run(self) -> Run:
        as_of = START + timedelta(days=self.day)
        return Run(as_of=as_of, run_id=f"scheduled__{as_of.isoformat()}", recorded_at=self.clock.now())

    # --- attempts

    def start(self, *batch_ids: str, channel: Channel, fate: Fate | None = None, patience: float = DEADLINE) -> Attempt:
        """Start an attempt at the batches."""
        self._trails += 1
        trail = self.folder / f"attempt-{self._trails:05d}.trail"
        job = DispatchJob(
            log=self.folder / "attempts.log",
            trail=trail,
            warehouse=self.warehouse.path,
            clock=self.clock.path,
            sandbox=str(self._sandbox.base_url),
            batch_ids=batch_ids,
            channel=channel,
            chunk_size=self.chunk_size,
            timeout_seconds=self._timeout,
            patience_seconds=patience,
            campaign_id=self.campaign.campaign_id,
            definition=self._definition,
            as_of=START + timedelta(days=self.day),
            run_id=f"attempt {self._trails}",
            fate=fate,
            **self._dispatcher,
        )
        self.counts.attempts += 1
        return Attempt(self.room.start(job).pid, trail, channel)

    def wait(self, attempt: Attempt, *, accepted_since: int | None = None) -> int:
        """Its exit status, once it is over. A SIGKILL is counted at the place where it struck; `accepted_since` is the
        record's size before an attempt that only this one can have let grow.
        """
        return self._account(attempt, self.room.wait(attempt.pid).status, accepted_since)

    def freezes(self, attempt: Attempt) -> bool:
        """Whether it comes to stand still; otherwise it is over, and was waited for."""
        ended = self.room.wait(attempt.pid, or_stopped=True)
        if not ended.is_frozen:
            self._account(attempt, ended.status, None)
        return ended.is_frozen

    def _account(self, attempt: Attempt, status: int, accepted_since: int | None) -> int:
        if status == -signal.SIGKILL:
            place = (attempt.places or [Place.STARTING])[-1]
            if place is Place.DURING_CALL and accepted_since is not None and self.record_size() > accepted_since:
                place = Place.ACCEPTED
            self.counts.kills[attempt.channel, place] += 1
        elif status not in (0, STOPPED_BY_CONFIGURATION, WAREHOUSE_FAILED):
            raise ChaosError(f"an attempt ended with {status}:\n{self.log()}")
        return status

    def watch(self, attempt: Attempt, is_so: Callable[[], bool], complaint: str) -> bool:
        """Return as soon as it is so or the attempt is over; whether it is so. Raises `ChaosError` after `DEADLINE`,
        with what each of the attempt's threads was doing.
        """
        try:
            wait_until(lambda: is_so() or attempt.is_over, complaint)
        except ChaosError as late:
            os.kill(attempt.pid, TELL)
            time.sleep(_TELLING)
            raise ChaosError(f"{late}\n{attempt.places}\n{self.log()}") from None
        return is_so()

    def dispatch(self, *batch_ids: str, channel: Channel, fate: Fate | None = None) -> int:
        """One attempt from start to end; its exit status."""
        return self.wait(self.start(*batch_ids, channel=channel, fate=fate))

    def hold_warehouse(self) -> Callable[[], None]:
        """Somebody else opens the warehouse file and keeps it until the answer is called."""
        trail = self.folder / "holder.trail"
        trail.unlink(missing_ok=True)
        job = HoldJob(log=self.folder / "attempts.log", trail=trail, warehouse=self.warehouse.path)
        pid = self.room.start(job).pid
        wait_until(lambda: bool(places_on(trail)), "the holder never got the warehouse")

        def let_go() -> None:
            os.kill(pid, signal.SIGKILL)
            self.room.wait(pid)

        return let_go

    def log(self) -> str:
        """What attempts had to say on stderr."""
        log = self.folder / "attempts.log"
        return log.read_text() if log.exists() else ""

    # --- the providers

    def record_size(self) -> int:
        """Bytes of the sandbox's record: it grows before an accepted request is answered."""
        return self.record.stat().st_size if self.record.exists() else 0

    def accepted(self) -> list[Accepted]:
        """Everything the sandbox accepted, by its own record."""
        answer = self._sandbox.get("/_sandbox/messages", params={"format": "jsonl"}).raise_for_status()
        lines = [json.loads(line) for line in answer.text.splitlines()]
        return [Accepted(line["message_id"], address_hash(line["to"])) for line in lines]

    def faults(self, *rules: Mapping[str, object]) -> None:
        """Put these rules in the place of the ones before, whose strikes are counted."""
        before = self._sandbox.get("/_sandbox/faults").raise_for_status().json()["faults"]
        for rule in before:
            self.counts.faults[rule["kind"]] += rule["hits"]
        self._sandbox.post("/_sandbox/faults", json=list(rules)).raise_for_status()

    # --- time and people

    def lease_ends(self) -> None:
        """The clock passes every lease, and reconcile looks at what is left behind."""
        self.clock.step_to(self.clock.now() + LEASE + timedelta(seconds=1))
        self.reconcile()

    def set_clock_back(self, by: timedelta) -> None:
        """What a machine's clock does when it is corrected, and a stepped one refuses to."""
        earlier = self.clock.now() - by
        beside = self.clock.path.with_suffix(".back")
        beside.write_text(earlier.isoformat())
        beside.replace(self.clock.path)

    def reconcile(self) -> None:
        """As the daily run does; a list that can not be read is asked for again the next time."""
        channel = TwilioChannel(
            twilio_account(str(self._sandbox.base_url)), provider_errors(), timeout_seconds=DEADLINE, wait=_no_wait
        )
        try:
            reconcile_ledger(self.warehouse, channel.find_messages, self.clock, self._run())
        except ProviderUnavailableError:
            self.counts.ordeals["the provider's list could not be read"] += 1
        self._ever_unknown |= {row["message_id"] for row in self.ledger() if row["status"] == "unknown"}

    def opts_out(self, row: Row) -> None:
        """The person behind a message presses unsubscribe; it is in the warehouse before this returns."""
        token = self._signer.unsubscribe(row["message_id"], row["address_hash"], row["channel"], self.campaign.topic)
        self._receiver.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"}).raise_for_status()
        self.ingest()
        self._permit_what_has_left(row["lead_id"])
        self.counts.ordeals["opt-outs between attempts"] += 1

    def comes_back(self, row: Row) -> None:
        """The person behind a message logs in: the entry ends before this returns."""
        self.clock.step_to(self.clock.now() + timedelta(seconds=1))  # a log-in at the instant of entering is no answer
        with self.warehouse.transaction() as transaction:
            transaction.insert(
                "rekindle_activation.sync_life_signs",
                [
                    {
                        "lead_id": row["lead_id"],
                        "event_id": f"{row['lead_id']} {self.clock.now().isoformat()}",
                        "event_type": "logged_in",
                        "kind": "log_in",
                        "occurred_at": self.clock.now(),
                    }
                ],
            )
        # a day's run acts as of its own instant and would hear of it only tomorrow; this one acts as of now
        now = self.clock.now()
        advance_journeys(self.warehouse, self.campaign, Run(as_of=now, run_id="a run in between", recorded_at=now))
        self._permit_what_has_left(row["lead_id"])
        self.counts.ordeals["log-ins between attempts"] += 1

    def _permit_what_has_left(self, lead_id: str) -> None:
        left = {
            row["message_id"]
            for row in self.ledger()
            if row["lead_id"] == lead_id and row["status"] not in ("planned", "claimed", "expired")
        }
        self._permitted.setdefault(lead_id, frozenset(left))

    # --- the rest of the story

    def ingest(self) -> None:
        """Load what the receiver has written down."""
        load_landing_zone(self.warehouse, self.landing, self._run())

    def resume(self) -> None:
        """Healthy attempts take what is left. What stays planned all the same is for the checker to see."""
        self.faults()
        self.lease_ends()
        for channel in Channel:
            for _ in range(5):
                mine = sorted(
                    {
                        row["batch_id"]
                        for row in self.ledger()
                        if row["status"] == "planned" and row["channel"] == channel
                    }
                )
                if not mine:
                    break
                self.dispatch(*mine, channel=channel)

    def pass_days(self, *days: int) -> None:
        """Day by day: every callback that is due is delivered, loaded and reconciled, and the journeys move on."""
        for day in days:
            self.day = day
            self.clock.step_to(max(self.clock.now(), START + timedelta(days=day)))
            self._sandbox.post("/_sandbox/deliver").raise_for_status()
            self.ingest()
            self.reconcile()
            advance_journeys(self.warehouse, self.campaign, self._run())

    def settle(self) -> None:
        """The days after the last send, until nothing can be heard any more."""
        self.pass_days(self.day + 1, self.day + 2, self.day + 4)

    def evidence(self) -> Evidence:
        """Both sides of the story, for the checker."""
        with self.warehouse.transaction() as transaction:
            holdout = transaction.fetch("report/list_holdout_addresses")
        self.faults()  # the strikes of the last rules are counted
        return Evidence(
            accepted=self.accepted(),
            ledger=self.ledger(),
            held_out=frozenset(value for row in holdout for value in row.values() if value),
            permitted=dict(self._permitted),
            ever_unknown=frozenset(self._ever_unknown),
            verdicts=check_invariants(self.warehouse, [self.campaign]),
        )


def wait_until(is_so: Callable[[], bool], complaint: str) -> None:
    """Return as soon as it is so; raises `ChaosError` after `DEADLINE`."""
    deadline = time.monotonic() + DEADLINE
    while not is_so():
        if time.monotonic() > deadline:
            raise ChaosError(f"{complaint} within {DEADLINE:.0f} s; is the machine very busy?")
        time.sleep(_POLL)


def _no_wait(_: float) -> None:
    return None


def _campaign() -> Campaign:
    """The repository's own campaign, with a share held out that a small cohort notices."""
    include = project_root() / "include"
    original = load_campaign(include / "campaigns" / f"{CAMPAIGN_ID}.yaml", include / "templates")
    stored = json.loads(original.definition_json)
    stored["definition"] |= {"holdout": {"share": 0.1, "salt": "chaos"}}
    return restore_campaign(CAMPAIGN_ID, json.dumps(stored))


def _check(address: str, country: str | None) -> ContactCheck:
    """Every made-up number takes texts: what Lookup says is not at stake here."""
    if "@" in address:
        return check_email(address)
    return ContactCheck(address_hash(address), Channel.SMS, True, "usable", None, None, None, address)


def _contact(person: Person) -> dict[str, Any]:
    home = {"time_zone": "America/New_York", "country": "US", "first_name": "Ada", "plan": "team"}
    return contact_row(person.lead_id, person.email, person.phone, **home)


def _consents(person: Person) -> list[dict[str, Any]]:
    addresses = ((Channel.EMAIL, person.email), (Channel.SMS, person.phone))
    return [consent_row(person.lead_id, channel, address) for channel, address in addresses if address]
