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
from rekindle.commands.dead_letters import app as dead_letters_app
from rekindle.commands.estimate import WarehouseSize
from rekindle.commands.replies import app as replies_app
from rekindle.commands.stops import list_all_stops, resume_app, stop_app
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
#: Headings of `rekindle --help`.
_WRITE, _RUN, _SCORE, _TRY = "Write a campaign", "Run it", "Tune the score", "Try it and prove it"
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


@app.command(rich_help_panel=_RUN)
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
        f"{settings.engine} warehouse at {settings.place}:"
        f" {len(migrated.applied)} applied, {len(migrated.already_there)} already there"
    )


@app.command(rich_help_panel=_RUN)
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


@app.command(rich_help_panel=_RUN)
def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder for each backup; the file keeps its name in it.")],
) -> None:
    """Copy the embedded warehouse while its tasks go on, and open the copy to see that it is whole."""
    from rekindle.warehouse.backup import back_up
    from rekindle.warehouse.duckdb import DuckDbWarehouse

    warehouse = _existing_warehouse()
    if not isinstance(warehouse, DuckDbWarehouse):
        raise RekindleError("BigQuery and Snowflake keep their own past: see docs/runbooks/deployment.md")
    copy = back_up(warehouse, folder)
    console.print(f"{copy}: {copy.stat().st_size:,} bytes, whole")


@app.command(rich_help_panel=_RUN)
def explain(
    lead: Annotated[str, typer.Argument(help="The lead's id: `user_id` in the company's own tables.")],
    campaign: Annotated[str | None, typer.Option(help="Only what this campaign did, and what concerns all.")] = None,
) -> None:
    """Tell everything that ever happened to one lead and why, from the configured warehouse. Changes nothing."""
    from rekindle.history import read_history
    from rekindle.history.page import history_page

    history = read_history(_existing_warehouse(), lead, campaign)
    if campaign is not None and not history.standings:
        _refuse_unknown(campaign)
    console.print(history_page(history))


@app.command(rich_help_panel=_WRITE)
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


@app.command(rich_help_panel=_WRITE)
def plan(
    campaign: Annotated[str, typer.Argument(help="The campaign's id: its file name without .yaml.")],
    as_of: _PLANNED_AT = None,
    segment_price: Annotated[float | None, typer.Option(min=0, help="What your account pays for a segment.")] = None,
    default_region: Annotated[
        str, typer.Option(envvar="REKINDLE_DEFAULT_REGION", help="Where numbers are from.")
    ] = "US",
) -> None:
    """Tell what the campaign would do at its next run: who enters, what leaves, what not and why. Changes nothing."""
    from rekindle.clock import clock_from_environment
    from rekindle.preview.day import foresee_day, next_run_at, rivals
    from rekindle.preview.day_page import day_page
    from rekindle.project import project_root

    chosen = _campaign(campaign)
    warehouse = _existing_warehouse()
    at = as_of.replace(tzinfo=UTC) if as_of else next_run_at(warehouse, chosen, clock_from_environment().now())
    others = rivals(warehouse, chosen, project_root() / "include", at)
    console.print(day_page(chosen, foresee_day(warehouse, chosen, others, at, default_region), segment_price))


