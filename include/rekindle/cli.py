"""The `rekindle` command."""

from __future__ import annotations

import signal
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from rekindle import __version__
from rekindle.errors import RekindleError
from rekindle.sandbox.settings import Reactions

app = typer.Typer(
    name="rekindle",
    help="Finds the leads who went cold in the warehouse and wins them back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console()
complaints = Console(stderr=True)


def _version(wanted: bool) -> None:
    if wanted:
        console.print(__version__)
        raise typer.Exit


@app.callback()
def rekindle(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Finds the leads who went cold in the warehouse and wins them back."""


@app.command()
def migrate() -> None:
    """Bring the configured warehouse's raw and state tables to this version. Safe to repeat."""
    from rekindle.clock import clock_from_environment
    from rekindle.warehouse import WarehouseSettings, open_warehouse
    from rekindle.warehouse.migrate import migrate as apply

    settings = WarehouseSettings()
    migrated = apply(open_warehouse(settings), clock_from_environment())
    for name in migrated.applied:
        console.print(f"applied {name}")
    console.print(
        f"{settings.engine} warehouse at {settings.path}:"
        f" {len(migrated.applied)} applied, {len(migrated.already_there)} already there"
    )


@app.command()
def check() -> None:
    """Evaluate the invariants on the configured warehouse; exit 1 if one is broken."""
    from rekindle.campaigns.loader import load_campaigns
    from rekindle.demo.outcome import invariants_table
    from rekindle.invariants import check_invariants
    from rekindle.project import project_root
    from rekindle.warehouse import WarehouseSettings, open_warehouse

    settings = WarehouseSettings()
    if not settings.path.exists():
        raise RekindleError(
            f"there is no warehouse at {settings.path}; run `rekindle migrate`,"
            " or set REKINDLE_WAREHOUSE_PATH to where it is"
        )
    warehouse = open_warehouse(settings)
    with warehouse.transaction() as transaction:
        if not transaction.fetch("audit/count_state_tables")[0]["table_count"]:
            raise RekindleError(f"the warehouse at {settings.path} holds no Rekindle tables; run `rekindle migrate`")
    include = project_root() / "include"
    verdicts = check_invariants(warehouse, load_campaigns(include / "campaigns", include / "templates"))
    console.print(invariants_table(verdicts))
    if not all(verdict.holds for verdict in verdicts):
        raise typer.Exit(1)


@app.command()
def lint(
    campaigns: Annotated[
        Path | None, typer.Argument(help="Folder of campaign files.", show_default="include/campaigns")
    ] = None,
) -> None:
    """Check campaign files and their templates; exit 1 on an error. Warnings come with advice."""
    from rekindle.campaigns.lint import lint_campaigns
    from rekindle.project import project_root

    include = project_root() / "include"
    folder = campaigns or include / "campaigns"
    if not folder.is_dir():
        raise RekindleError(f"there is no folder {folder}; name the folder that holds the campaign files")
    findings = lint_campaigns(folder, include / "templates")
    for finding in findings:
        console.print(str(finding), highlight=False, markup=False, soft_wrap=True)
    errors = sum(finding.level == "error" for finding in findings)
    console.print(f"{errors} errors, {len(findings) - errors} warnings")
    if errors:
        raise typer.Exit(1)


@app.command()
def receiver(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8290,
) -> None:
    """Serve webhooks, tracked links and unsubscribe pages. Settings come from REKINDLE_*; see docs/receiver.md."""
    from rekindle.receiver import run_receiver

    run_receiver(host=host, port=port)


@app.command()
def sandbox(
    receiver_base_url: Annotated[str, typer.Option(help="Where to call back.")] = "http://127.0.0.1:8290",
    host: Annotated[str, typer.Option(help="Loopback address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8390,
    reactions: Annotated[Reactions, typer.Option(help="How its made-up people behave.")] = Reactions.PERSUADABLE,
    seed: Annotated[int, typer.Option(help="Another seed makes other people.")] = 0,
    record: Annotated[Path | None, typer.Option(help="Keep the record of accepted messages in this file.")] = None,
) -> None:
    """Stand in for SendGrid and Twilio on loopback, webhooks included. Keys come from REKINDLE_SANDBOX_*."""
    from rekindle.sandbox.server import run_sandbox

    run_sandbox(
        host=host, port=port, receiver_base_url=receiver_base_url, reactions=reactions, seed=seed, record_path=record
    )


@app.command()
def demo(
    events: Annotated[
        Path | None, typer.Option(help="CSV or parquet log: user_id, event_type, occurred_at[, properties].")
    ] = None,
    leads: Annotated[
        Path | None, typer.Option(help="CSV or parquet of leads: user_id[, email, phone, time_zone …].")
    ] = None,
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last logical day; default: where the log ends.")
    ] = None,
    reactions: Annotated[
        Reactions, typer.Option(help="none = A/A check: nobody reacts to messages.")
    ] = Reactions.PERSUADABLE,
    days: Annotated[int, typer.Option(min=1, help="Logical days to step one by one.")] = 21,
    follow_up: Annotated[
        int, typer.Option(min=0, help="Days to step weekly after that, until re-activation is measured.")
    ] = 30,
    key_action: Annotated[
        list[str] | None, typer.Option(help="Event type that counts as key action; repeat for several.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed makes other reactions.")] = 0,
    home: Annotated[Path | None, typer.Option(help="Folder of the embedded stack.", show_default=".rekindle")] = None,
    down: Annotated[bool, typer.Option("--down", help="Stop the embedded stack and leave.")] = False,
    keep_running: Annotated[bool, typer.Option(help="Leave the stack up to look at.")] = True,
) -> None:
    """Take a campaign through its life on the embedded stack: real Airflow, real dbt, real SDKs, made-up providers."""
    from rekindle.demo.demonstration import Wish, demonstrate
    from rekindle.demo.stack import stop_stack
    from rekindle.project import project_root

    folder = home or project_root() / ".rekindle"
    if down:
        stopped = stop_stack(folder)
        console.print(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")
        return
    last_day: date | None = as_of.date() if as_of else None
    wish = Wish(
        events=events,
        leads=leads,
        as_of=last_day,
        reactions=reactions,
        days=days,
        follow_up=follow_up,
        key_action=tuple(key_action or ()),
        seed=seed,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the stack stops with us, as on Ctrl-C
    broken = demonstrate(wish, folder, console, keep_running=keep_running)
    if broken:
        raise typer.Exit(1)


def main() -> None:
    """Run the command; an error raised on purpose is one red line that says how to mend it, not a traceback."""
    try:
        app()
    except RekindleError as error:
        complaints.print(f"[red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
