"""The foreseen day as a page for the terminal."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rekindle.campaigns.models import Campaign, SmsStep
from rekindle.preview.day import ForeseenDay
from rekindle.vocabulary import Arm


def day_page(campaign: Campaign, day: ForeseenDay, segment_price: float | None) -> RenderableType:
    """Who would enter, what would leave and what not, who would move or end, and what comes due in the next days."""
    parts: list[RenderableType] = [
        Text(
            f"{campaign.campaign_id} as of {day.as_of:%a %Y-%m-%d %H:%M} UTC,"
            " tried and undone: nothing was sent or changed\n"
        ),
        *(Text(f"Stopped: {stop.what} ({stop.mode}) by {stop.set_by}: {stop.reason}\n", "red") for stop in day.stops),
        *([Text("\n".join(["On older versions:", *map(str, day.in_flight), ""]))] if day.in_flight else []),
        _entrants(campaign, day),
        *([_samples(day)] if day.samples else []),
        _messages(day),
        _decisions(day),
        _send_hours(day),
        _moves(day),
        _upcoming(day),
        Text(_cost(campaign, day, segment_price)),
    ]
    return Group(*parts)


def _entrants(campaign: Campaign, day: ForeseenDay) -> Group:
    entered = sum(row["entries"] for row in day.entrants)
    table = _table("Who would enter", "arm", "segment", "leads", "mean cold score")
    for row in day.entrants:
        table.add_row(row["arm"], row["segment"], f"{row['entries']:,}", f"{row['cold_score']:.1f}")
    told = f"{entered:,} in all; {_compared(entered, day)}; {_scored(campaign, day)}\n"
    return Group(_or_nothing(table), Text(told))


def _scored(campaign: Campaign, day: ForeseenDay) -> str:
    source = campaign.enter.model
    if day.scored_as_of is None:
        return f"{source} is empty, or the DAG `score` has not run yet"
    at = f"{source} is as of {day.scored_as_of:%Y-%m-%d %H:%M}"
    if day.scored_as_of == day.as_of:
        return at
    if day.scored_as_of > day.as_of:
        return f"{at}, which is later: plan with --as-of {day.scored_as_of:%Y-%m-%dT%H:%M}"
    return f"{at}: who comes in since is known when the DAG `score` runs again"


def _compared(entered: int, day: ForeseenDay) -> str:
    """The difference to yesterday, or to the newest cohort before it."""
    today = day.as_of.date()
    before = {row["cohort_date"]: row["entries"] for row in day.cohort_sizes if row["cohort_date"] != today}
    newest = max(before, default=None)
    if newest is None:
        return "no cohort before it"
    yesterday = today - timedelta(days=1)
    difference = f"{entered - before.get(yesterday, 0):+,} to yesterday's {before.get(yesterday, 0):,}"
    older = "" if newest == yesterday else f", {entered - before[newest]:+,} to the {before[newest]:,} of {newest}"
    usual = sum(before.values()) / len(before)
    average = f"; the last {len(before)} cohorts had {usual:,.1f} on average" if len(before) > 1 else ""
    return f"{difference}{older}{average}"


def _samples(day: ForeseenDay) -> Table:
    table = _table("The coldest of them, and why", "lead", "arm", "segment", "cold score", "points")
    for row in day.samples:
        points = json.loads(row["score_contributions"])
        told = ", ".join(f"{name} {value:g}" for name, value in sorted(points.items(), key=_by_points) if value)
        table.add_row(row["lead_id"], row["arm"], row["segment"] or "none", f"{row['cold_score']:.1f}", told)
    return table


def _by_points(signal: tuple[str, float]) -> float:
    return -signal[1]


def _messages(day: ForeseenDay) -> Table:
    table = _table("What would be sent now", "step", "channel", "arm", "messages", "not after (UTC)")
    for row in day.messages:
        arm = row["arm"] if row["arm"] == Arm.TREATMENT else f"{row['arm']}: withheld"
        table.add_row(row["step_id"], row["channel"], arm, f"{row['messages']:,}", f"{row['earliest_expiry']:%a %H:%M}")
    return _or_nothing(table)


def _decisions(day: ForeseenDay) -> Table:
    table = _table("What would not be sent now, and why", "step", "channel", "reason", "leads", "earliest again (UTC)")
    for row in day.decisions:
        again = f"{row['next_due_at']:%a %d %b %H:%M}" if row["next_due_at"] else ""
        winner = f" to {row['winning_campaign_id']}" if row["winning_campaign_id"] else ""
        table.add_row(row["step_id"], row["channel"], row["reason"] + winner, f"{row['decisions']:,}", again)
    return _or_nothing(table)


def _send_hours(day: ForeseenDay) -> Table:
    hours: Counter[tuple[datetime, str]] = Counter()
    for row in day.send_hours:
        hours[row["leaves_at"].replace(minute=0, second=0, microsecond=0), row["channel"]] += row["messages"]
    table = _table(
        "When messages may leave at the earliest, by day and hour (UTC)", "day", "hour", "channel", "messages"
    )
    for (hour, channel), messages in sorted(hours.items()):
        table.add_row(f"{hour:%a %d %b}", f"{hour:%H}:00", channel, f"{messages:,}")
    return _or_nothing(table)


def _moves(day: ForeseenDay) -> Table:
    table = _table("Who would move or end", "from", "to", "reason", "leads")
    for row in day.moves:
        to = f"ended as {row['exit_reason']}" if row["exit_reason"] else row["to_stage"]
        table.add_row(row["from_stage"], to, row["reason"], f"{row['entries']:,}")
    return _or_nothing(table)


def _upcoming(day: ForeseenDay) -> Table:
    table = _table("When the others come due, if nobody answers", "day", "stage", "leads")
    for row in day.upcoming:
        table.add_row(f"{row['due_on']:%a %d %b}", row["stage"], f"{row['entries']:,}")
    return _or_nothing(table)


def _cost(campaign: Campaign, day: ForeseenDay, segment_price: float | None) -> str:
    longest = {step.step_id: step.max_segments for step in campaign.message_steps if isinstance(step, SmsStep)}
    segments = sum(
        row["messages"] * longest[row["step_id"]]
        for row in day.messages
        if row["step_id"] in longest and row["arm"] == Arm.TREATMENT
    )
    price = f", {segments * segment_price:,.2f} at {segment_price:g} a segment" if segment_price is not None else ""
    return f"\nSegments to bill at most: {segments:,}{price}"


def _table(title: str, *headings: str) -> Table:
    numbers = {"leads", "messages", "mean cold score", "cold score"}
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in numbers else "left")
    return table


def _or_nothing(table: Table) -> Table:
    if not table.row_count:
        table.add_row("nothing", *[""] * (len(table.columns) - 1))
    return table
