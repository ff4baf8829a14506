"""When the runs of a simulated day act: few instants, each inside the send window of as many zones as possible."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from rekindle.campaigns.models import Campaign
from rekindle.timing.send_window import SendWindow, next_window
from rekindle.vocabulary import Channel

RUNS_A_DAY = 4
INTO_THE_WINDOW = timedelta(minutes=30)  # at most so long after it opens: dispatch takes time in a real run
_DAY = timedelta(days=1)
_WHEN_CLOSED = timedelta(hours=18)


def runs_of_day(
    campaigns: Iterable[Campaign], zones: Iterable[str], midnight: datetime, at_most: int = RUNS_A_DAY
) -> list[datetime]:
    """At most so many instants of the UTC day, earliest first, that meet as many windows of as many zones as possible.

    All campaigns are run at each of them, as one day's scores start all their DAGs. A day on which nothing may leave
    has one run, for what arrives.
    """
    windows = {campaign.window_for(channel) for campaign in campaigns for channel in Channel}
    open_in = [spans for zone in zones for window in windows if (spans := _openings(window, zone, midnight))]
    candidates = sorted({_inside(*span) for spans in open_in for span in spans})
    chosen: list[datetime] = []
    while open_in and len(chosen) < at_most:
        best = max(candidates, key=lambda at: sum(_meets(spans, at) for spans in open_in))
        chosen.append(best)
        open_in = [spans for spans in open_in if not _meets(spans, best)]
    return sorted(chosen) or [midnight + _WHEN_CLOSED]


def _openings(window: SendWindow, zone: str, midnight: datetime) -> list[tuple[datetime, datetime]]:
    """The stretches of the UTC day in which the window is open in one zone."""
    spans, at = [], midnight
    while (interval := next_window(window, (zone,), at)) is not None and interval.opens_at < midnight + _DAY:
        spans.append((max(interval.opens_at, midnight), min(interval.closes_at, midnight + _DAY)))
        at = interval.closes_at
    return spans


def _inside(opens_at: datetime, closes_at: datetime) -> datetime:
    return opens_at + min(INTO_THE_WINDOW, (closes_at - opens_at) / 2)


def _meets(spans: Sequence[tuple[datetime, datetime]], at: datetime) -> bool:
    return any(opens <= at < closes for opens, closes in spans)
