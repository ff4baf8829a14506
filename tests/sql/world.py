"""A small world around the state statements: a real DuckDB file, a clock to step, providers that answer as told.

The warehouse is the one `rekindle simulate` plays on.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from rekindle.campaigns.loader import load_campaign, restore_campaign
from rekindle.campaigns.models import Campaign, MessageStep
from rekindle.channels.ports import Outcome, OutcomeKind
from rekindle.channels.provider_errors import Provider, ProviderErrors
from rekindle.clock import Clock, SteppedClock
from rekindle.contacts.checks import ContactCheck, check_email
from rekindle.dispatch import Composed, Composer, Dispatched, dispatch_batch
from rekindle.identity import address_hash
from rekindle.ingest import load_landing_zone
from rekindle.invariants import Verdict, check_invariants
from rekindle.journey import advance_journeys, freeze_cohort
from rekindle.journey.versions import message_steps_due, version_of_batch
from rekindle.planning import Batch, check_contacts, plan_messages
from rekindle.reconcile import reconcile_ledger
from rekindle.rendering.context import Company
from rekindle.run import Run
from rekindle.simulate import arrivals
from rekindle.simulate.warehouse import (
    CONSENTED_AT,
    activation_columns,
    build_warehouse,
    consent_row,
    contact_row,
    offer_row,
)
from rekindle.tokens import TokenSigner
from rekindle.vocabulary import Channel
from rekindle.warehouse.duckdb import DuckDbWarehouse

ROOT = Path(__file__).parents[2]
#: A Monday in winter: 18:00 UTC is 13:00 in New York and 10:00 in Los Angeles, inside the campaign's window.
START = datetime(2026, 1, 12, 18, tzinfo=UTC)
BROWSER = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17.4 Safari/605.1.15"
TOKEN_KEY = "token-key-of-the-tests"

__all__ = ["CONSENTED_AT", "World", "activation_columns"]

#: Emptied by whoever fills them: nothing in them is state.
WORKING_TABLES = frozenset({"due_entries", "attempt_chunks", "attempt_outcomes", "incoming_events"})


def build_empty_warehouse(path: Path) -> Path:
    """Migrations, the activation relations as tables, and the seed."""
    build_warehouse(path, START)
    return path


def accepted(item: Composed, provider: str = "sendgrid") -> Outcome:
    """The provider took it."""
    proof = arrivals.text_sid(item.message_id) if provider == "twilio" else f"x{item.message_id}"
    return Outcome(item.message_id, OutcomeKind.ACCEPTED, provider, proof, None, None, None, None, None, "accepted")


def refused(item: Composed, provider: str, code: str, status: int = 400) -> Outcome:
    """What the reviewed error table makes of this answer."""
    return ProviderErrors.load().for_api(Provider(provider), code, status).outcome(item.message_id, "as told")


@dataclass
class ScriptedSender:
    """Answers each message as told, and remembers what it was handed."""

    provider: str = "sendgrid"
    answer: Callable[[Composed], Outcome | None] | None = None  # None: accepted; an outcome of None is left out
    chunk_size: int = 1_000
    sent: list[Composed] = field(default_factory=list)

    def send(self, chunk: Sequence[Composed], clock: Clock) -> list[Outcome]:
        self.sent += chunk
        answers = [self.answer(item) if self.answer else accepted(item, self.provider) for item in chunk]
        return [answer for answer in answers if answer is not None]


@dataclass(frozen=True)
class Lead:
    lead_id: str
    email: str | None
    phone: str | None

    @property
    def email_hash(self) -> str | None:
        return address_hash(self.email) if self.email else None

    @property
    def phone_hash(self) -> str | None:
        return address_hash(self.phone) if self.phone else None


class World:
    """One warehouse, one campaign, and what a day does to them."""

    def __init__(self, folder: Path, template: Path, **campaign_changes: Any) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.path = folder / "warehouse.duckdb"
        shutil.copy(template, self.path)
        self.landing = folder / "landing"
        self._writer = arrivals.Landing(self.landing)
        self.warehouse = DuckDbWarehouse(self.path, patience=20)
        self.clock = SteppedClock(folder / "clock")
        self.clock.step_to(START)
        self.campaign = self.campaign_with(**campaign_changes)
        self.email = ScriptedSender("sendgrid")
        self.sms = ScriptedSender("twilio")
        self.find_texts: Callable[[str, datetime], Sequence[Any]] = lambda number, since: []
        self._leads = 0
        # Opening the file costs more than a statement; a second connection of one process shares the open database.
        self.hold()

    def hold(self) -> None:
        """Keep the file open: quicker, and nobody else can have it."""
        self._open = duckdb.connect(str(self.path), config={"threads": 2})

    def let_go(self) -> None:
        """Close the file, so that another process may open it."""
        self._open.close()

    # --- the campaign

    @staticmethod
    def campaign_with(campaign_id: str = "cold_lead_reengagement", **changes: Any) -> Campaign:
        """The campaign of the repository with some words of its file changed; nobody is held out unless told."""
        include = ROOT / "include"
        original = load_campaign(include / "campaigns/cold_lead_reengagement.yaml", include / "templates")
        stored = json.loads(original.definition_json)
        stored["definition"] |= {"holdout": {"share": 0.0, "salt": "salt"}} | changes
        return restore_campaign(campaign_id, json.dumps(stored))

    def step(self, step_id: str) -> MessageStep:
        return next(step for step in self.campaign.message_steps if step.step_id == step_id)

    # --- people

    def leads(self, rows: Iterable[Mapping[str, Any]], *, on: int = 0) -> list[Lead]:
        """Add leads who just crossed the cold line on day `on`; see `lead` for the words."""
        made, contacts, cold, consents = [], [], [], []
        for given in rows:
            self._leads += 1
            number = self._leads
            words = {
                "lead_id": f"lead-{number:05d}",
                "email": f"person{number}@mail.example",
                "phone": f"+1415555{number:04d}",
                "time_zone": "America/New_York",
                "country": "US",
                "consents": ("email", "sms"),
                "cold_score": 80.0,
                "is_cold": True,
            } | dict(given)
            lead = Lead(words["lead_id"], words["email"], words["phone"])
            words.setdefault("person_id", lead.lead_id)
            made.append(lead)
            contacts.append(contact_row(**({"first_name": "Ada", "plan": "team"} | words)))
            if words["is_cold"]:
                offers = {name: words[name] for name in ("person_id", "cold_score", "crossed_cold_on") if name in words}
                cold.append(offer_row(lead.lead_id, self.at(on), **offers))
            for channel in words["consents"]:
                if words["email" if channel == "email" else "phone"]:
                    consents.append(self._consent(lead, channel))
        with self.warehouse.transaction() as transaction:
            transaction.insert("rekindle_activation.sync_lead_contacts", contacts)
            transaction.insert("rekindle_activation.sync_cold_leads", cold)
            transaction.insert("rekindle_state.consents", consents)
        return made

    def lead(self, *, on: int = 0, **words: Any) -> Lead:
        """One lead; give `email`, `phone`, `time_zone`, `country`, `consents`, `person_id`, `is_cold` … to differ."""
        return self.leads([words], on=on)[0]

    def crosses_again(self, lead: Lead, *, on: int, person_id: str | None = None) -> None:
        """The lead stands in the cohort relation of day `on` too."""
        with self.warehouse.transaction() as transaction:
            again = offer_row(lead.lead_id, self.at(on), person_id=person_id or lead.lead_id)
            transaction.insert("rekindle_activation.sync_cold_leads", [again])

    @staticmethod
    def _consent(lead: Lead, channel: str, **changes: Any) -> dict[str, Any]:
        address = lead.email if channel == "email" else lead.phone
        assert address is not None
        return consent_row(lead.lead_id, channel, address, **({"source": "test"} | changes))

    def consent(self, lead: Lead, channel: str, **changes: Any) -> None:
        self.insert("rekindle_state.consents", self._consent(lead, channel, **changes))

    def suppress(self, hashed: str | None, channel: str = "email", reason: str = "unsubscribed") -> None:
        self.insert(
            "rekindle_state.suppressions",
            {
                "address_hash": hashed,
                "channel": channel,
                "topic": "all",
                "reason": reason,
                "source": "test",
                "suppressed_at": self.clock.now(),
                "recorded_at": self.clock.now(),
            },
        )

    def sign_of_life(self, lead: Lead, at: datetime, kind: str = "log_in") -> None:
        self.insert(
            "rekindle_activation.sync_life_signs",
            {
                "lead_id": lead.lead_id,
                "event_id": f"{lead.lead_id} {at.isoformat()} {kind}",
                "event_type": kind,
                "kind": kind,
                "occurred_at": at,
            },
        )

    # --- time

    @staticmethod
    def at(day: float) -> datetime:
        """18:00 UTC so many days after the start."""
        return START + timedelta(days=day)

    def run(self, day: float, *, recorded_at: datetime | None = None) -> Run:
        instant = self.at(day)
        return Run(as_of=instant, run_id=f"scheduled__{instant.isoformat()}", recorded_at=recorded_at or self.now(day))

    def now(self, day: float) -> datetime:
        """The clock's time on that day; the clock is stepped there if it stands earlier."""
        if self.at(day) > self.clock.now():
            self.clock.step_to(self.at(day))
        return self.clock.now()

    # --- the day's work, as the DAGs call it

    def freeze(self, day: float, campaign: Campaign | None = None) -> int:
        return freeze_cohort(self.warehouse, campaign or self.campaign, self.run(day))["entered"]

    def advance(self, day: float, campaign: Campaign | None = None) -> dict[str, int]:
        return advance_journeys(self.warehouse, campaign or self.campaign, self.run(day))

    def check(self, day: float, channel: Channel, unusable: frozenset[str] = frozenset()) -> None:
        def number(address: str, country: str | None) -> ContactCheck:
            usable = address not in unusable
            reason = "usable" if usable else "line_type:landline"
            return ContactCheck(address_hash(address), Channel.SMS, usable, reason, None, None, None, address)

        for version, step in message_steps_due(self.warehouse, self.campaign, self.run(day).as_of):
            if step.channel is channel:
                checker = number if channel is Channel.SMS else lambda address, country: check_email(address)
                check_contacts(self.warehouse, version, step, self.run(day), checker)

    def plan(self, day: float, channel: Channel = Channel.EMAIL, *, check: bool = True) -> list[Batch]:
        if check:
            self.check(day, channel)
        return plan_messages(self.warehouse, self.campaign, channel, self.run(day))

    def composer(self, batch_id: str = "") -> Composer:
        return Composer(
            campaign=version_of_batch(self.warehouse, self.campaign, batch_id),
            signer=TokenSigner([TOKEN_KEY]),
            public_base_url="http://127.0.0.1:8290",
            app_url="http://127.0.0.1:8290/healthz",
            company=Company("Example Records", "1 Example Street, Springfield, IL 62701, USA"),
        )

    def dispatch(self, batches: Sequence[Batch], sender: Any, day: float) -> Dispatched:
        total = Dispatched()
        for batch in batches:
            composer = self.composer(batch.batch_id)
            found = dispatch_batch(self.warehouse, batch.batch_id, composer, sender, self.clock, self.run(day))
            total.statuses.update(found.statuses)
        return total

    def ingest(self, day: float) -> dict[str, int]:
        return load_landing_zone(self.warehouse, self.landing, self.run(day))

    def reconcile(self, day: float) -> dict[str, int]:
        return reconcile_ledger(self.warehouse, self.find_texts, self.clock, self.run(day))

    def tick(self, day: float) -> None:
        """A whole day, in the order of the DAGs."""
        self.now(day)
        self.ingest(day)
        self.reconcile(day)
        self.freeze(day)
        self.advance(day)
        emails = self.plan(day, Channel.EMAIL)
        texts = self.plan(day, Channel.SMS)
        self.dispatch(emails, self.email, day)
        self.dispatch(texts, self.sms, day)
        self.advance(day)

    # --- what providers and people say

    def land(self, stream: str, *lines: Mapping[str, Any]) -> None:
        """One landing file, as the receiver writes it."""
        self._writer.land(stream, lines, self.clock.now())

    def land_mail_events(self, *events: Mapping[str, Any], at: datetime | None = None) -> None:
        self.land("sendgrid_events", arrivals.line(at or self.clock.now(), json.dumps(list(events))))

    line = staticmethod(arrivals.line)
    mail_event = staticmethod(arrivals.mail_event)
    text_status = staticmethod(arrivals.text_status)
    inbound_text = staticmethod(arrivals.inbound_text)
    unsubscribe = staticmethod(arrivals.unsubscribe)

    @staticmethod
    def click(message_id: str, at: datetime, *, agent: str = BROWSER, **words: Any) -> dict[str, Any]:
        return arrivals.click(message_id, at, agent=agent, **words)

    # --- looking

    def query(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        with self.warehouse.transaction() as transaction:
            return transaction.query(sql, **values)

    def values(self, sql: str, **values: Any) -> list[Any]:
        """The first column."""
        return [next(iter(row.values())) for row in self.query(sql, **values)]

    def execute(self, sql: str, **values: Any) -> None:
        with self.warehouse.transaction() as transaction:
            transaction.connection.execute(sql, values or None)

    def insert(self, table: str, *rows: Mapping[str, Any]) -> None:
        with self.warehouse.transaction() as transaction:
            transaction.insert(table, rows)

    def state(self, lead: Lead | str) -> dict[str, Any]:
        lead_id = lead if isinstance(lead, str) else lead.lead_id
        rows = self.query("select * from rekindle_state.journey_state where lead_id = $lead_id", lead_id=lead_id)
        return max(rows, key=lambda row: row["stage_entered_at"])

    def messages(self, lead: Lead | None = None) -> list[dict[str, Any]]:
        rows = self.query("select * from rekindle_state.messages order by planned_at, message_id")
        return [row for row in rows if lead is None or row["lead_id"] == lead.lead_id]

    def message(self, lead: Lead) -> dict[str, Any]:
        (only,) = self.messages(lead)
        return only

    def decisions(self, lead: Lead | None = None) -> list[str]:
        rows = self.query("select lead_id, reason from rekindle_state.decisions order by decided_at, reason")
        return [row["reason"] for row in rows if lead is None or row["lead_id"] == lead.lead_id]

    def verdicts(self, campaigns: Sequence[Campaign] | None = None) -> dict[int, Verdict]:
        found = check_invariants(self.warehouse, campaigns or [self.campaign])
        return {verdict.number: verdict for verdict in found}

    def broken(self) -> dict[int, int]:
        """Number → violations of every invariant that does not hold."""
        return {number: verdict.violations for number, verdict in self.verdicts().items() if not verdict.holds}

    def fingerprint(self, *, without: frozenset[str] = WORKING_TABLES) -> dict[str, str]:
        """Table → hash over its sorted rows, for every state and raw table."""
        with self.warehouse.transaction() as transaction:
            tables = transaction.query(
                "select schema_name, table_name from duckdb_tables() where schema_name in"
                " ('rekindle_state', 'rekindle_raw') order by 1, 2"
            )
            found = {}
            for table in tables:
                if table["table_name"] not in without:
                    name = f"{table['schema_name']}.{table['table_name']}"
                    rows = transaction.connection.execute(f"select * from {name}").fetchall()
                    found[name] = hashlib.sha256("\n".join(sorted(map(repr, rows))).encode()).hexdigest()
            return found
