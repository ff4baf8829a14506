"""`rekindle demo`: takes a campaign through its life, day by logical day, through the real DAGs of a running
Airflow.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from rekindle.campaigns.loader import load_campaign
from rekindle.campaigns.models import Campaign
from rekindle.clock import SystemClock
from rekindle.demo.airflow_api import AirflowApi
from rekindle.demo.outcome import cross_check_table, invariants_table, outcome_report, print_reports, save_reports
from rekindle.demo.sandbox_api import SandboxApi, cross_check
from rekindle.demo.stack import EventKinds, Stack, describe_instant, refuse_foreign_folder, stop_stack
from rekindle.demo.story_input import Story, prepare_story
from rekindle.invariants import check_invariants
from rekindle.measure.picture import draw_returns
from rekindle.project import project_root
from rekindle.warehouse import open_warehouse
from rekindle.warehouse.settings import WarehouseSettings

_CYCLE = ("ingest", "score", "measure", "reconcile")
#: What is demonstrated; the other campaigns of the repository stay as they are born, paused.
_CAMPAIGNS = ("cold_lead_reengagement",)


@dataclass(frozen=True)
class Wish:
    """What the user asked the demonstration for."""

    events: Path | None = None
    leads: Path | None = None
    as_of: date | None = None
    reactions: str = "persuadable"
    days: int = 21
    follow_up: int = 30
    key_action: tuple[str, ...] = ()
    seed: int = 0


def demonstrate(wish: Wish, home: Path, console: Console, *, keep_running: bool = True) -> int:
    """Run the whole demonstration; returns how many promises were broken. The stack stays up unless told otherwise.

    An earlier demonstration in `home` is kept until the new input has proved usable.
    """
    started = time.monotonic()
    refuse_foreign_folder(home)
    include = project_root() / "include"
    campaigns = [load_campaign(include / "campaigns" / f"{name}.yaml", include / "templates") for name in _CAMPAIGNS]
    with TemporaryDirectory(prefix="rekindle-input-") as folder:
        inbox = Path(folder) / "inbox"
        with _progress(console) as progress:
            story = _prepare(wish, inbox, progress)
        stack = Stack.fresh(home)
        shutil.move(inbox, stack.inbox)
    try:
        with _progress(console) as progress:
            seconds, accepted = _live_through(wish, stack, story, campaigns, progress)
        broken = _report(stack, story, campaigns, accepted, console, seconds, time.monotonic() - started)
    except BaseException:
        stop_stack(home)
        raise
    if keep_running:
        console.print(_where_to_look(stack))
    else:
        stop_stack(home)
    return broken


def _live_through(
    wish: Wish, stack: Stack, story: Story, campaigns: Sequence[Campaign], progress: Progress
) -> tuple[list[float], list[dict[str, Any]]]:
    """Start the stack and step every day; returns each day's seconds and what the sandbox accepted."""
    _start(wish, stack, story, progress)
    with (
        closing(SandboxApi(stack.sandbox_url)) as sandbox,
        closing(AirflowApi(stack.airflow_url, "admin", stack.password)) as airflow,
    ):
        _install(airflow, story, campaigns, progress)
        return _step_days(airflow, sandbox, stack, story, campaigns, progress), sandbox.accepted_messages()


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("[bold]{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    )


def _prepare(wish: Wish, inbox: Path, progress: Progress) -> Story:
    task = progress.add_task("prepare the input", total=1, note="")
    story = prepare_story(
        events=wish.events,
        leads=wish.leads,
        as_of=wish.as_of,
        inbox=inbox,
        today=SystemClock().now().date(),
        daily_steps=wish.days,
        follow_up_days=wish.follow_up,
        key_action_events=wish.key_action or None,
    )
    progress.update(task, advance=1, note=story.headline)
    return story


def _start(wish: Wish, stack: Stack, story: Story, progress: Progress) -> None:
    task = progress.add_task("start the stack", total=1, note="receiver, sandbox, Airflow on loopback")
    stack.clock.step_to(story.instants[0])
    kinds = EventKinds(story.login_events, story.key_action_events, story.passive_events)
    stack.start(stack.environment(kinds), wish.reactions, wish.seed)
    progress.update(task, advance=1, note=f"Airflow at {stack.airflow_url}")


def _install(airflow: AirflowApi, story: Story, campaigns: Sequence[Campaign], progress: Progress) -> None:
    task = progress.add_task("migrate and build", total=1, note="state tables, then every dbt model")
    airflow.await_dags(["migrate", *_CYCLE, *_campaign_dags(campaigns)])
    pools = json.loads((project_root() / "include" / "pools.json").read_text())
    airflow.create_pools(pools)
    for dag_id in _campaign_dags(campaigns):
        airflow.unpause(dag_id)
    since = SystemClock().now()
    airflow.trigger("migrate", story.instants[0])
    airflow.await_runs(["migrate"], since, lambda _: None)
    progress.update(task, advance=1, note="")


def _step_days(
    airflow: AirflowApi,
    sandbox: SandboxApi,
    stack: Stack,
    story: Story,
    campaigns: Sequence[Campaign],
    progress: Progress,
) -> list[float]:
    """Step every logical day; returns what each cost in seconds."""
    expected = [*_CYCLE, *_campaign_dags(campaigns)]
    days = progress.add_task("logical days", total=len(story.instants), note="")
    stages = progress.add_task("stages of the day", total=len(expected) + 1, note="")
    seconds = []
    for instant in story.instants:
        began = time.monotonic()
        progress.update(days, note=describe_instant(instant))
        progress.reset(stages, total=len(expected) + 1, note="providers and people answer")
        step_day(
            airflow,
            sandbox,
            stack,
            instant,
            expected,
            lambda done, note: progress.update(stages, completed=done, note=note),
        )
        seconds.append(time.monotonic() - began)
        progress.update(days, advance=1)
        if not progress.console.is_terminal:
            progress.console.print(f"{describe_instant(instant)}  {seconds[-1]:.1f} s")
    progress.update(stages, note="")
    progress.update(days, note="")
    return seconds


def step_day(
    airflow: AirflowApi,
    sandbox: SandboxApi,
    stack: Stack,
    instant: datetime,
    expected: Sequence[str],
    tell: Callable[[int, str], None],
) -> None:
    """One logical day: the clock moves, providers and people answer, and the daily DAGs run through."""
    stack.clock.step_to(instant)
    sandbox.deliver_due_callbacks()
    tell(1, "ingest")

    def on_change(states: dict[str, str]) -> None:
        running = [dag_id for dag_id, state in states.items() if state == "running"]
        done = sum(state == "success" for state in states.values())
        tell(1 + done, ", ".join(running))

    since = SystemClock().now()
    airflow.trigger("ingest", instant)
    airflow.await_runs(expected, since, on_change)


def _campaign_dags(campaigns: Sequence[Campaign]) -> list[str]:
    return [f"campaign__{campaign.campaign_id}" for campaign in campaigns]


def _report(
    stack: Stack,
    story: Story,
    campaigns: Sequence[Campaign],
    accepted: list[dict[str, Any]],
    console: Console,
    seconds: Sequence[float],
    elapsed: float,
) -> int:
    warehouse = open_warehouse(WarehouseSettings(path=stack.warehouse_path))
    verdicts = check_invariants(warehouse, campaigns)
    checks = cross_check(accepted, warehouse)
    reports = [story.summary(), outcome_report(warehouse), invariants_table(verdicts), cross_check_table(checks)]
    print_reports(console, *reports)
    save_reports(stack.home / "outcome.svg", *reports)
    draw_returns(
        warehouse, stack.home / "returns.svg", f"{story.source}. Messages and reactions are made up; returns are real."
    )
    shutil.copyfile(stack.warehouse_path, published_warehouse(stack.home))
    console.print(
        f"\n{len(seconds)} logical days, {sum(seconds) / len(seconds):.1f} s each (slowest {max(seconds):.1f} s);"
        f" {elapsed:.0f} s in all."
    )
    return sum(not verdict.holds for verdict in verdicts) + sum(check.violations > 0 for check in checks)


def published_warehouse(home: Path) -> Path:
    """The copy that readers may hold open while the DAGs go on writing to the original."""
    return home / "warehouse_published.duckdb"


def _where_to_look(stack: Stack) -> Panel:
    return Panel(
        f"Airflow    {stack.airflow_url}   user admin, password {stack.password}\n"
        f"Sandbox    {stack.sandbox_url}   every message it accepted: /_sandbox/messages\n"
        f"Warehouse  {published_warehouse(stack.home)}   (DuckDB; a copy you may hold open)\n"
        f"Pictures   {stack.home / 'outcome.svg'}, {stack.home / 'returns.svg'}\n"
        f"Check      REKINDLE_WAREHOUSE_PATH={stack.warehouse_path} rekindle check\n"
        "Stop       make demo-down",
        title="Where to look",
        title_align="left",
        expand=False,
    )
