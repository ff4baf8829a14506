"""Counted statements, assumed sizes and listed prices make a day and a month."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rekindle.dispatch import EmailSender, SmsSender
from rekindle.estimate.day import MeasuredDay
from rekindle.estimate.prices import Price
from rekindle.estimate.recording import Statement
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
_CONTACTS = frozenset({"rekindle_activation.sync_lead_contacts", "rekindle_state.consents"})


@dataclass(frozen=True, slots=True)
class Workload:
    """What the day is like. Messages are a day's; nothing here is measured."""

    leads: int
    emails: int
    texts: int
    segments_per_text: float = 2.0
    days_kept: int = 365  # of state behind the day: what a statement may have to look through
    days_a_month: int = 30
    listens_a_day: int = 288  # every five minutes
    arrivals_a_day: int = 96  # how many of these find something
    events_per_message: int = 3  # webhooks a message, in `message_events`
    statement_seconds: float = 1.0  # warehouse time of one statement
    suspend_after_seconds: int = 60  # Snowflake: AUTO_SUSPEND
    warehouse_size: str = "XSMALL"

    @property
    def messages(self) -> int:
        """Of both channels."""
        return self.emails + self.texts

    def batches(self) -> dict[Channel, int]:
        """Send tasks of a day."""
        return {channel: math.ceil(count / BATCH_SIZE[channel]) for channel, count in self._by_channel().items()}

    def chunks(self) -> dict[Channel, int]:
        """Transactions around calls: what is committed as `attempting` at once, of every batch."""
        sizes = {Channel.EMAIL: EmailSender.chunk_size, Channel.SMS: SmsSender.chunk_size}
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
    statements: Counter[Statement]  # of the day's tick
    listening: Counter[Statement]  # of one tick between two days to which something came
    quiet: Counter[Statement]  # of one to which nothing came
    warehouse: tuple[Cost, ...]  # alternatives: one pays for one engine
    messages: tuple[Cost, ...]  # one pays for all of them

    def count(self, *, writes: bool) -> int:
        """Statements of the tick that write, or that read."""
        return sum(count for statement, count in self.statements.items() if statement.verb.writes is writes)


def estimate(workload: Workload, day: MeasuredDay, prices: Mapping[str, Price]) -> Estimate:
    """What a day and a month with this workload would cost."""
    statements = day.statements(workload.batches(), workload.chunks())
    sizes = _Sizes(workload, day)
    return Estimate(
        workload,
        statements,
        day.listening,
        day.quiet,
        (
            *_bigquery(workload, statements, day, sizes, prices),
            *_snowflake(workload, statements, day, prices),
        ),
        _messages(workload, prices),
    )


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


def _bigquery(
    workload: Workload,
    statements: Counter[Statement],
    day: MeasuredDay,
    sizes: _Sizes,
    prices: Mapping[str, Price],
) -> list[Cost]:
    on_demand = prices["bigquery_on_demand"]
    costs = []
    for what, of_statement in (
        ("BigQuery on demand, at least", sizes.least_bytes),
        ("BigQuery on demand, at most", sizes.most_bytes),
    ):

        def tebibytes(counted: Counter[Statement], of: Callable[[Statement], float] = of_statement) -> float:
            return sum(of(statement) * count for statement, count in counted.items()) / TIB

        between = _all_listening(workload, tebibytes(day.listening), tebibytes(day.quiet))
        costs.append(Cost.of(what, "TiB", tebibytes(statements), between, workload, on_demand))
    for edition in ("standard", "enterprise"):
        price = prices[f"bigquery_{edition}_slot"]
        tick = _slot_hours(_busy(workload, statements))
        found, nothing = (_slot_hours(_busy(workload, counted)) for counted in (day.listening, day.quiet))
        between = min(_all_listening(workload, found, nothing), _slot_hours(DAY_SECONDS) - tick)
        costs.append(Cost.of(f"BigQuery {edition.title()} edition", "slot-hour", tick, between, workload, price))
    return costs


def _all_listening(workload: Workload, found: float, nothing: float) -> float:
    """A day's ticks between two days, of what one costs that finds something, and one that finds nothing."""
    arrivals = min(workload.arrivals_a_day, workload.listens_a_day)
    return arrivals * found + (workload.listens_a_day - arrivals) * nothing


def _slot_hours(busy: float) -> float:
    return SLOT_STEP * max(busy, LEAST_SECONDS) / 3600 if busy else 0.0


def _busy(workload: Workload, statements: Counter[Statement]) -> float:
    """Seconds during which the warehouse works, one statement after the other."""
    return statements.total() * workload.statement_seconds


def _snowflake(
    workload: Workload, statements: Counter[Statement], day: MeasuredDay, prices: Mapping[str, Price]
) -> list[Cost]:
    credits_per_second = CREDITS_PER_HOUR[workload.warehouse_size] / 3600
    tick = _awake(workload, _busy(workload, statements))
    # who listens more often than the warehouse falls asleep keeps it awake
    found, nothing = (_awake(workload, _busy(workload, counted)) for counted in (day.listening, day.quiet))
    between = min(_all_listening(workload, found, nothing), DAY_SECONDS - tick)
    return [
        Cost.of(
            f"Snowflake {edition.title()}, {workload.warehouse_size}",
            "credit",
            tick * credits_per_second,
            max(between, 0) * credits_per_second,
            workload,
            prices[f"snowflake_{edition}_credit"],
        )
        for edition in ("standard", "enterprise")
    ]


def _awake(workload: Workload, busy: float) -> float:
    """Billed seconds of one awakening: the work, and the idling until it suspends; a minute at least."""
    return max(busy + workload.suspend_after_seconds, LEAST_SECONDS) if busy else 0.0


class _Sizes:
    """How much BigQuery would process on demand, without partition pruning."""

    def __init__(self, workload: Workload, day: MeasuredDay) -> None:
        self._workload = workload
        self._day = day

    def least_bytes(self, statement: Statement) -> float:
        """The charge for tables so small, or pruned so well, that only the minimum counts."""
        return 0.0 if statement.is_load else LEAST_BYTES * max(len(statement.tables), 1)

    def most_bytes(self, statement: Statement) -> float:
        """Every column it names of every table it names, and the whole target of an update or delete
        (cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax, on-demand query size calculation).
        """
        if statement.is_load:
            return 0.0
        read = sum(max(self._bytes(table, statement.words), LEAST_BYTES) for table in statement.tables)
        rewritten = self._bytes(statement.target, None) if statement.verb.rewrites and statement.target else 0.0
        return max(read + rewritten, LEAST_BYTES)

    def _bytes(self, table: str, words: frozenset[str] | None) -> float:
        widths = self._day.column_bytes.get(table, {})
        width = sum(bytes_ for column, bytes_ in widths.items() if words is None or column in words)
        return width * self._rows(table)

    def _rows(self, table: str) -> float:
        workload = self._workload
        history = workload.messages * workload.days_kept
        if table in _CONTACTS:
            return workload.leads * max(self._day.rows_per_message.get(table, 1), 1)
        if table == "rekindle_state.message_events":
            return history * workload.events_per_message
        if table == "rekindle_activation.sync_cold_leads":
            return workload.messages
        return history * self._day.rows_per_message.get(table, 0)
