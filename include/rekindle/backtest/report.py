"""The back-test for a person to read."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rekindle.backtest.areas import Areas, Estimate
from rekindle.backtest.backtest import BackTest
from rekindle.backtest.event_log import EventLog

RANKINGS = {"score": "cold score", "recency": "days since last seen", "frequency": "frequency"}


def facts(log: EventLog, horizon_days: int) -> RenderableType:
    """What was judged, and what was taken to prove that a lead came back."""
    kinds = log.kinds
    seen = [name for name in log.by_type if name not in {*kinds.key_actions, *kinds.log_ins, *kinds.passive}]
    table = Table(show_header=False, title="The log", title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    rejected = f", {log.counts.rows_rejected:,} rejected" if log.counts.rows_rejected else ""
    for name, told in (
        ("file", f"{log.path.name}: {log.counts.rows_kept:,} events{rejected}"),
        ("from, to", f"{log.first:%Y-%m-%d} to {log.last:%Y-%m-%d}"),
        ("horizon", f"{horizon_days} days"),
        ("key actions", ", ".join(kinds.key_actions) or "none"),
        ("log-ins", ", ".join(kinds.log_ins) or "none"),
        ("only seen", ", ".join(seen) or "none"),
        ("prove nothing", ", ".join(kinds.passive) or "none"),
    ):
        table.add_row(name, Text(told))
    return table


def areas_table(test: BackTest) -> RenderableType:
    """The areas with their 95 % intervals, a row per date."""
    table = Table(
        title=f"How surely who stays away for {test.horizon_days} days is ranked colder: ROC AUC, 95 % interval",
        title_justify="left",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    table.add_column("as of", no_wrap=True)
    for heading in ("leads", "back"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in RANKINGS.values():
        table.add_column(name, justify="right")
    table.add_column("score − days since last seen", justify="right")
    for name, areas in (*test.by_date, ("all dates", test.pooled)):
        table.add_row(*_cells(name, areas), end_section=name == test.by_date[-1][0])
    return table


def _cells(name: str, areas: Areas) -> list[str]:
    ahead = areas.ahead_of["recency"]
    return [
        name,
        f"{areas.n:,}",
        f"{areas.returned:,}",
        *(_in_two_lines(areas.areas[ranking]) for ranking in RANKINGS),
        f"{ahead.value:+.4f}\n{ahead.low:+.4f} {ahead.high:+.4f}",
    ]


def _in_two_lines(estimate: Estimate) -> str:
    return f"{estimate.value:.3f}\n{estimate.low:.3f}–{estimate.high:.3f}"


def calibration_table(test: BackTest) -> RenderableType:
    """How many of each range of scores stayed away."""
    table = Table(title="Of the leads with a score of …", title_justify="left")
    table.add_column("score", justify="right")
    table.add_column("leads", justify="right")
    table.add_column(f"stayed away for {test.horizon_days} days", justify="right")
    table.add_column("came back", justify="right")
    for band in test.bands:
        away = band.stayed_away
        table.add_row(
            f"{band.low:.0f}–{band.high:.0f}",
            f"{band.leads:,}",
            f"{away.value:.1%} ({away.low:.1%}–{away.high:.1%})",
            f"{1 - away.value:.1%}",
        )
    return table


def summary(test: BackTest) -> RenderableType:
    """Everything the back-test found."""
    return Group(facts(test.log, test.horizon_days), areas_table(test), calibration_table(test), Text(verdict(test)))


def verdict(test: BackTest) -> str:
    """One sentence on whether the score is worth having."""
    ahead = test.pooled.ahead_of["recency"]
    behind = [name for name, areas in test.by_date if areas.ahead_of["recency"].value < 0]
    over = f"over all dates by {ahead.signed()}"
    if behind:
        return f"The score ranks worse than days since last seen as of {', '.join(behind)}; {over}."
    if ahead.low > 0:
        return f"The score ranks better than days since last seen {over}."
    return f"The score ranks no worse than days since last seen on every date; {over}."