@app.command(rich_help_panel=_WRITE)
def estimate(
    campaign: Annotated[
        str | None, typer.Argument(help="Take the numbers from what this campaign would do at its next run.")
    ] = None,
    leads: Annotated[int | None, typer.Option(min=0, help="Leads in the warehouse.")] = None,
    messages: Annotated[int | None, typer.Option(min=0, help="Messages a day, texts included.")] = None,
    texts: Annotated[int, typer.Option(min=0, help="How many of the messages are texts.")] = 0,
    segments: Annotated[float, typer.Option(min=1, help="Segments of a text.")] = 2.0,
    events_per_lead: Annotated[float, typer.Option(min=0, help="Rows a lead in the company's own log.")] = 50.0,
    days_kept: Annotated[int, typer.Option(min=1, help="Days of state that statements may look through.")] = 365,
    listens: Annotated[int, typer.Option(min=0, help="Ticks between two days, a day.")] = 288,
    arrivals: Annotated[int, typer.Option(min=0, help="How many of these find something.")] = 96,
    statement_seconds: Annotated[float, typer.Option(min=0.01, help="Warehouse time of one statement.")] = 1.0,
    build_seconds: Annotated[float, typer.Option(min=0.01, help="Warehouse time of one statement of dbt's.")] = 5.0,
    warehouse_size: Annotated[WarehouseSize, typer.Option(help="Snowflake's.")] = WarehouseSize.XSMALL,
    suspend_after: Annotated[int, typer.Option(min=0, help="Snowflake's AUTO_SUSPEND, seconds.")] = 60,
    default_region: Annotated[
        str, typer.Option(envvar="REKINDLE_DEFAULT_REGION", help="Where numbers are from.")
    ] = "US",
    as_of: _PLANNED_AT = None,
    as_json: _JSON = False,
) -> None:
    """Tell what a day and a month would cost on BigQuery, on Snowflake, and at the providers. Changes nothing."""
    from rekindle.commands.estimate import planned_counts, print_estimate
    from rekindle.estimate import Workload
    from rekindle.governor.settings import GovernorSettings

    if campaign is not None:
        if leads is not None or messages is not None:
            raise RekindleError("name a campaign, or --leads and --messages; not both")
        leads, emails, texts = planned_counts(_existing_warehouse(), _campaign(campaign), default_region, as_of)
    elif leads is None or messages is None:
        raise RekindleError("name a campaign, or give --leads and --messages")
    elif texts > messages:
        raise RekindleError(f"--texts {texts} are part of --messages {messages} and can not be more")
    else:
        emails = messages - texts
    rates = GovernorSettings()
    workload = Workload(
        leads=leads,
        emails=emails,
        texts=texts,
        events_per_lead=events_per_lead,
        segments_per_text=segments,
        recipients_per_second=rates.sendgrid_rate,
        segments_per_second=rates.twilio_rate,
        days_kept=days_kept,
        listens_a_day=listens,
        arrivals_a_day=min(arrivals, listens),
        statement_seconds=statement_seconds,
        build_seconds=build_seconds,
        warehouse_size=warehouse_size,
        suspend_after_seconds=suspend_after,
    )
    print_estimate(workload, as_json, console)


@app.command(rich_help_panel=_WRITE)
def simulate(
    campaign: Annotated[
        list[str] | None, typer.Argument(help="Ids of one or several campaigns, which then compete for the people.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every campaign of include/campaigns together.")] = False,
    days: Annotated[int, typer.Option(min=1, max=730, help="Days to live through.")] = 60,
    leads: Annotated[
        str, typer.Option(help="CSV or parquet of leads: user_id[, email, phone, time_zone …]; or `synthetic`.")
    ] = "synthetic",
    count: Annotated[int, typer.Option(min=1, max=100_000, help="How many people to make up.")] = 5000,
    seed: Annotated[int, typer.Option(help="Another seed makes other people and reactions.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Draw one campaign's funnel by day into this .svg or .png.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Keep the simulated warehouse in this new file.")] = None,
    as_json: _JSON = False,
) -> None:
    """Live campaigns through with made-up people and providers, then check the ten invariants. Writes to nobody.

    One campaign has everybody to itself; several take turns, share the caps and are reported side by side.
    """
    from rekindle.commands.simulate import simulate as play

    if everything == bool(campaign):
        raise RekindleError("name the campaigns to play together, or say --all")
    names = _campaign_ids() if everything else dict.fromkeys(campaign or ())
    play([_campaign(name) for name in names], days, leads, count, seed, out, keep, as_json, console)


@app.command(rich_help_panel=_WRITE)
def lint(
    campaigns: Annotated[
        Path | None, typer.Argument(help="Folder of campaign files.", show_default="include/campaigns")
    ] = None,
) -> None:
    """Check campaigns, templates, the seeds of score and quiet hours, and the mapping; exit 1 on an error.

    Warnings come with advice.
    """
    from rekindle.backtest.lint import lint_models
    from rekindle.campaigns.lint import lint_campaigns
    from rekindle.project import project_root
    from rekindle.timing.quiet_hours import SEEDS, lint_quiet_hours

    include = project_root() / "include"
    folder = campaigns or include / "campaigns"
    if not folder.is_dir():
        raise RekindleError(f"there is no folder {folder}; name the folder that holds the campaign files")
    findings = lint_campaigns(folder, include / "templates")
    for finding in findings:
        console.print(str(finding), highlight=False, markup=False, soft_wrap=True)
    complaints = lint_models(project_root() / "dbt_project") + lint_quiet_hours(project_root() / SEEDS)
    for complaint in complaints:
        console.print(complaint, highlight=False, markup=False, soft_wrap=True)
    errors = len(complaints) + sum(finding.level == "error" for finding in findings)
    console.print(f"{errors} errors, {len(findings) + len(complaints) - errors} warnings")
    if errors:
        raise typer.Exit(1)


