"""The instants at which a message may leave: local hours and weekdays, in every zone the lead may be in.

All arithmetic is on whole seconds since 1970 in UTC. Local hours become UTC spans piece by piece, one piece for each
stretch of constant UTC offset, so an hour that daylight saving skips is never used and an hour it repeats counts twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

from rekindle.timing.zones import proper_zone, zones_of_country
from rekindle.vocabulary import Channel

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")  # Monday is 0, as in datetime.weekday()

_MINUTE = 60  # seconds
_DAY = 24 * 60 * _MINUTE
_WEEK = 7 * _DAY
_LOOK_EVERY = 3 * 60 * _MINUTE  # no zone changes its offset twice within three hours
_WEEKS_AHEAD = 54  # a window that does not open within a year does not open
_EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday
_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")

_Span: TypeAlias = tuple[int, int]  # UTC seconds: from, until (not included)


class UnknownTimeZone(StrEnum):
    """What to do for a lead whose zone nobody knows."""

    HOLD = "hold"  # do not send until there is evidence
    INTERSECTION = "intersection"  # send only when it is inside the window in every zone of the lead's country


@dataclass(frozen=True, slots=True, order=True)
class LocalHours:
    """A stretch of the local day in minutes after midnight, `closes` not included; 24:00 is 1440."""

    opens: int
    closes: int

    def __post_init__(self) -> None:
        if not 0 <= self.opens < self.closes <= 24 * 60:
            raise ValueError("local hours must open before they close, from 00:00 to 24:00")

    @classmethod
    def parse(cls, text: str) -> LocalHours:
        """Read `08:00-20:00`; raises `ValueError` saying what is wrong with it."""
        match = _HOURS.fullmatch(text.strip())
        if match is None:
            raise ValueError("local hours are written like 08:00-20:00")
        from_hour, from_minute, to_hour, to_minute = (int(group) for group in match.groups())
        if max(from_minute, to_minute) > 59 or max(from_hour, to_hour) > 24:
            raise ValueError("an hour goes from 00:00 to 24:00")
        opens, closes = from_hour * 60 + from_minute, to_hour * 60 + to_minute
        if closes > 24 * 60:
            raise ValueError("the day ends at 24:00")
        if opens >= closes:
            raise ValueError("it must open before it closes; a night is two stretches, until 24:00 and from 00:00")
        return cls(opens, closes)

    def __str__(self) -> str:
        return f"{self.opens // 60:02}:{self.opens % 60:02}-{self.closes // 60:02}:{self.closes % 60:02}"


#: 47 CFR 64.1200(c)(1): no solicitation before 8 am or after 9 pm, local time at the called party's location.
QUIET_HOURS_COMPLEMENT = LocalHours(8 * 60, 21 * 60)


@dataclass(frozen=True, slots=True)
class SendWindow:
    """Local hours and weekdays (Monday 0) in which a message may leave."""

    hours: tuple[LocalHours, ...]
    weekdays: frozenset[int]
    unknown_time_zone: UnknownTimeZone = UnknownTimeZone.HOLD

    def __post_init__(self) -> None:
        spans = _merged([(stretch.opens, stretch.closes) for stretch in self.hours])
        object.__setattr__(self, "hours", tuple(LocalHours(*span) for span in spans))

    def within(self, limit: LocalHours) -> SendWindow:
        """The same window without the hours outside `limit`; no hours at all are left if they do not touch."""
        spans = _shared([(stretch.opens, stretch.closes) for stretch in self.hours], [(limit.opens, limit.closes)])
        return replace(self, hours=tuple(LocalHours(*span) for span in spans))

    def for_channel(self, channel: Channel) -> SendWindow:
        """What is left of the window on a channel: a text never leaves in quiet hours, whatever a file says."""
        return self.within(QUIET_HOURS_COMPLEMENT) if channel is Channel.SMS else self

    def contains(self, local: datetime) -> bool:
        """Whether a wall-clock time is inside the window."""
        minute = local.hour * 60 + local.minute
        return local.weekday() in self.weekdays and any(each.opens <= minute < each.closes for each in self.hours)


@dataclass(frozen=True, slots=True)
class Interval:
    """Two UTC instants: `opens_at` is inside, `closes_at` is not."""

    opens_at: datetime
    closes_at: datetime

    def contains(self, instant: datetime) -> bool:
        return self.opens_at <= instant < self.closes_at


def zones_to_respect(window: SendWindow, zones: Sequence[str], country: str | None = None) -> tuple[str, ...]:
    """The zones a message must suit: the candidates, or what the window says of an unknown place; `()` means hold."""
    if zones:
        return tuple(sorted(set(zones)))
    return zones_of_country(country) if window.unknown_time_zone is UnknownTimeZone.INTERSECTION else ()


def next_window(
    window: SendWindow, zones: Sequence[str], now: datetime, *, country: str | None = None
) -> Interval | None:
    """The interval, containing `now` or the first after it, that is inside the window in **every** zone.

    `opens_at` lies before `now` when `now` is inside. `closes_at` is the end of the intersection, so it serves as the
    message's expiry. An interval longer than a week (a window that never shuts) is cut at least a week from `now`.

    None means: do not send. Either no zone is known and the window says to hold (or the country is unknown too), or a
    candidate is no IANA zone, so that nothing can be shown about it, or the zones lie so far apart that the window is
    never open in all of them within a year.
    """
    if now.tzinfo is None:
        raise ValueError("now must be an instant with a time zone")
    respected = tuple(sorted({proper_zone(zone) or "" for zone in zones_to_respect(window, zones, country)}))
    if not respected or "" in respected:
        return None
    moment = int(now.astimezone(UTC).timestamp())
    this_week = moment // _WEEK
    for week in range(this_week, this_week + _WEEKS_AHEAD):
        if any(closes > moment for _, closes in _open_in_all(window, respected, week)):
            around = (each for near in (week - 1, week, week + 1) for each in _open_in_all(window, respected, near))
            opens, closes = next(span for span in _merged(around) if span[1] > moment)
            return Interval(datetime.fromtimestamp(opens, UTC), datetime.fromtimestamp(closes, UTC))
    return None


@lru_cache(maxsize=8192)
def _open_in_all(window: SendWindow, zones: tuple[str, ...], week: int) -> tuple[_Span, ...]:
    """The spans of a UTC week in which the window is open in all zones."""
    different = iter({_open_in_zone(window.hours, window.weekdays, zone, week) for zone in zones})
    shared: Sequence[_Span] = next(different)
    for spans in different:
        shared = _shared(shared, spans)
    return tuple(shared)


@lru_cache(maxsize=16384)
def _open_in_zone(hours: tuple[LocalHours, ...], weekdays: frozenset[int], zone: str, week: int) -> tuple[_Span, ...]:
    """The spans of a UTC week in which the window is open in one zone."""
    spans: list[_Span] = []
    for begin, end, offset in _constant_offsets(zone, week):
        for day in range((begin + offset) // _DAY, (end + offset - 1) // _DAY + 1):  # local days since 1970
            if (day + _EPOCH_WEEKDAY) % 7 in weekdays:
                midnight = day * _DAY - offset
                for stretch in hours:
                    opens = max(begin, midnight + stretch.opens * _MINUTE)
                    closes = min(end, midnight + stretch.closes * _MINUTE)
                    if opens < closes:
                        spans.append((opens, closes))
    return tuple(_merged(spans))


@lru_cache(maxsize=4096)
def _constant_offsets(zone: str, week: int) -> tuple[tuple[int, int, int], ...]:
    """A UTC week cut where the zone's offset changes: from, until, offset in seconds."""
    info = ZoneInfo(zone)

    def offset_at(second: int) -> int:
        return int((datetime.fromtimestamp(second, info).utcoffset() or timedelta()).total_seconds())

    first, last = week * _WEEK, (week + 1) * _WEEK
    pieces: list[tuple[int, int, int]] = []
    begin, offset = first, offset_at(first)
    for look in range(first + _LOOK_EVERY, last + 1, _LOOK_EVERY):
        later = offset_at(look)
        if later != offset:
            before, after = look - _LOOK_EVERY, look
            while after - before > 1:
                middle = (before + after) // 2
                before, after = (middle, after) if offset_at(middle) == offset else (before, middle)
            pieces.append((begin, after, offset))
            begin, offset = after, later
    if begin < last:
        pieces.append((begin, last, offset))
    return tuple(pieces)


def _merged(spans: Iterable[_Span]) -> list[_Span]:
    """Sorted, with overlapping and touching spans made one."""
    merged: list[_Span] = []
    for opens, closes in sorted(spans):
        if merged and opens <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], closes))
        else:
            merged.append((opens, closes))
    return merged


def _shared(left: Sequence[_Span], right: Sequence[_Span]) -> list[_Span]:
    """What two sorted lists of disjoint spans have in common."""
    shared: list[_Span] = []
    i = j = 0
    while i < len(left) and j < len(right):
        opens, closes = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if opens < closes:
            shared.append((opens, closes))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return shared
