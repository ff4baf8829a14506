"""What `rekindle calibrate` does once its options are read."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from rekindle.backtest.commands import Question, progress_bar, reviewed_seeds
from rekindle.backtest.event_log import spelled
from rekindle.backtest.scoring import ScoreBench
from rekindle.calibrate.fitting import FACTORS
from rekindle.calibrate.proposal import REPORT_FILE, check_dates, check_folder, propose, verdict, write_proposal
from rekindle.clock import clock_from_environment


def calibrate(question: Question, out: Path, console: Console, complaints: Console) -> None:
    """Fit, judge, write the proposal into `out`, and say in one sentence what it is worth."""
    check_folder(out, reviewed_seeds())
    instants = question.instants
    earlier, _ = check_dates(instants, question.horizon_days)
    rules = question.rules
    with progress_bar(complaints) as progress:
        task = progress.add_task("taking in the log", total=len(instants) + len(FACTORS), note="")
        with ScoreBench(question.events, rules, question.kinds, clock_from_environment()) as bench:
            progress.update(task, description="running the models")
            days = bench.score(
                instants,
                question.horizon_days,
                any_activity=question.any_activity,
                done=lambda instant: progress.update(task, advance=1, note=f"as of {spelled(instant)} done"),
            )
            progress.update(task, description="fitting", note="")
            proposal = propose(bench, days[: len(earlier)], days[len(earlier) :], lambda: progress.advance(task))
    write_proposal(proposal, question.events.name, question.horizon_days, out)
    console.print(verdict(proposal), highlight=False, soft_wrap=True)
    console.print(f"proposal and report: {out / REPORT_FILE}", highlight=False, soft_wrap=True)
