"""What a simulation came to: tables for the terminal, and the funnel by day as a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import accumulate
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rekindle.campaigns.models import Campaign
from rekindle.demo.outcome import invariants_table
from rekindle.simulate.played import ACTIVE, Played, steps_of
from rekindle.vocabulary import Arm, Exit
from rekindle.warehouse.ports import Row

_COLOURS = ("#1d4ed8", "#0f766e", "#7c3aed", "#b45309", "#0369a1", "#4d7c0f", "#be185d", "#57534e")
_ENDED = "#c2410c"


def played_page(played: Played) -> RenderableType:
    """How many came to each step and how they ended, who waited for whom, what was sent and what not and why, and the
    ten invariants.
    """
    told = (
        f"{played.people:,} made-up lives over {played.days} days from {played.first_day:%a %d %b %Y};"
        f" {played.accepted:,} messages were taken, nobody was written to\n"
    )
    if len(played.campaigns) == 1:
        (campaign,) = played.campaigns
        first: list[RenderableType] = [Text(f"{campaign.campaign_id}: {told}"), _funnel_table(played, campaign)]
    else:
        first = [
            Text(f"{len(played.campaigns)} campaigns played together: {told}"),
            _campaigns_table(played),
            _ends_table(played),
            *_deferrals_tables(played),
        ]
    return Group(*first, _sending_table(played), invariants_table(played.verdicts))


def _campaigns_table(played: Played) -> Table:
    table = Table(title="What each came to, the strongest first", title_justify="left")
    table.add_column("campaign", no_wrap=True)
    for heading in ("priority", "entered", "sent", "ended", "under way"):
        table.add_column(heading, justify="right")
    for campaign in played.campaigns:
        ends = sum(played.ends_of(campaign.campaign_id).values(), Counter())
        sent = played.sent_of(campaign.campaign_id)["sent"]
        counts = (ends.total(), sent, ends.total() - ends[ACTIVE], ends[ACTIVE])
        table.add_row(campaign.campaign_id, str(campaign.priority), *(f"{count:,}" for count in counts))
    return table


def _ends_table(played: Played) -> Table:
    table = Table(title="How they ended, both arms together", title_justify="left")
    table.add_column("campaign", no_wrap=True)
    table.add_column("ends")
    for campaign in played.campaigns:
        ends = sum(played.ends_of(campaign.campaign_id).values(), Counter())
        table.add_row(campaign.campaign_id, _told({end: ends[end] for end in map(str, Exit)}) or "nobody yet")
    return table


def _deferrals_tables(played: Played) -> list[Table]:
    """How often each let another one pass, what came of these messages, and who wrote instead."""
    table = Table(
        title="One arbitration: who wrote later because another campaign wrote that day",
        title_justify="left",
        caption="a message may wait several times; sent later counts what the holdout would have had",
    )
    table.add_column("campaign", no_wrap=True)
    for heading in ("times", "messages", "sent later", "ended before", "not yet"):
        table.add_column(heading, justify="right")
    winners = Table(title="Which campaign wrote instead, and how often", title_justify="left")
    winners.add_column("campaign", no_wrap=True)
    winners.add_column("waited for")
    for campaign in played.campaigns:
        rows = played.lost_by(campaign.campaign_id)
        if not rows:
            continue
        times, messages, later, ended = (
            int(sum(row[name] for row in rows)) for name in ("deferrals", "messages", "went_later", "ended_before")
        )
        counts = (times, messages, later, ended, messages - later - ended)
        table.add_row(campaign.campaign_id, *(f"{count:,}" for count in counts))
        others = {row["winning_campaign_id"]: int(row["deferrals"]) for row in rows}
        winners.add_row(campaign.campaign_id, _told(others))
    if not table.row_count:
        table.add_row("nobody", *[""] * (len(table.columns) - 1))
        return [table]
    return [table, winners]


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)


def _funnel_table(played: Played, campaign: Campaign) -> Table:
    arms: dict[str, Counter[str]] = {arm: Counter() for arm in Arm}
    for row in played.funnel:
        arms[row["arm"]][row["reached"]] += row["entries"]
    ends = played.ends_of(campaign.campaign_id)
    entered = ends[Arm.TREATMENT].total()
    table = Table(title="Who came how far", title_justify="left", caption="shares are of the treatment arm")
    table.add_column("step or end")
    for heading in ("treatment", "holdout", "share"):
        table.add_column(heading, justify="right")
    for step in steps_of(campaign):
        _add(table, step, arms, entered)
    table.add_section()
    for end in [*(str(one) for one in Exit), ACTIVE]:
        if any(ends[arm][end] for arm in Arm):
            _add(table, end if end != ACTIVE else "still under way", ends, entered, end)
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
    """Draw, day by day, how many of those that the one campaign wrote to had come to each message and how many had left
    (SVG or PNG).
    """
    import matplotlib

    (campaign,) = played.campaigns

    matplotlib.use("svg" if target.suffix == ".svg" else "agg")
    from matplotlib import pyplot

    rows = [row for row in played.funnel if row["arm"] == Arm.TREATMENT]
    lines = [("entered", _running(played, [row for row in rows if row["is_first"]]), "#475569", "-")]
    for number, step in enumerate(one.step_id for one in campaign.message_steps):
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
    axes.set_title(f"{campaign.campaign_id}: how far they come, day by day", loc="left", fontweight="bold")
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
