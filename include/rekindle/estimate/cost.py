"""Counted statements, assumed sizes and listed prices make a day and a month."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from rekindle.dispatch import SmsSender, emails_in_a_chunk
from rekindle.estimate.builds import Builds
from rekindle.estimate.day import MeasuredDay
from rekindle.estimate.prices import Price
from rekindle.estimate.recording import Statement, Verb
from rekindle.planning.plan import BATCH_SIZE
from rekindle.vocabulary import Channel

#: BigQuery charges at least so much for each table a query names, and for each query
#: (cloud.google.com/bigquery/pricing, on-demand compute).
LEAST_BYTES = 10 * 1024**2
TIB = 1024**4
#: The autoscaler adds slots by the fifty, and for a minute at least
#: (cloud.google.com/bigquery/docs/slots-autoscaling-intro).
SLOT_STEP = 50
LEAST_SECONDS = 60
#: Credits an hour of a standard warehouse (docs.snowflake.com/en/user-guide/cost-understanding-compute).
CREDITS_PER_HOUR: Mapping[str, int] = {"XSMALL": 1, "SMALL": 2, "MEDIUM": 4, "LARGE": 8, "XLARGE": 16}
DAY_SECONDS = 24 * 60 * 60
#: What grows with what, of the tables whose rows a made-up day does not tell. Seeds and totals are a few rows.
_BY_EVENT = frozenset({"rekindle_raw.events", "rekindle_intermediate.int_lead_days"})
_BY_WEBHOOK = frozenset({"rekindle_state.message_events", "rekindle_raw.webhook_elements"})
_BY_LEAD = frozenset(
    {
        "rekindle_raw.users",
        "rekindle_raw.support_tickets",
        "rekindle_raw.product_feedback",
        "rekindle_raw.opt_ins",
        "rekindle_state.consents",
        "rekindle_intermediate.int_lead_activity_aggregated",
        "rekindle_intermediate.int_lead_contacts",
        "rekindle_intermediate.int_lead_history",
        "rekindle_intermediate.int_leads_resolved_to_persons",
        "rekindle_marts.fct_cold_scores",
        "rekindle_marts.fct_cold_transitions",
    }
)
#: Marts with a row for each row of a state table.
_LIKE: Mapping[str, str] = {
    "rekindle_marts.fct_messages": "rekindle_state.messages",
    "rekindle_marts.fct_journey_entries": "rekindle_state.journey_entries",
}


@dataclass(frozen=True, slots=True)
class Workload:
    """What the day is like. Messages are a day's; nothing here is measured."""

    leads: int
    emails: int
    texts: int
    events_per_lead: float = 50.0  # rows of the company's own log
    segments_per_text: float = 2.0
    recipients_per_second: float = 2000.0  # REKINDLE_SENDGRID_RATE
    segments_per_second: float = 100.0  # REKINDLE_TWILIO_RATE
    days_kept: int = 365  # of state behind the day: what a statement may have to look through
    days_a_month: int = 30
    listens_a_day: int = 288  # every five minutes
    arrivals_a_day: int = 96  # how many of these find something
    events_per_message: int = 3  # webhooks a message, in `message_events`
    statement_seconds: float = 1.0  # warehouse time of one statement
    build_seconds: float = 5.0  # warehouse time of one of dbt's
    suspend_after_seconds: int = 60  # Snowflake: AUTO_SUSPEND
    warehouse_size: str = "XSMALL"

    @property
    def messages(self) -> int:
        """Of both channels."""
        return self.emails + self.texts

    @property
    def sending_seconds(self) -> float:
        """How long a day's sending takes at the accounts' rates: e-mails, then texts (docs/adr/0005)."""
        segments = self.texts * self.segments_per_text
        return self.emails / self.recipients_per_second + segments / self.segments_per_second

    def batches(self) -> dict[Channel, int]:
        """Send tasks of a day."""
        return {channel: math.ceil(count / BATCH_SIZE[channel]) for channel, count in self._by_channel().items()}

    def chunks(self) -> dict[Channel, int]:
        """Transactions around calls: what is committed as `attempting` at once, of every batch."""
        sizes = {Channel.EMAIL: emails_in_a_chunk(self.recipients_per_second), Channel.SMS: SmsSender.chunk_size}
        chunks = {}
        for channel, count in self._by_channel().items():
            full, rest = divmod(count, BATCH_SIZE[channel])
            chunks[channel] = full * math.ceil(BATCH_SIZE[channel] / sizes[channel]) + math.ceil(rest / sizes[channel])
        return chunks

    def _by_channel(self) -> dict[Channel, int]:
        return {Channel.EMAIL: self.emails, Channel.SMS: self.texts}