@app.command(rich_help_panel=_RUN)
def receiver(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8290,
    openapi: Annotated[
        Path | None, typer.Option(help="Write the OpenAPI document of the JSON routes to this file and stop.")
    ] = None,
) -> None:
    """Serve what comes back: webhooks, links, preference and unsubscribe pages, product events and sign-ups.

    Webhooks: /webhooks/sendgrid/events, /webhooks/twilio/status and /webhooks/twilio/inbound. Links: /c, /u, /p and
    /confirm. Product events in Segment's shape and sign-ups: /v1. For the operator: /healthz and /readyz.

    Settings come from REKINDLE_*; REKINDLE_PUBLIC_BASE_URL and REKINDLE_TOKEN_KEYS are required. See docs/receiver.md.
    """
    from rekindle.receiver import openapi_document, run_receiver

    if openapi is not None:
        openapi.write_text(openapi_document(), encoding="utf-8")
        return
    run_receiver(host=host, port=port)


@app.command(rich_help_panel=_TRY)
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


@app.command(rich_help_panel=_TRY)
def chaos(
    kills: Annotated[int, typer.Option(min=2, help="Dispatchers to end with SIGKILL.")] = 200,
    seed: Annotated[int, typer.Option(help="First history; the same seed deals the same ordeals.")] = 0,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Histories played side by side.")] = 2,
    keep: Annotated[
        Path | None, typer.Option(help="Keep each warehouse and the sandbox's record in this new folder.")
    ] = None,
) -> None:
    """Prove that nothing is sent twice or lost: kill real dispatchers at every boundary; exit 1 on a violation.

    Real processes, a real sandbox over HTTP, a real warehouse file, made-up people; nothing of yours is touched.
    A third to half a second of one core for each kill.
    """
    from rekindle.chaos.command import run_chaos

    try:
        kept = run_chaos(kills, seed, workers, keep, console)
    except KeyboardInterrupt:
        console.print("stopped; every process that was started is gone")
        raise typer.Exit(130) from None
    if not kept:
        raise typer.Exit(1)


@app.command(rich_help_panel=_TRY)
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


@app.command(rich_help_panel=_SCORE)
def backtest(
    events: _EVENTS,
    as_of: _DATES,
    horizon_days: _HORIZON = 30,
    key_action: _KEY_ACTION = None,
    log_in: _LOG_IN = None,
    passive: _PASSIVE = None,
    any_activity: _ANY_ACTIVITY = False,
    seeds: _SEEDS = None,
    picture: Annotated[Path | None, typer.Option(help="Draw areas and calibration into this .svg or .png.")] = None,
    as_json: _JSON = False,
) -> None:
    """Judge on past dates how well the cold score ranks who will not come back, beside recency and frequency."""
    from rekindle.backtest import commands
    from rekindle.backtest.event_log import WishedKinds

    question = commands.Question(
        events, as_of, horizon_days, WishedKinds(key_action, log_in, passive), any_activity, seeds
    )
    commands.backtest(question, picture, as_json, console, complaints)


@app.command(rich_help_panel=_SCORE)
def calibrate(
    events: _EVENTS,
    as_of: _DATES,
    out: Annotated[Path, typer.Option(help="Folder for the proposed rules and the report.")],
    horizon_days: _HORIZON = 30,
    key_action: _KEY_ACTION = None,
    log_in: _LOG_IN = None,
    passive: _PASSIVE = None,
    any_activity: _ANY_ACTIVITY = False,
    seeds: _SEEDS = None,
) -> None:
    """Fit weights and half-lives on the earlier dates, judge them on the later ones, and write a proposal."""
    from rekindle.backtest.commands import Question
    from rekindle.backtest.event_log import WishedKinds
    from rekindle.calibrate import commands

    question = Question(events, as_of, horizon_days, WishedKinds(key_action, log_in, passive), any_activity, seeds)
    commands.calibrate(question, out, console, complaints)


