"""What `rekindle backtest` does once its options are read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from rekindle.backtest.backtest import BackTest, judge
from rekindle.backtest.event_log import WishedKinds, read_instants, spelled
from rekindle.backtest.picture import check_picture, draw_backtest
from rekindle.backtest.report import RANKINGS, summary
from rekindle.backtest.rules import ScoreRules, read_rules
from rekindle.backtest.scoring import ScoreBench
from rekindle.clock import clock_from_environment
from rekindle.project import project_root


@dataclass(frozen=True)
class Question:
    """What every command over a log asks."""

    events: Path
    as_of: Sequence[str]
    horizon_days: int
    kinds: WishedKinds
    any_activity: bool = False
    seeds: Path | None = None

    @property
    def instants(self) -> tuple[datetime, ...]:
        return read_instants(self.as_of)

    @property
    def rules(self) -> ScoreRules:
        return read_rules(self.seeds or reviewed_seeds())


def reviewed_seeds() -> Path:
    """The folder of the rules in force."""
    return project_root() / "dbt_project" / "seeds"


def progress_bar(console: Console) -> Progress:
    """The bar of a command that runs the models once per date."""
    return Progress(
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        transient=True,
    )


def backtest(question: Question, picture: Path | None, as_json: bool, console: Console, complaints: Console) -> None:
    """Judge the rules, print what was found, and draw it if a picture is wanted."""
    check_picture(picture)
    test = run_backtest(question, complaints)
    if picture:
        draw_backtest(test, RANKINGS, picture)
    if as_json:
        console.file.write(json.dumps(test.as_json(), indent=2) + "\n")
        return
    console.print(summary(test))
    if picture:
        console.print(f"picture: {picture}", highlight=False, soft_wrap=True)


def run_backtest(question: Question, complaints: Console) -> BackTest:
    """Score the log as of each date and compare."""
    instants, rules = question.instants, question.rules
    with progress_bar(complaints) as progress:
        task = progress.add_task("taking in the log", total=len(instants), note="")
        with ScoreBench(question.events, rules, question.kinds, clock_from_environment()) as bench:
            progress.update(task, description="running the models", note=f"as of {spelled(instants[0])}")
            days = bench.score(
                instants,
                question.horizon_days,
                any_activity=question.any_activity,
                done=lambda instant: progress.update(task, advance=1, note=f"as of {spelled(instant)} done"),
            )
            progress.update(task, description="drawing samples", note="")
            return judge(bench.log, question.horizon_days, _versions(rules), days)


def _versions(rules: ScoreRules) -> str:
    return ", ".join(f"{row.preset} {row.score_version}" for row in rules.thresholds)