@dataclass(frozen=True, slots=True)
class Cost:
    """One thing one pays for: units and money of a day's tick, of the ticks between two days, and of a month."""

    what: str
    unit: str
    tick: float
    between: float  # all listening of one day
    month: float
    money: float  # a month
    price: Price

    @classmethod
    def of(cls, what: str, unit: str, tick: float, between: float, workload: Workload, price: Price) -> Cost:
        """Units of a day become a month and money; `price` is of the same unit."""
        month = (tick + between) * workload.days_a_month
        return cls(what, unit, tick, between, month, month * price.amount, price)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The counted statements and what they, and the messages, would cost."""

    workload: Workload
    statements: Counter[Statement]  # of the day's tick, dbt apart
    builds: Counter[Statement]  # dbt's, once a day
    listening: Counter[Statement]  # of one tick between two days to which something came
    quiet: Counter[Statement]  # of one to which nothing came
    warehouse: tuple[Cost, ...]  # alternatives: one pays for one engine
    messages: tuple[Cost, ...]  # one pays for all of them

    def count(self, *, writes: bool) -> int:
        """Statements of the tick that write, or that read."""
        return sum(count for statement, count in self.statements.items() if statement.verb.writes is writes)


def estimate(workload: Workload, day: MeasuredDay, builds: Builds, prices: Mapping[str, Price]) -> Estimate:
    """What a day and a month with this workload would cost."""
    found = Estimate(
        workload,
        day.statements(workload.batches(), workload.chunks()),
        builds.statements,
        day.listening,
        day.quiet,
        (),
        _messages(workload, prices),
    )
    warehouse = (*_bigquery(found, Sizes(workload, day, builds), prices), *_snowflake(found, prices))
    return replace(found, warehouse=warehouse)


def _messages(workload: Workload, prices: Mapping[str, Price]) -> tuple[Cost, ...]:
    segments = workload.texts * workload.segments_per_text
    return tuple(
        Cost.of(what, prices[item].unit, units, 0, workload, prices[item])
        for what, units, item in (
            ("e-mails", workload.emails, "sendgrid_email"),
            ("text segments", segments, "twilio_segment"),
            ("carrier fees", segments, "twilio_carrier_fee"),
            ("line type checks, each number once", workload.texts, "twilio_lookup"),
        )
        if units
    )


def _bigquery(found: Estimate, sizes: Sizes, prices: Mapping[str, Price]) -> list[Cost]:
    workload = found.workload
    costs = []
    for what, of_statement in (
        ("BigQuery on demand, at least", sizes.least_bytes),
        ("BigQuery on demand, at most", sizes.most_bytes),
    ):

        def tebibytes(counted: Counter[Statement], of: Callable[[Statement], float] = of_statement) -> float:
            return sum(of(statement) * count for statement, count in counted.items()) / TIB

        between = _all_listening(workload, tebibytes(found.listening), tebibytes(found.quiet))
        tick = tebibytes(found.statements) + tebibytes(found.builds)
        costs.append(Cost.of(what, "TiB", tick, between, workload, prices["bigquery_on_demand"]))
    for edition in ("standard", "enterprise"):
        price = prices[f"bigquery_{edition}_slot"]
        tick = _slot_hours(_busy_tick(found))
        heard, nothing = (_slot_hours(_busy(workload, counted)) for counted in (found.listening, found.quiet))
        between = min(_all_listening(workload, heard, nothing), max(_slot_hours(DAY_SECONDS) - tick, 0))
        costs.append(Cost.of(f"BigQuery {edition.title()} edition", "slot-hour", tick, between, workload, price))
    return costs


def _all_listening(workload: Workload, found: float, nothing: float) -> float:
    """A day's ticks between two days, of what one costs that finds something, and one that finds nothing."""
    arrivals = min(workload.arrivals_a_day, workload.listens_a_day)
    return arrivals * found + (workload.listens_a_day - arrivals) * nothing


