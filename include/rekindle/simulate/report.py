"""What a simulation came to: tables for the terminal, and the funnel by day as a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import accumulate
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rekindle.demo.outcome import invariants_table
from rekindle.simulate.play import Played
from rekindle.vocabulary import Arm, Exit
from rekindle.warehouse.ports import Row

_COLOURS = ("#1d4ed8", "#0f766e", "#7c3aed", "#b45309", "#0369a1", "#4d7c0f", "#be185d", "#57534e")
_ENDED = "#c2410c"


def played_page(played: Played) -> RenderableType:
    """How many came to each step and how they ended, what was sent and what not and why, and the ten invariants."""
    return Group(
        Text(
            f"{played.campaign_id}: {played.people:,} made-up lives over {played.days} days from"
            f" {played.first_day:%a %d %b %Y}; {played.accepted:,} messages were taken, nobody was written to\n"
        ),
        _funnel_table(played),
        _sending_table(played),
        invariants_table(played.verdicts),
    )


def _funnel_table(played: Played) -> Table:
    arms: dict[str, Counter[str]] = {arm: Counter() for arm in Arm}
    for row in played.funnel:
        arms[row["arm"]][row["reached"]] += row["entries"]
    exits: dict[str, Counter[str]] = {arm: Counter() for arm in Arm}
    for row in played.exits:
        exits[row["arm"]][row["outcome"]] += row["entries"]
    entered = exits[Arm.TREATMENT].total()
    table = Table(title="Who came how far", title_justify="left", caption="shares are of the treatment arm")
    table.add_column("step or end")
    for heading in ("treatment", "holdout", "share"):
        table.add_column(heading, justify="right")
    for step in played.steps:
        _add(table, step, arms, entered)
    table.add_section()
    for end in [*(str(one) for one in Exit), "active"]:
        if any(exits[arm][end] for arm in Arm):
            _add(table, end if end != "active" else "still under way", exits, entered, end)
    return table


def _add(table: Table, label: str, counts: dict[str, Counter[str]], entered: int, key: str | None = None) -> None:
    treated, held_out = (counts[arm][key or label] for arm in (Arm.TREATMENT, Arm.HOLDOUT))
    table.add_row(label, f"{treated:,}", f"{held_out:,}", f"{treated / entered:.1%}" if entered else "")


def _sending_table(played: Played) -> Table:
    table = Table(title="What was sent, and what was decided against", title_justify="left")
    table.add_column("channel")
    table.add_column("what")
    table.add_column("count", justify="right")
    for row in played.messages:
        what = row["status"] if row["arm"] == Arm.TREATMENT else f"{row['status']} (holdout)"
        table.add_row(row["channel"], what, f"{row['messages']:,}")
    table.add_section()
    for row in played.decisions:
        table.add_row(row["channel"], f"not now: {row['reason']}", f"{row['decisions']:,}")
    return table


def draw_funnel(played: Played, target: Path) -> None:
    """Draw, day by day, how many of those written to had come to each message and how many had left (SVG or PNG)."""
    import matplotlib

    matplotlib.use("svg" if target.suffix == ".svg" else "agg")
    from matplotlib import pyplot

    rows = [row for row in played.funnel if row["arm"] == Arm.TREATMENT]
    lines = [("entered", _running(played, [row for row in rows if row["is_first"]]), "#475569", "-")]
    for number, step in enumerate(played.message_steps):
        came = [row for row in rows if row["reached"] == step and not row["is_exit"]]
        lines.append((step, _running(played, came), _COLOURS[number % len(_COLOURS)], "-"))
    lines.append(("ended", _running(played, [row for row in rows if row["is_exit"]]), _ENDED, "--"))

    figure, axes = pyplot.subplots(figsize=(8.4, 4.4))
    days = list(range(1, played.days + 1))
    axes.fill_between(days, lines[0][1], step="post", color="#e2e8f0", linewidth=0)
    for _, counts, colour, style in lines:
        axes.step(days, counts, where="post", color=colour, linestyle=style, linewidth=1.8)
    # each line carries its name, apart from the others: a legend would be looked up and back
    height, lowest = max(lines[0][1][-1], 1) * 0.055, float("-inf")
    for label, counts, colour, _ in sorted(lines, key=lambda one: one[1][-1]):
        lowest = max(lowest + height, counts[-1])
        axes.annotate(
            f"{label} {counts[-1]:,}",
            (days[-1], lowest),
            xytext=(5, 0),
            textcoords="offset points",
            color=colour,
            fontsize=8,
            va="center",
            annotation_clip=False,
        )
    axes.set_ylim(bottom=0)
    axes.margins(x=0)
    axes.set_xlabel(f"day (1 is {played.first_day:%d %b %Y})")
    axes.set_ylabel("leads written to, from the first day on")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"{played.campaign_id}: how far they come, day by day", loc="left", fontweight="bold")
    note = f"{played.people:,} made-up people, {played.days} days, seed {played.seed}: nothing here is about yours."
    figure.text(0.01, 0.01, note, fontsize=7, color="#64748b")
    figure.tight_layout(rect=(0, 0.03, 0.98, 1))
    figure.savefig(target, metadata={"Date": None} if target.suffix == ".svg" else None, dpi=144)
    pyplot.close(figure)


def _running(played: Played, rows: Sequence[Row]) -> list[int]:
    """How many there had been by the end of each day."""
    by_day: Counter[date] = Counter()
    for row in rows:
        by_day[row["happened_on"]] += row["entries"]
    return list(accumulate(by_day[played.first_day + timedelta(days=day)] for day in range(played.days)))