@app.command("diff-score", rich_help_panel=_SCORE)
def diff_score(
    base: Annotated[str, typer.Option(help="What to compare with: a folder of seeds, or a git revision.")] = "HEAD",
    events: Annotated[Path | None, typer.Option(help="Log to compare on.", show_default="the warehouse")] = None,
    as_of: Annotated[
        str | None, typer.Option(help="Date to score at.", show_default="the last scored, or where the log ends")
    ] = None,
    key_action: _KEY_ACTION = None,
    log_in: _LOG_IN = None,
    passive: _PASSIVE = None,
    seeds: _SEEDS = None,
    as_json: _JSON = False,
) -> None:
    """Show who enters and who leaves the cold side by the rules of the working tree. Works on copies."""
    from rekindle.backtest import difference_report
    from rekindle.backtest.commands import Question
    from rekindle.backtest.event_log import WishedKinds

    question = Question(events, (), 0, WishedKinds(key_action, log_in, passive)) if events else None
    difference_report.diff_score(base, seeds, question, as_of, as_json, console, complaints)


app.command("stops", rich_help_panel=_RUN)(list_all_stops)
app.add_typer(stop_app, name="stop", rich_help_panel=_RUN)
app.add_typer(resume_app, name="resume", rich_help_panel=_RUN)
app.add_typer(governor_app, name="governor", rich_help_panel=_RUN)
app.add_typer(replies_app, name="replies", rich_help_panel=_RUN)
app.add_typer(dead_letters_app, name="dead-letters", rich_help_panel=_RUN)


def _existing_warehouse() -> Warehouse:
    """The configured warehouse, which must hold Rekindle's tables; else says how to get them."""
    from rekindle.warehouse import WarehouseSettings, open_warehouse

    settings = WarehouseSettings()
    if settings.is_missing:
        raise RekindleError(
            f"there is no warehouse at {settings.path}; run `rekindle migrate`,"
            " or set REKINDLE_WAREHOUSE_PATH to where it is"
        )
    warehouse = open_warehouse(settings)
    with warehouse.transaction() as transaction:
        if not transaction.fetch("audit/count_state_tables")[0]["table_count"]:
            raise RekindleError(f"the warehouse at {settings.place} holds no Rekindle tables; run `rekindle migrate`")
    return warehouse


def _campaign(campaign_id: str) -> Campaign:
    """The campaign of that id; else names the nearest."""
    from rekindle.campaigns.loader import load_campaign
    from rekindle.project import project_root

    _refuse_unknown(campaign_id)
    include = project_root() / "include"
    return load_campaign(include / "campaigns" / f"{campaign_id}.yaml", include / "templates")


def _campaign_ids() -> list[str]:
    from rekindle.project import project_root

    return sorted(path.stem for path in (project_root() / "include" / "campaigns").glob("*.yaml"))


def _refuse_unknown(campaign_id: str) -> None:
    from rekindle.campaigns.findings import did_you_mean
    from rekindle.project import project_root

    known = _campaign_ids()
    if campaign_id not in known:
        folder = project_root() / "include" / "campaigns"
        raise RekindleError(f"there is no campaign {campaign_id} in {folder}. {did_you_mean(campaign_id, known)}")


def _lead_contact(lead_id: str) -> Row:
    """What a template may know of a lead; else says that nobody has that id."""
    from rekindle.history import unknown_lead

    with _existing_warehouse().transaction() as transaction:
        rows = transaction.fetch("report/fetch_lead_contact", lead_id=lead_id)
        if not rows:
            raise unknown_lead(transaction, lead_id)
    return rows[0]


_EVENTS = Annotated[Path, typer.Option(help="CSV or parquet log: user_id, event_type, occurred_at[, properties].")]
_DATES = Annotated[list[str], typer.Option(help="Past dates to stand at, comma separated; midnight UTC.")]
_HORIZON = Annotated[int, typer.Option(min=1, max=3650, help="Who does nothing for so many days stayed away.")]
_KEY_ACTION = Annotated[
    list[str] | None, typer.Option(help="Event type that counts as key action; repeat for several.")
]
_LOG_IN = Annotated[list[str] | None, typer.Option(help="Event type that counts as log-in; repeat for several.")]
_PASSIVE = Annotated[list[str] | None, typer.Option(help="Event type that proves nothing; repeat for several.")]
_ANY_ACTIVITY = Annotated[bool, typer.Option("--any-activity", help="Whatever is not passive proves a return.")]
_SEEDS = Annotated[Path | None, typer.Option(help="Folder of the score's rules.", show_default="dbt_project/seeds")]
_PLANNED_AT = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"],
        help="The run to foresee, UTC.",
        show_default="of today's scores until they are used, then now",
    ),
]
_JSON = Annotated[bool, typer.Option("--json", help="Print the figures as JSON instead of tables.")]


def main() -> None:
    """Run the command; an error raised on purpose is one red line that says how to mend it, not a traceback."""
    try:
        app()
    except RekindleError as error:
        complaints.print(f"[red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
