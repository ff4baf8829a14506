"""An estimate for the terminal, and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rekindle.estimate.cost import SLOT_STEP, Cost, Estimate

#: What an estimate leaves out, for a person to read.
LEFT_OUT = (
    "what the DAG `refresh` builds between two days, storage, BI queries, the first build of dbt's tables, cloud"
    " services beyond Snowflake's daily tenth, re-clustering, the network, Airflow's own machines"
)


def estimate_page(found: Estimate) -> RenderableType:
    """Statements, what each engine would cost, what the messages cost, and everything that was assumed."""
    workload = found.workload
    return Group(
        Text(
            f"{workload.emails:,} e-mails and {workload.texts:,} texts a day, {workload.leads:,} leads,"
            f" {workload.days_kept} days of state\n"
        ),
        _statements(found),
        _costs("Warehouse: one of these", found.warehouse),
        _costs("Messages: all of these", found.messages),
        Text("\nAssumed:\n" + "\n".join(f"- {assumed}" for assumed in assumptions(found))),
        Text(f"\nLeft out: {LEFT_OUT}.\n"),
        _sources(found),
    )


def estimate_json(found: Estimate) -> dict[str, Any]:
    """The same figures for a program."""
    by_name: dict[str, int] = {}
    for statement, count in found.statements.items():
        by_name[statement.name] = by_name.get(statement.name, 0) + count
    return {
        "workload": asdict(found.workload),
        "statements": {
            "tick": found.statements.total(),
            "tick_writing": found.count(writes=True),
            "tick_reading": found.count(writes=False),
            "dbt": found.builds.total(),
            "dbt_by_verb": _by_verb(found),
            "listening_tick": found.listening.total(),
            "listening_tick_quiet": found.quiet.total(),
            "by_name": dict(sorted(by_name.items())),
        },
        "warehouse": [_plain(cost) for cost in found.warehouse],
        "messages": [_plain(cost) for cost in found.messages],
        "messages_month": sum(cost.money for cost in found.messages),
        "assumed": list(assumptions(found)),
        "left_out": LEFT_OUT,
    }


def _by_verb(found: Estimate) -> dict[str, int]:
    counted: dict[str, int] = {}
    for statement, count in found.builds.items():
        counted[str(statement.verb)] = counted.get(str(statement.verb), 0) + count
    return dict(sorted(counted.items()))


def _plain(cost: Cost) -> dict[str, Any]:
    price = asdict(cost.price) | {"status": str(cost.price.status), "checked_on": cost.price.checked_on.isoformat()}
    return asdict(cost) | {"price": price}


def assumptions(found: Estimate) -> tuple[str, ...]:
    """What nobody measured, in words."""
    workload = found.workload
    return (
        f"{workload.statement_seconds:g} s of warehouse time a statement and {workload.build_seconds:g} s one of dbt's,"
        " one after the other (not measured on a cloud warehouse), none to define a view",
        f"awake while it sends: {workload.sending_seconds:,.0f} s at {workload.recipients_per_second:g} recipients and"
        f" {workload.segments_per_second:g} segments a second",
        f"{workload.events_per_lead:g} rows a lead in the company's own log; {workload.days_kept} days of state",
        f"{workload.listens_a_day} ticks between two days, of which {workload.arrivals_a_day} find something",
        f"{workload.segments_per_text:g} segments a text",
        f"{workload.events_per_message} webhook events a message",
        "on demand, at least: 10 MB for each table that a statement reads, those under a view one by one",
        "on demand, at most: every named column of every table (under a view, and for dbt: every column), an updated"
        " table whole, nothing pruned by partitions or clusters; the free TiB of a month not taken off",
        f"capacity: {SLOT_STEP} slots while it works, a minute at least",
        f"Snowflake suspends {workload.suspend_after_seconds} s after the last statement",
        f"a month has {workload.days_a_month} such days",
        "statements counted on the reference campaign, one e-mail step and one text step; each further campaign has its"
        " own, and dbt's builds are shared",
    )


def _statements(found: Estimate) -> Table:
    table = _table("Statements, counted", "when", "write", "read", "in all")
    for when, counted in (
        ("the day's tick", found.statements),
        ("dbt, with its data tests, once a day", found.builds),
        ("a tick between two days, when something came", found.listening),
        ("the same, when nothing came", found.quiet),
    ):
        writing = sum(count for statement, count in counted.items() if statement.verb.writes)
        table.add_row(when, f"{writing:,}", f"{counted.total() - writing:,}", f"{counted.total():,}")
    return table


def _costs(title: str, costs: tuple[Cost, ...]) -> Table:
    table = _table(title, "what", "unit", "a tick", "a day between", "a month", "money a month")
    for cost in costs:
        table.add_row(
            cost.what,
            cost.unit,
            *(_figure(figure) for figure in (cost.tick, cost.between, cost.month)),
            f"{cost.money:,.2f} {cost.price.currency}",
        )
    return table


def _figure(figure: float) -> str:
    return f"{figure:,.4g}" if figure < 1000 else f"{figure:,.0f}"


def _sources(found: Estimate) -> Table:
    table = Table("price", "of a", "standing", "looked at", "source", title="Prices", title_justify="left")
    prices = {cost.price.item: cost.price for cost in (*found.warehouse, *found.messages)}
    for price in prices.values():
        amount = f"{price.amount:g} {price.currency}"
        table.add_row(amount, price.unit, str(price.status), f"{price.checked_on}", price.source)
    return table


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number and heading != "unit" else "left")
    return table
