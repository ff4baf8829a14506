"""A lead's history as a page for the terminal."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rekindle.history.lead import LeadHistory, Standing
from rekindle.timing.zones import proper_zone

_COLOURS = {
    "entered": "bold cyan",
    "sent": "bold green",
    "not sent": "yellow",
    "suppressed": "bold red",
    "alive": "bold magenta",
    "moved": "cyan",
}


def history_page(history: LeadHistory) -> RenderableType:
    """Who it is, where each entry stands, and what happened in order; times are UTC, and the lead's own beside it where
    the zone is known.
    """
    zone = proper_zone(history.facts.get("time_zone") or "")
    local = ZoneInfo(zone) if zone else None
    table = Table(title="What happened", title_justify="left")
    table.add_column("UTC", no_wrap=True)
    if local:
        table.add_column("local", no_wrap=True)
    for heading in ("what", "", "why", "campaign"):
        table.add_column(heading, no_wrap=heading == "what", overflow="fold")
    for happening in history.happenings:
        row = [_minute(happening.happened_at)]
        if local:
            row.append(f"{happening.happened_at.astimezone(local):%a %H:%M}")
        kind = Text(happening.kind, style=_COLOURS.get(happening.kind, ""))
        table.add_row(*row, kind, Text(happening.what), Text(happening.why), Text(happening.campaign_id or ""))
    return Group(_facts(history), *map(_standing, history.standings), table)


def _facts(history: LeadHistory) -> Text:
    facts = history.facts
    known = [
        f"lead {history.lead_id}",
        f"person {facts['person_id']}" if facts else "not in the company's tables any more",
        f"in {facts['time_zone']}" if facts.get("time_zone") else "time zone not given",
        "with an e-mail address" if facts.get("has_email") else "without an e-mail address",
        "with a number" if facts.get("has_phone") else "without a number",
        *(["made up"] if facts.get("is_made_up") else []),
    ]
    return Text(", ".join(known), style="bold")


def _standing(standing: Standing) -> Text:
    if standing.exit_reason and standing.exited_at:
        now = f"ended as {standing.exit_reason} on {_minute(standing.exited_at)}"
    else:
        due = f", due {_minute(standing.due_at)}" if standing.due_at else ""
        now = f"at {standing.stage} since {_minute(standing.stage_entered_at)}{due}"
    return Text(f"{standing.campaign_id} ({standing.arm}): {now}")


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}"
