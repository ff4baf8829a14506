"""The `rekindle` command."""

from __future__ import annotations

import signal
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from rekindle import __version__
from rekindle.errors import RekindleError
from rekindle.governor.command import app as governor_app
from rekindle.sandbox.settings import Reactions

if TYPE_CHECKING:
    from rekindle.campaigns.models import Campaign
    from rekindle.warehouse import Warehouse
    from rekindle.warehouse.ports import Row

app = typer.Typer(
    name="rekindle",
    help="Finds the leads who went cold in the warehouse and wins them back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(governor_app, name="governor")
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

    warehouse = _existing_warehouse()
    include = project_root() / "include"
    verdicts = check_invariants(warehouse, load_campaigns(include / "campaigns", include / "templates"))
    console.print(invariants_table(verdicts))
    if not all(verdict.holds for verdict in verdicts):
        raise typer.Exit(1)


@app.command()
def explain(
    lead: Annotated[str, typer.Argument(help="The lead's id: `user_id` in the company's own tables.")],
    campaign: Annotated[str | None, typer.Option(help="Only what this campaign did, and what concerns all.")] = None,
) -> None:
    """Tell everything that ever happened to one lead and why, from the configured warehouse. Changes nothing."""
    from rekindle.history import read_history
    from rekindle.history.page import history_page

    console.print(history_page(read_history(_existing_warehouse(), lead, campaign)))


@app.command()
def preview(
    campaign: Annotated[str, typer.Argument(help="The campaign's id: its file name without .yaml.")],
    lead: Annotated[
        str | None, typer.Argument(help="A lead of the configured warehouse.", show_default="a made-up one")
    ] = None,
    bare: Annotated[bool, typer.Option("--bare", help="A made-up lead of whom only the addresses are known.")] = False,
    begin: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="When the lead enters, UTC; default: now."),
    ] = None,
    segment_price: Annotated[float | None, typer.Option(min=0, help="What your account pays for a segment.")] = None,
    company_name: Annotated[str, typer.Option(envvar="REKINDLE_COMPANY_NAME")] = "Example Records",
    postal_address: Annotated[
        str, typer.Option(envvar="REKINDLE_POSTAL_ADDRESS")
    ] = "1 Example Street, Springfield, IL 62701, USA",
    public_base_url: Annotated[str, typer.Option(envvar="REKINDLE_PUBLIC_BASE_URL")] = "https://links.example.com",
) -> None:
    """Show the whole sequence as one lead would read it, with dates in their zone. Sends nothing, writes nothing."""
    from rekindle.clock import clock_from_environment
    from rekindle.preview import preview_sequence, sample_lead
    from rekindle.preview.page import preview_page
    from rekindle.rendering.context import Company

    chosen = _campaign(campaign)
    known = _lead_contact(lead) if lead else sample_lead(with_fields=not bare)
    now = begin.replace(tzinfo=UTC) if begin else clock_from_environment().now()
    steps = preview_sequence(chosen, known, Company(company_name, postal_address), now, public_base_url)
    zone = known.get("time_zone")
    console.print(preview_page(chosen, steps, zone if isinstance(zone, str) else None, segment_price))


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


def _existing_warehouse() -> Warehouse:
    """The configured warehouse, which must hold Rekindle's tables; else says how to get them."""
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
    return warehouse


def _campaign(campaign_id: str) -> Campaign:
    """The campaign of that id; else names the nearest."""
    from rekindle.campaigns.findings import did_you_mean
    from rekindle.campaigns.loader import load_campaign
    from rekindle.project import project_root

    include = project_root() / "include"
    known = sorted(path.stem for path in (include / "campaigns").glob("*.yaml"))
    if campaign_id not in known:
        raise RekindleError(
            f"there is no campaign {campaign_id} in {include / 'campaigns'}. {did_you_mean(campaign_id, known)}"
        )
    return load_campaign(include / "campaigns" / f"{campaign_id}.yaml", include / "templates")


def _lead_contact(lead_id: str) -> Row:
    """What a template may know of a lead; else says that nobody has that id."""
    with _existing_warehouse().transaction() as transaction:
        rows = transaction.fetch("report/fetch_lead_contact", lead_id=lead_id)
    if not rows:
        raise RekindleError(
            f"there is no lead {lead_id} in the warehouse; ids are those of `user_id`, letter by letter"
        )
    return rows[0]


def main() -> None:
    """Run the command; an error raised on purpose is one red line that says how to mend it, not a traceback."""
    try:
        app()
    except RekindleError as error:
        complaints.print(f"[red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
