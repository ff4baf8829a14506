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
    campaign: Campaign, zones: Iterable[str], midnight: datetime, at_most: int = RUNS_A_DAY
) -> list[datetime]:
    """At most so many instants of the UTC day, earliest first, that meet as many zones as can be met.

    A day on which nothing may leave has one run, for what arrives.
    """
    windows = {campaign.window_for(channel) for channel in Channel}
    open_in = {zone: [_openings(window, zone, midnight) for window in windows] for zone in zones}
    candidates = sorted({_inside(*span) for spans in open_in.values() for one in spans for span in one})
    chosen: list[datetime] = []
    unmet = {zone for zone, spans in open_in.items() if all(spans)}
    while unmet and len(chosen) < at_most:
        best = max(candidates, key=lambda at: sum(_meets(open_in[zone], at) for zone in unmet))
        met = {zone for zone in unmet if _meets(open_in[zone], best)}
        if not met:
            break
        chosen.append(best)
        unmet -= met
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


def _meets(windows: Sequence[Sequence[tuple[datetime, datetime]]], at: datetime) -> bool:
    return all(any(opens <= at < closes for opens, closes in spans) for spans in windows)
