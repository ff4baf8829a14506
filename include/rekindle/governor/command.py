"""`rekindle governor`: how each provider account stands; stopping one, and closing its breaker, by hand."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from rich.table import Table

    from rekindle.governor.rate import Status

app = typer.Typer(help="Show each provider account's rate, pause, breaker and allowance.", invoke_without_command=True)
console = Console()


@app.callback()
def show(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False,
) -> None:
    """Show each provider account's rate, pause, breaker and allowance."""
    if context.invoked_subcommand is not None:
        return
    from rekindle.governor.settings import ACCOUNTS, GovernorSettings, open_governor

    settings = GovernorSettings()
    statuses = []
    for account in ACCOUNTS:
        with open_governor(account, settings) as governor:
            statuses.append(governor.status())
    if as_json:
        typer.echo(statuses_as_json(statuses))
    else:
        console.print(statuses_table(statuses))


_Account = Annotated[str, typer.Argument(help="sendgrid, twilio, or all.")]


@app.command()
def stop(
    account: _Account, reason: Annotated[str, typer.Option(help="Stands in the decisions of those who wait.")]
) -> None:
    """Stop an account at once, in every process, also in the middle of a batch. `rekindle governor close` ends it."""
    from rekindle.governor.settings import open_governor

    for name in _accounts(account):
        with open_governor(name) as governor:
            governor.stop(reason)
        console.print(f"{name} sends nothing until `rekindle governor close {name}`", markup=False)


@app.command()
def close(account: _Account) -> None:
    """Close an account's breaker by hand, after mending what opened it. Only what is sent from now on is judged, and
    whom it held back leaves with the next run.
    """
    from rekindle.governor.settings import open_governor

    for name in _accounts(account):
        with open_governor(name) as governor:
            before = governor.status().breaker
            governor.close_breaker()
        console.print(f"the breaker of {name} was {before.phase} and is closed", markup=False)
        console.print(f"{_freed(name)} decisions to wait for it are over", markup=False)


def _freed(account: str) -> int:
    from rekindle.clock import clock_from_environment
    from rekindle.governor.receipts import free_held_messages
    from rekindle.warehouse import WarehouseSettings, open_warehouse
    from rekindle.warehouse.settings import Engine

    settings = WarehouseSettings()
    if settings.engine is Engine.DUCKDB and not settings.path.exists():
        return 0  # nothing was ever planned here, and opening the file would make it
    return free_held_messages(open_warehouse(settings), account, clock_from_environment().now())


def _accounts(account: str) -> tuple[str, ...]:
    from rekindle.governor.settings import ACCOUNTS

    return ACCOUNTS if account == "all" else (account,)


def statuses_as_json(statuses: list[Status]) -> str:
    """The statuses as one JSON list."""
    from pydantic_core import to_json

    rows = [asdict(status) | {"breaker": status.breaker.model_dump()} for status in statuses]
    return to_json(rows, indent=2).decode()


def statuses_table(statuses: list[Status]) -> Table:
    """The statuses as a table, one row per account."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Governor", title_justify="left")
    for heading in ("account", "rate /s", "last second", "last minute", "paused until", "breaker", "today"):
        table.add_column(heading, justify="right" if heading.startswith(("rate", "last")) else "left")
    for status in statuses:
        breaker = status.breaker
        told = str(breaker.phase)
        if breaker.until is not None:
            told += f" until {breaker.until:%Y-%m-%d %H:%M}, reopened {breaker.reopened} times\n{breaker.reason}"
        elif breaker.consecutive:
            told += f", {breaker.consecutive} configuration errors in a row"
        today = str(status.used_today) + ("" if status.allowance is None else f" of {status.allowance}")
        if status.warm_up_day is not None:
            today += f"\nday {status.warm_up_day} of the warm-up"
        table.add_row(
            status.account,
            f"{status.units_per_second:g}",
            str(status.used_last_second),
            str(status.used_last_minute),
            f"{status.paused_until:%H:%M:%S}" if status.paused_until else "",
            escape(told),
            today,
        )
    return table
