"""A lead's history as a page for the terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date, datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rekindle.history.lead import Happening, LeadHistory, Standing
from rekindle.timing.zones import proper_zone

_COLOURS = {
    "entered": "bold cyan",
    "sent": "bold green",
    "not sent": "yellow",
    "suppressed": "bold red",
    "alive": "bold magenta",
    "moved": "cyan",
}
#: What a reason for not writing means; `…` stands for the detail that was kept with the decision.
_MEANINGS = {
    "outside_send_window": "not a decent hour where the lead may be (…)",
    "time_zone_unknown": "nobody knows which hours are decent",
    "frequency_cap": "written to often enough these days, by whichever campaign or tool",
    "lost_arbitration": "… has that day's turn; one campaign a day writes to a person",
    "shared_person": "another lead of the same person is in the campaign",
    "stopped": "stopped by hand (…)",
    "not_approved": "the run was rejected (…)",
    "suppressed": "on the list of those never to write to",
    "consent_missing": "no consent for this channel",
    "no_reachable_channel": "no address for this channel",
    "address_changed": "another address since it was planned",
    "entry_ended": "the journey had ended",
    "expired": "its hour had passed",
}
_SECONDS = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d):\d\d(?:\.\d+)?(?:\+00(?::?00)?| UTC)?")
_POINTS = re.compile(r"\{[^{}]*\}")


def history_page(history: LeadHistory) -> RenderableType:
    """Who it is, where each entry stands, and what happened in order, day by day; times are UTC, and the lead's own
    beside it where the zone is known.
    """
    zone = proper_zone(history.facts.get("time_zone") or "")
    local = ZoneInfo(zone) if zone else None
    told = f"What happened, in UTC{f' and in {zone}' if zone else ''}:"
    days = groupby(history.happenings, key=lambda happening: happening.happened_at.date())
    return Group(
        _facts(history),
        *map(_standing, history.standings),
        Text(f"\n{told}"),
        *(_day(day, list(happenings), local) for day, happenings in days),
    )


def _day(day: date, happenings: Sequence[Happening], local: ZoneInfo | None) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    if local:
        table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for happening in happenings:
        row: list[RenderableType] = [f"  {happening.happened_at:%H:%M}"]
        if local:
            row.append(Text(f"{happening.happened_at.astimezone(local):%a %H:%M}", style="dim"))
        row.append(Text(happening.kind, style=_COLOURS.get(happening.kind, "")))
        campaign = f"{happening.campaign_id}: " if happening.campaign_id else ""
        body = Text(campaign + _SECONDS.sub(r"\1", happening.what))
        if why := _why(happening):
            body.append(f"\n{why}", style="dim")
        table.add_row(*row, body)
    return Group(Text(f"\n{day:%a %d %b %Y}", style="bold"), table)


def _why(happening: Happening) -> str:
    if happening.kind == "not sent":
        reason, _, detail = happening.why.partition(": ")
        meaning = _MEANINGS.get(reason, detail)
        if meaning:
            return f"{reason}: {meaning.replace('(…)', f'({detail})' if detail else '').replace('…', detail).rstrip()}"
        return reason
    return _POINTS.sub(_points, happening.why)


def _points(found: re.Match[str]) -> str:
    """The contributions of the score, the largest first, without their JSON."""
    points = sorted(json.loads(found.group()).items(), key=lambda one: -one[1])
    told = ", ".join(f"{name} {value:g}" for name, value in points if value)
    return f"({told})" if told else "(signals not told)"


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
