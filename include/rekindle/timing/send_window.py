"""The instants at which a message may leave: local hours and weekdays, in every zone the lead may be in.

All arithmetic is on whole seconds since 1970 in UTC. Local hours become UTC spans piece by piece, one piece for each
stretch of constant UTC offset, so an hour that daylight saving skips is never used and an hour it repeats counts twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
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
_EPOCH = date(1970, 1, 1)
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


#: The hours of each weekday, Monday first.
Week: TypeAlias = tuple[tuple[LocalHours, ...], ...]


@dataclass(frozen=True, slots=True)
class SendWindow:
    """Local hours and weekdays (Monday 0) in which a message may leave, and local dates on which none does.

    `by_weekday` holds the hours of weekdays that differ from `hours`; `blackouts` are pairs of first and last date.
    """

    hours: tuple[LocalHours, ...]
    weekdays: frozenset[int]
    unknown_time_zone: UnknownTimeZone = UnknownTimeZone.HOLD
    by_weekday: tuple[tuple[int, tuple[LocalHours, ...]], ...] = ()
    blackouts: tuple[tuple[date, date], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "hours", _tidy(self.hours))
        object.__setattr__(self, "by_weekday", tuple((day, _tidy(hours)) for day, hours in sorted(self.by_weekday)))
        object.__setattr__(self, "blackouts", tuple(sorted(self.blackouts)))

    @property
    def week(self) -> Week:
        """The hours of each weekday, Monday first."""
        differing = dict(self.by_weekday)
        return tuple(differing.get(day, self.hours if day in self.weekdays else ()) for day in range(7))

    def within(self, limit: LocalHours) -> SendWindow:
        """The same window without the hours outside `limit`; no hours at all are left if they do not touch."""
        return replace(
            self,
            hours=_in_both(self.hours, (limit,)),
            by_weekday=tuple((day, _in_both(hours, (limit,))) for day, hours in self.by_weekday),
        )

    def within_week(self, limit: Week) -> SendWindow:
        """The same window without the hours outside those of each weekday."""
        kept = tuple((day, _in_both(hours, limit[day])) for day, hours in enumerate(self.week))
        return self if tuple(hours for _, hours in kept) == self.week else replace(self, by_weekday=kept)

    def for_channel(self, channel: Channel) -> SendWindow:
        """What is left of the window on a channel: a text never leaves in quiet hours, whatever a file says."""
        return self.within(QUIET_HOURS_COMPLEMENT) if channel is Channel.SMS else self

    def contains(self, local: datetime) -> bool:
        """Whether a wall-clock time is inside the window."""
        minute = local.hour * 60 + local.minute
        open_now = any(each.opens <= minute < each.closes for each in self.week[local.weekday()])
        return open_now and not any(first <= local.date() <= last for first, last in self.blackouts)


def _tidy(hours: Iterable[LocalHours]) -> tuple[LocalHours, ...]:
    return tuple(LocalHours(*span) for span in _merged([(stretch.opens, stretch.closes) for stretch in hours]))


def _in_both(one: Iterable[LocalHours], other: Iterable[LocalHours]) -> tuple[LocalHours, ...]:
    spans = _shared(
        _merged([(stretch.opens, stretch.closes) for stretch in one]),
        _merged([(stretch.opens, stretch.closes) for stretch in other]),
    )
    return tuple(LocalHours(*span) for span in spans)


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
    hours, blackouts = window.week, _days_of(window.blackouts)
    different = iter({_open_in_zone(hours, blackouts, zone, week) for zone in zones})
    shared: Sequence[_Span] = next(different)
    for spans in different:
        shared = _shared(shared, spans)
    return tuple(shared)


@lru_cache(maxsize=16384)
def _open_in_zone(hours: Week, blackouts: frozenset[int], zone: str, week: int) -> tuple[_Span, ...]:
    """The spans of a UTC week in which the window is open in one zone."""
    spans: list[_Span] = []
    for begin, end, offset in _constant_offsets(zone, week):
        for day in range((begin + offset) // _DAY, (end + offset - 1) // _DAY + 1):  # local days since 1970
            if day not in blackouts:
                midnight = day * _DAY - offset
                for stretch in hours[(day + _EPOCH_WEEKDAY) % 7]:
                    opens = max(begin, midnight + stretch.opens * _MINUTE)
                    closes = min(end, midnight + stretch.closes * _MINUTE)
                    if opens < closes:
                        spans.append((opens, closes))
    return tuple(_merged(spans))


@lru_cache(maxsize=256)
def _days_of(blackouts: tuple[tuple[date, date], ...]) -> frozenset[int]:
    """The days since 1970 of these dates."""
    spans = [(first - _EPOCH).days for first, _ in blackouts], [(last - _EPOCH).days for _, last in blackouts]
    return frozenset(day for begin, end in zip(*spans, strict=True) for day in range(begin, end + 1))


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