def _slot_hours(busy: float) -> float:
    return SLOT_STEP * max(busy, LEAST_SECONDS) / 3600 if busy else 0.0


def _busy(workload: Workload, statements: Counter[Statement]) -> float:
    """Seconds during which the warehouse works, one statement after the other. To define a view takes no warehouse."""
    return workload.statement_seconds * _working(statements)


def _busy_tick(found: Estimate) -> float:
    """The same of a day's tick, with dbt's statements, and the time between the chunks in which messages leave."""
    building = found.workload.build_seconds * _working(found.builds)
    return _busy(found.workload, found.statements) + building + found.workload.sending_seconds


def _working(statements: Counter[Statement]) -> int:
    return sum(count for statement, count in statements.items() if statement.verb is not Verb.DEFINE)


def _snowflake(found: Estimate, prices: Mapping[str, Price]) -> list[Cost]:
    workload = found.workload
    credits_per_second = CREDITS_PER_HOUR[workload.warehouse_size] / 3600
    tick = min(_awake(workload, _busy_tick(found)), DAY_SECONDS)
    # who listens more often than the warehouse falls asleep keeps it awake
    heard, nothing = (_awake(workload, _busy(workload, counted)) for counted in (found.listening, found.quiet))
    between = min(_all_listening(workload, heard, nothing), DAY_SECONDS - tick)
    return [
        Cost.of(
            f"Snowflake {edition.title()}, {workload.warehouse_size}",
            "credit",
            tick * credits_per_second,
            between * credits_per_second,
            workload,
            prices[f"snowflake_{edition}_credit"],
        )
        for edition in ("standard", "enterprise")
    ]


def _awake(workload: Workload, busy: float) -> float:
    """Billed seconds of one awakening: the work, and the idling until it suspends; a minute at least."""
    return max(busy + workload.suspend_after_seconds, LEAST_SECONDS) if busy else 0.0


class Sizes:
    """How much BigQuery would process on demand, without partition pruning."""

    def __init__(self, workload: Workload, day: MeasuredDay, builds: Builds) -> None:
        self._workload = workload
        self._day = day
        self._builds = builds

    def least_bytes(self, statement: Statement) -> float:
        """The charge for tables so small, or pruned so well, that only the minimum counts; rows that the client hands
        over name no table that is read.
        """
        if statement.is_load or statement.verb is Verb.DEFINE:
            return 0.0
        return LEAST_BYTES * max(len(self._tables_under(statement)), 1)

    def most_bytes(self, statement: Statement) -> float:
        """Every column it names of every table it names, and the whole target of an update, delete or merge
        (cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax, on-demand query size calculation).
        """
        if statement.verb is Verb.DEFINE:
            return 0.0
        if statement.is_load:
            return LEAST_BYTES
        read = sum(
            max(self._bytes(table, words), LEAST_BYTES) for table, words in self._tables_under(statement).items()
        )
        rewritten = self._bytes(statement.target, None) if statement.verb.rewrites and statement.target else 0.0
        return max(read + rewritten, LEAST_BYTES)

    def rows(self, table: str) -> float:
        """How many a table holds after `days_kept` days."""
        workload = self._workload
        history = workload.messages * workload.days_kept
        table = _LIKE.get(table, table)
        if table in _BY_EVENT:
            return workload.leads * workload.events_per_lead
        if table in _BY_WEBHOOK:
            return history * workload.events_per_message
        if table in _BY_LEAD:
            return workload.leads
        return history * self._day.rows_per_message.get(table, 0)

    def _tables_under(self, statement: Statement) -> dict[str, frozenset[str] | None]:
        """Table → the words that may be its columns, None for any: what a view renames can not be told."""
        found: dict[str, frozenset[str] | None] = {}
        for named in sorted(statement.tables):
            for table in self._builds.tables.get(named, {named}):
                itself = table == named and table not in found
                found[table] = statement.words if itself else None
        return found

    def _bytes(self, table: str, words: frozenset[str] | None) -> float:
        widths = self._day.column_bytes.get(table) or self._builds.column_bytes.get(table, {})
        width = sum(bytes_ for column, bytes_ in widths.items() if words is None or column in words)
        return width * self.rows(table)
