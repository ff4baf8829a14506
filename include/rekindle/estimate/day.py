"""One day of a campaign, run on a warehouse of made-up people and counted.

Three small days tell what a batch, a chunk and the rest of the day cost: one message; two messages in one batch, which
is then two chunks; two messages in two batches. A day's statements are linear in batches and chunks, and nothing else.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from rekindle.campaigns.loader import load_campaign, restore_campaign
from rekindle.campaigns.models import Campaign
from rekindle.channels.ports import Outcome, OutcomeKind
from rekindle.clock import Clock
from rekindle.contacts.checks import ContactCheck, check_email
from rekindle.dispatch import Composed, Composer, dispatch_batch
from rekindle.errors import RekindleError
from rekindle.estimate.recording import RecordingWarehouse, Statement
from rekindle.identity import address_hash
from rekindle.ingest import listen, load_landing_zone
from rekindle.journey import advance_journeys, freeze_cohort
from rekindle.planning import check_contacts, plan_messages
from rekindle.project import project_root
from rekindle.reconcile import reconcile_ledger
from rekindle.rendering.context import Company
from rekindle.run import Run
from rekindle.simulate.arrivals import Landing, line, mail_event
from rekindle.simulate.clock import StillClock
from rekindle.simulate.warehouse import build_warehouse, consent_row, contact_row, offer_row
from rekindle.tokens import TokenSigner
from rekindle.vocabulary import Channel, Stream
from rekindle.warehouse.duckdb import DuckDbWarehouse

CAMPAIGN_ID = "cold_lead_reengagement"
#: A Monday at 13:00 in New York: the reference campaign may write.
AT = datetime(2026, 1, 12, 18, tzinfo=UTC)
_NOTHING = 16  # bytes of a text column of which no row tells more
_BASE = "https://links.example.com"


@dataclass(frozen=True)
class MeasuredDay:
    """What was counted. Statements a batch and a chunk need are by channel."""

    fixed: Counter[Statement]
    per_batch: Mapping[Channel, Counter[Statement]]
    per_chunk: Mapping[Channel, Counter[Statement]]
    listening: Counter[Statement]  # one tick between two days to which something came
    quiet: Counter[Statement]  # one to which nothing came
    #: Table → rows that one message, with the entry behind it, leaves behind.
    rows_per_message: Mapping[str, int]
    #: Table → column → bytes a row, as BigQuery counts them.
    column_bytes: Mapping[str, Mapping[str, float]]

    def statements(self, batches: Mapping[Channel, int], chunks: Mapping[Channel, int]) -> Counter[Statement]:
        """Every statement of a day with so many batches and chunks."""
        total = Counter(self.fixed)
        for channel in Channel:
            for counted, times in ((self.per_batch, batches), (self.per_chunk, chunks)):
                for statement, count in counted[channel].items():
                    total[statement] += count * times[channel]
        return total


def measure_day() -> MeasuredDay:
    """Run the small days on throw-away DuckDB files and count. A few seconds; nobody is written to."""
    with TemporaryDirectory(prefix="rekindle-estimate-") as name:
        folder = Path(name)
        template = folder / "template.duckdb"
        build_warehouse(template, AT)
        days = {
            channel: [
                _Day(template, folder / f"{channel}-{number}.duckdb", channel, messages, batch_size)
                for number, (messages, batch_size) in enumerate(((1, 1), (2, 2), (2, 1)))
            ]
            for channel in Channel
        }
        for three in days.values():
            for day in three:
                day.live()
        per_chunk = {channel: three[1].statements - three[0].statements for channel, three in days.items()}
        per_batch = {channel: three[2].statements - three[1].statements for channel, three in days.items()}
        rests = {
            channel: three[0].statements - per_chunk[channel] - per_batch[channel] for channel, three in days.items()
        }
        one, two = days[Channel.EMAIL][:2]
        return MeasuredDay(
            fixed=rests[Channel.EMAIL] | rests[Channel.SMS],
            per_batch=per_batch,
            per_chunk=per_chunk,
            listening=two.listening,
            quiet=two.quiet,
            rows_per_message={table: two.rows[table] - one.rows[table] for table in two.rows},
            column_bytes=_widest(two.column_bytes, days[Channel.SMS][1].column_bytes),
        )


def _widest(
    first: Mapping[str, Mapping[str, float]], second: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    return {
        table: {column: max(width, second[table][column]) for column, width in columns.items()}
        for table, columns in first.items()
    }


class _AcceptingSender:
    """Says that everything was accepted; a chunk is one message."""

    chunk_size = 1

    def __init__(self, provider: str) -> None:
        self.provider = provider

    def send(self, chunk: Sequence[Composed], clock: Clock) -> list[Outcome]:
        return [
            Outcome(
                item.message_id, OutcomeKind.ACCEPTED, self.provider, f"proof of {item.message_id}",
                None, None, None, None, None, "accepted",
            )
            for item in chunk
        ]  # fmt: skip


@dataclass
class _Day:
    """A few people who can be reached by one channel, and the day on which they are written to."""

    template: Path
    path: Path
    channel: Channel
    messages: int
    batch_size: int
    statements: Counter[Statement] = field(default_factory=Counter)
    listening: Counter[Statement] = field(default_factory=Counter)
    quiet: Counter[Statement] = field(default_factory=Counter)
    rows: dict[str, int] = field(default_factory=dict)
    column_bytes: dict[str, dict[str, float]] = field(default_factory=dict)

    def live(self) -> None:
        """Run the day and count what it asked of the warehouse."""
        shutil.copyfile(self.template, self.path)
        warehouse = DuckDbWarehouse(self.path)
        with duckdb.connect(str(self.path), config={"threads": 2}) as held:  # opening costs more than a statement
            populate(warehouse, self.channel, self.messages)
            counted = RecordingWarehouse(warehouse)
            sent = _live_through(counted, warehouse, self.channel, self.batch_size, self._landing)
            if sent != self.messages:
                raise RekindleError(f"of {self.messages} made-up messages {sent} left: the estimate's day is broken")
            self.statements = counted.statements
            self._land_a_receipt(warehouse)
            self.listening = self._listen(warehouse)
            self.quiet = self._listen(warehouse)
            self.rows, self.column_bytes = _tables_of(held)

    @property
    def _landing(self) -> Path:
        return self.path.with_suffix("")

    def _land_a_receipt(self, warehouse: DuckDbWarehouse) -> None:
        with warehouse.transaction() as transaction:
            message_id = transaction.fetch("chaos/list_ledger")[0]["message_id"]
        event = json.dumps([mail_event(message_id, "delivered", AT, "person@mail.example")])
        Landing(self._landing).land(Stream.SENDGRID_EVENTS, [line(AT, event)], AT)

    def _listen(self, warehouse: DuckDbWarehouse) -> Counter[Statement]:
        counted = RecordingWarehouse(warehouse)
        listen(counted, self._landing, _run())
        return counted.statements


def _live_through(
    counted: RecordingWarehouse, warehouse: DuckDbWarehouse, channel: Channel, batch_size: int, landing: Path
) -> int:
    """The day in the order of the DAGs; returns how many messages were accepted."""
    landing.mkdir()
    run, clock, campaign = _run(), StillClock(AT), campaign_without_holdout()
    load_landing_zone(counted, landing, run)
    freeze_cohort(counted, campaign, run)
    advance_journeys(counted, campaign, run)
    for planned in (Channel.EMAIL, Channel.SMS):
        for step in campaign.message_steps:
            if step.channel is planned:
                check_contacts(counted, campaign, step, run, _check)
        plan_messages(counted, campaign, planned, run)
    with warehouse.transaction() as transaction:  # smaller than any real batch, and not part of the day
        transaction.execute("chaos/cut_batches", planned_at=run.as_of, batch_size=batch_size)
        batches = sorted({row["batch_id"] for row in transaction.fetch("chaos/list_ledger")})
    sender = _AcceptingSender("sendgrid" if channel is Channel.EMAIL else "twilio")
    accepted = sum(
        dispatch_batch(counted, batch, _composer(campaign), sender, clock, run).statuses["accepted"]
        for batch in batches
    )
    advance_journeys(counted, campaign, run)
    reconcile_ledger(counted, lambda number, since: [], clock, run)
    return accepted


def _run() -> Run:
    return Run(as_of=AT, run_id="rekindle estimate", recorded_at=AT)


def campaign_without_holdout() -> Campaign:
    """The reference campaign with nobody held out."""
    include = project_root() / "include"
    original = load_campaign(include / "campaigns" / f"{CAMPAIGN_ID}.yaml", include / "templates")
    stored = json.loads(original.definition_json)
    stored["definition"] |= {"holdout": {"share": 0.0, "salt": "estimate"}}
    return restore_campaign(CAMPAIGN_ID, json.dumps(stored))


def _composer(campaign: Campaign) -> Composer:
    return Composer(
        campaign=campaign,
        signer=TokenSigner(["made up for an estimate"]),
        public_base_url=_BASE,
        app_url=_BASE,
        company=Company("Example Records", "1 Example Street, Springfield, IL 62701, USA"),
    )


def _check(address: str, country: str | None) -> ContactCheck:
    if "@" in address:
        return check_email(address)
    return ContactCheck(address_hash(address), Channel.SMS, True, "usable", None, None, None, address)


def populate(warehouse: DuckDbWarehouse, channel: Channel, count: int) -> None:
    """Make up leads who are offered today and can be reached by one channel."""
    contacts, offers, consents = [], [], []
    for number in range(count):
        lead_id, email, phone = f"lead-{number:08d}", f"person{number:08d}@mail.example", f"+141555501{number:02d}"
        address = email if channel is Channel.EMAIL else phone
        reached = {"email": email, "phone": None} if channel is Channel.EMAIL else {"email": None, "phone": phone}
        words = {"first_name": "Ada", "time_zone": "America/New_York", "country": "US", "locale": "en-US"}
        contacts.append(contact_row(lead_id, **reached, **words))
        offers.append(offer_row(lead_id, AT))
        consents.append(consent_row(lead_id, channel, address))
    with warehouse.transaction() as transaction:
        transaction.insert("rekindle_activation.sync_lead_contacts", contacts)
        transaction.insert("rekindle_activation.sync_cold_leads", offers)
        transaction.insert("rekindle_state.consents", consents)


def _tables_of(connection: duckdb.DuckDBPyConnection) -> tuple[dict[str, int], dict[str, dict[str, float]]]:
    """Rows of every table of ours, and the bytes a row of each column as BigQuery counts them: 2 and the UTF-8 length
    of a text, 1 of a boolean, 8 of the rest (cloud.google.com/bigquery/docs/reference/standard-sql/data-types).
    """
    columns: dict[str, dict[str, str]] = {}
    for table, column, kind in connection.execute(
        "select table_schema || '.' || table_name, column_name, data_type from information_schema.columns"
        " where table_schema like 'rekindle_%'"
    ).fetchall():
        columns.setdefault(table, {})[column] = kind
    rows, widths = {}, {}
    for table, kinds in columns.items():
        measured = ", ".join(
            f"avg(2 + strlen({column}))" if kind == "VARCHAR" else ("1.0" if kind == "BOOLEAN" else "8.0")
            for column, kind in kinds.items()
        )
        found = connection.execute(f"select count(*), {measured} from {table}").fetchall()[0]  # noqa: S608 - our own names
        rows[table] = int(found[0])
        widths[table] = {
            column: float(width) if width is not None else 2.0 + _NOTHING
            for column, width in zip(kinds, found[1:], strict=True)
        }
    return rows, widths
