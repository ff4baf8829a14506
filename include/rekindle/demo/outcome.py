"""Prints what happened: the outcome table, the measurement, the invariants, and where to look."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table

from rekindle.demo.sandbox_api import CrossCheck
from rekindle.invariants import Verdict
from rekindle.vocabulary import Arm, Exit
from rekindle.warehouse import Warehouse
from rekindle.warehouse.ports import Row


def outcome_report(warehouse: Warehouse) -> RenderableType:
    """Entered, active, each exit, messages, decisions, rejects, and the re-activation rate against the holdout."""
    with warehouse.transaction() as transaction:
        exits = transaction.fetch("report/list_exits")
        reactivation = transaction.fetch("report/list_reactivation")
        messages = transaction.fetch("report/list_messages")
        decisions = transaction.fetch("report/list_decisions")
        rejects = transaction.fetch("report/list_rejects")
    parts: list[RenderableType] = [_exits_table(exits), _messages_table(messages, decisions)]
    if rejects:
        parts.append(_rejects_table(rejects))
    parts += [_lift_panel(row) for row in reactivation]
    return Group(*parts)


def _exits_table(rows: Sequence[Row]) -> Table:
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for row in rows:
        arms = counts[row["outcome"]]
        arms[row["arm"]] = arms.get(row["arm"], 0) + row["entries"]
    order = [*(str(reason) for reason in Exit), "active"]
    table = Table(title="Where everybody who entered is now", title_justify="left", show_footer=True)
    totals = {arm: sum(outcome.get(arm, 0) for outcome in counts.values()) for arm in (Arm.TREATMENT, Arm.HOLDOUT)}
    table.add_column("outcome", footer="entered")
    table.add_column("treatment", justify="right", footer=f"{totals[Arm.TREATMENT]:,}")
    table.add_column("holdout", justify="right", footer=f"{totals[Arm.HOLDOUT]:,}")
    table.add_column("share of treatment", justify="right", footer="")
    for outcome in sorted(counts, key=order.index):
        treated = counts[outcome].get(Arm.TREATMENT, 0)
        share = treated / totals[Arm.TREATMENT] if totals[Arm.TREATMENT] else 0.0
        held_out = counts[outcome].get(Arm.HOLDOUT, 0)
        table.add_row(outcome, f"{treated:,}", f"{held_out:,}", f"{share:.1%}")
    return table


def _messages_table(messages: Sequence[Row], decisions: Sequence[Row]) -> Table:
    table = Table(title="What was sent, and what was decided against", title_justify="left")
    table.add_column("channel")
    table.add_column("what")
    table.add_column("count", justify="right")
    for row in messages:
        what = row["status"] if row["arm"] == Arm.TREATMENT else f"{row['status']} (holdout)"
        table.add_row(row["channel"], what, f"{row['messages']:,}")
    table.add_section()
    for row in decisions:
        table.add_row(row["channel"], f"not now: {row['reason']}", f"{row['decisions']:,}")
    return table


def _rejects_table(rows: Sequence[Row]) -> Table:
    table = Table(title="Input that could not be used (kept in rekindle_raw.rejects)", title_justify="left")
    for name in ("file", "column", "reason", "count", "first row"):
        table.add_column(name, justify="right" if name in ("count", "first row") else "left")
    for row in rows:
        first = [row["source_file"], row["column_name"], row["reason"], f"{row['rejects']:,}", f"{row['first_row']:,}"]
        table.add_row(*first)
    return table


def _lift_panel(row: Row) -> Panel:
    lift, low, high = row["lift_in_window"], row["lift_in_window_ci_low"], row["lift_in_window_ci_high"]
    if lift is None or low is None:
        text = "Nobody's attribution window is over yet, so there is nothing to compare."
    else:
        verdict = "indistinguishable from zero" if low <= 0 <= high else ("a real gain" if low > 0 else "a real loss")
        days = row["attribution_window_days"]
        text = (
            f"[bold]{_rate(row, 'treatment')}[/] of the people written to came back within {days} days,"
            f" [bold]{_rate(row, 'holdout')}[/] of those left alone.\n"
            f"Lift [bold]{lift:+.2%}[/], 95 % interval {low:+.2%} … {high:+.2%}: {verdict}."
        )
    return Panel(text, title=f"Re-activation · {row['campaign_id']}", title_align="left", expand=False)


def _rate(row: Row, arm: str) -> str:
    back, matured, rate = (row[f"{arm}_{measure}_in_window"] for measure in ("reactivated", "matured", "rate"))
    return f"{rate:.2%} ({back:,} of {matured:,})" if rate is not None else "none"


def invariants_table(verdicts: Sequence[Verdict]) -> Table:
    """One line per promise, with counts."""
    table = Table(title="Invariants", title_justify="left")
    table.add_column("#", justify="right")
    table.add_column("promise")
    table.add_column("checked", justify="right")
    table.add_column("violations", justify="right")
    table.add_column("")
    for verdict in verdicts:
        table.add_row(
            str(verdict.number),
            verdict.name,
            f"{verdict.checked:,} {verdict.unit}",
            f"{verdict.violations:,}",
            "[green]holds[/]" if verdict.holds else "[red bold]BROKEN[/]",
        )
    return table


def cross_check_table(checks: Sequence[CrossCheck]) -> Table:
    """The providers' own record beside the ledger."""
    table = Table(title="The sandbox's own record against the ledger", title_justify="left")
    table.add_column("claim")
    table.add_column("checked", justify="right")
    table.add_column("violations", justify="right")
    table.add_column("")
    for check in checks:
        verdict = "[green]holds[/]" if check.violations == 0 else "[red bold]BROKEN[/]"
        table.add_row(check.claim, f"{check.checked:,} messages", f"{check.violations:,}", verdict)
    return table


def save_reports(target: Path, *reports: RenderableType) -> None:
    """Save what was printed as a picture."""
    recorder = Console(record=True, file=io.StringIO(), width=100, force_terminal=True)
    print_reports(recorder, *reports)
    recorder.save_svg(str(target), title="make demo")


def print_reports(console: Console, *reports: RenderableType) -> None:
    """Print each report with a blank line before it."""
    for report in reports:
        console.print()
        console.print(report)
