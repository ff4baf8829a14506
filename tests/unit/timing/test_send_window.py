"""Send windows against wall clocks: what is returned is inside everywhere, and nothing earlier or longer is."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rekindle.timing.send_window import (
    Interval,
    LocalHours,
    SendWindow,
    UnknownTimeZone,
    next_window,
    zones_to_respect,
)
from rekindle.timing.zones import zones_of_country
from rekindle.vocabulary import Channel

MON_TO_SAT = frozenset(range(6))
EVERY_DAY = frozenset(range(7))

ZONES = [
    "America/New_York",
    "America/Los_Angeles",
    "America/Phoenix",
    "America/Anchorage",
    "America/Adak",
    "America/St_Johns",  # half an hour
    "Pacific/Honolulu",
    "Pacific/Chatham",  # three quarters, and daylight saving
    "Pacific/Apia",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # daylight saving of half an hour
    "Africa/Casablanca",  # daylight saving turned off for Ramadan
    "Europe/London",
    "America/Santiago",  # changes at local midnight
    "UTC",
]


def window_of(
    *hours: str, weekdays: frozenset[int] = EVERY_DAY, rule: UnknownTimeZone = UnknownTimeZone.HOLD
) -> SendWindow:
    return SendWindow(tuple(LocalHours.parse(each) for each in hours), weekdays, rule)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def is_inside(window: SendWindow, zones: list[str], instant: datetime) -> bool:
    """The rule itself, by wall clock; no arithmetic shared with the code under test."""
    for zone in zones:
        local = instant.astimezone(ZoneInfo(zone))
        minute = local.hour * 60 + local.minute
        if local.weekday() not in window.weekdays:
            return False
        if not any(hours.opens <= minute < hours.closes for hours in window.hours):
            return False
    return True


@st.composite
def windows(draw: st.DrawFn) -> SendWindow:
    stretches = draw(st.lists(st.tuples(st.integers(0, 1439), st.integers(1, 1440)), min_size=1, max_size=3))
    hours = tuple(LocalHours(min(a, b), max(a, b)) for a, b in stretches if a != b) or (LocalHours(480, 1200),)
    return SendWindow(hours, draw(st.frozensets(st.integers(0, 6), min_size=1)))


# Instants around every kind of change as well as anywhere.
changes = st.sampled_from(
    [
        utc("2026-03-08T07:00"),  # New York springs forward
        utc("2026-11-01T06:00"),  # and falls back
        utc("2026-10-03T15:30"),  # Lord Howe moves by half an hour
        utc("2026-04-04T15:00"),
        utc("2026-03-29T01:00"),  # London
        utc("2026-02-15T02:00"),  # Casablanca, before Ramadan
        utc("2026-09-06T04:00"),  # Santiago skips midnight
    ]
)
instants = st.one_of(
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    st.builds(lambda change, minutes: change + timedelta(minutes=minutes), changes, st.integers(-3000, 3000)),
)


@settings(max_examples=150, deadline=None)
@given(window=windows(), zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=3), now=instants)
@example(window=window_of("00:00-24:00"), zones=["UTC"], now=utc("2026-05-03T23:59"))
@example(window=window_of("01:00-02:30"), zones=["America/New_York"], now=utc("2026-11-01T04:00"))
@example(window=window_of("02:00-03:00"), zones=["America/New_York"], now=utc("2026-03-08T06:00"))
def test_every_minute_returned_is_inside_in_every_zone_and_no_minute_is_missed(
    window: SendWindow, zones: list[str], now: datetime
) -> None:
    found = next_window(window, zones, now)
    minute = timedelta(minutes=1)
    start = now.replace(second=0, microsecond=0)

    if found is None:  # then not within the next nine days either (sampled: the claim is about a year)
        assert not any(is_inside(window, zones, start + n * 7 * minute) for n in range(1, 9 * 24 * 60 // 7))
        return
    assert found.opens_at < found.closes_at
    assert found.closes_at > now
    # every minute of it (of its first and last two days, if it is long) is inside in every zone
    length = int((found.closes_at - found.opens_at) / minute)
    offsets = range(length) if length < 5760 else [*range(2880), *range(length - 2880, length)]
    assert all(is_inside(window, zones, found.opens_at + n * minute) for n in offsets)
    # it is the earliest: between now and its opening there is no minute inside (of the last nine days before it)
    gap = int((found.opens_at - start) / minute)
    assert not any(is_inside(window, zones, start + n * minute) for n in range(max(1, gap - 12960), gap))
    # it is as long as it can be, unless it was cut
    if found.closes_at - now < timedelta(days=7):
        assert not is_inside(window, zones, found.closes_at)
    if now - found.opens_at < timedelta(days=7):
        assert not is_inside(window, zones, found.opens_at - minute)


@settings(max_examples=80, deadline=None)
@given(window=windows(), zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True), now=instants)
def test_asking_again_inside_gives_the_same_close(window: SendWindow, zones: list[str], now: datetime) -> None:
    found = next_window(window, zones, now)
    if found is None or found.closes_at - found.opens_at > timedelta(days=7):
        return
    again = next_window(window, list(reversed(zones)), max(now, found.opens_at))
    assert again == found
    last = next_window(window, zones, found.closes_at - timedelta(microseconds=1))
    assert last == found
    after = next_window(window, zones, found.closes_at)
    assert after is None or after.opens_at > found.closes_at


@pytest.mark.parametrize(
    ("window", "zones", "now", "opens", "closes"),
    [
        # inside: the start of the containing interval, not now
        (window_of("08:00-20:00"), ["America/New_York"], "2026-06-10T18:00", "2026-06-10T12:00", "2026-06-11T00:00"),
        # spring forward: 08:00 is an hour earlier in UTC than the day before
        (window_of("08:00-20:00"), ["America/New_York"], "2026-03-07T02:00", "2026-03-07T13:00", "2026-03-08T01:00"),
        (window_of("08:00-20:00"), ["America/New_York"], "2026-03-08T02:00", "2026-03-08T12:00", "2026-03-09T00:00"),
        # fall back
        (window_of("08:00-20:00"), ["America/New_York"], "2026-11-01T02:00", "2026-11-01T13:00", "2026-11-02T01:00"),
        # the hour that does not exist is waited for until the next day
        (window_of("02:00-03:00"), ["America/New_York"], "2026-03-07T20:00", "2026-03-09T06:00", "2026-03-09T07:00"),
        # the hour that comes twice is open twice, without a break
        (window_of("01:00-02:00"), ["America/New_York"], "2026-11-01T00:00", "2026-11-01T05:00", "2026-11-01T07:00"),
        # half-hour zones
        (window_of("08:00-20:00"), ["Asia/Kolkata"], "2026-06-10T00:00", "2026-06-10T02:30", "2026-06-10T14:30"),
        # Lord Howe: +10:30 in winter, +11:00 in summer
        (window_of("08:00-20:00"), ["Australia/Lord_Howe"], "2026-07-01T12:00", "2026-07-01T21:30", "2026-07-02T09:30"),
        (window_of("08:00-20:00"), ["Australia/Lord_Howe"], "2026-12-01T12:00", "2026-12-01T21:00", "2026-12-02T09:00"),
        # the local weekday counts, not the UTC one: Saturday evening in Honolulu is Sunday in UTC
        (
            window_of("08:00-20:00", weekdays=frozenset({5})),
            ["Pacific/Honolulu"],
            "2026-06-14T03:00",
            "2026-06-13T18:00",
            "2026-06-14T06:00",
        ),
        # several zones: from 8 in Honolulu to 20 in New York
        (
            window_of("08:00-20:00"),
            ["America/New_York", "Pacific/Honolulu"],
            "2026-06-10T00:00",
            "2026-06-10T18:00",
            "2026-06-11T00:00",
        ),
        # Friday afternoon outside Monday to Friday's hours: over the weekend
        (
            window_of("10:00-11:00", "13:00-14:00", weekdays=frozenset(range(5))),
            ["Europe/London"],
            "2026-06-12T14:00",
            "2026-06-15T09:00",
            "2026-06-15T10:00",
        ),
    ],
)
def test_known_days(window: SendWindow, zones: list[str], now: str, opens: str, closes: str) -> None:
    assert next_window(window, zones, utc(now)) == Interval(utc(opens), utc(closes))


def test_a_closing_instant_is_outside() -> None:
    window = window_of("08:00-20:00")
    closing = utc("2026-06-11T00:00")
    found = next_window(window, ["America/New_York"], closing)
    assert found == Interval(utc("2026-06-11T12:00"), utc("2026-06-12T00:00"))
    assert found.contains(found.opens_at)
    assert not found.contains(found.closes_at)


def test_unknown_zone_holds() -> None:
    assert next_window(window_of("08:00-20:00"), (), utc("2026-06-10T18:00"), country="US") is None


def test_unknown_zone_by_intersection_suits_alaska_and_hawaii() -> None:
    window = window_of("08:00-20:00", rule=UnknownTimeZone.INTERSECTION)
    found = next_window(window, (), utc("2026-06-10T12:00"), country="US")
    assert found == Interval(utc("2026-06-10T18:00"), utc("2026-06-11T00:00"))  # 8 in Honolulu, 20 in New York
    winter = next_window(window, (), utc("2026-01-10T12:00"), country="US")
    assert winter == Interval(utc("2026-01-10T18:00"), utc("2026-01-11T01:00"))
    assert zones_to_respect(window, (), "US") == zones_of_country("US")
    # a country nobody knows gives no zones to suit
    assert next_window(window, (), utc("2026-06-10T12:00")) is None
    assert next_window(window, (), utc("2026-06-10T12:00"), country="XX") is None
    # evidence beats the rule
    assert zones_to_respect(window, ["Asia/Kolkata"], "US") == ("Asia/Kolkata",)


def test_a_candidate_that_is_no_zone_can_not_be_shown_to_be_inside() -> None:
    assert next_window(window_of("00:00-24:00"), ["America/New_York", "Mars/Olympus"], utc("2026-06-10T18:00")) is None


def test_zones_too_far_apart_never_open_together() -> None:
    assert next_window(window_of("09:00-12:00"), ["America/New_York", "Asia/Kolkata"], utc("2026-06-10T18:00")) is None


def test_zones_that_meet_only_in_one_season() -> None:
    # New York and Kolkata are 9.5 hours apart in summer, 10.5 in winter
    window = window_of("08:00-18:00")
    found = next_window(window, ["America/New_York", "Asia/Kolkata"], utc("2026-11-05T00:00"))
    assert found == Interval(utc("2027-03-14T12:00"), utc("2027-03-14T12:30"))


def test_a_window_that_never_shuts_is_cut_a_week_or_more_ahead() -> None:
    now = utc("2026-06-10T18:00")
    found = next_window(window_of("00:00-24:00"), ["America/New_York"], now)
    assert found is not None
    assert found.contains(now)
    assert timedelta(days=7) <= found.closes_at - now <= timedelta(days=14)


def test_a_text_keeps_to_the_quiet_hours() -> None:
    wide = window_of("06:00-23:00")
    assert wide.for_channel(Channel.SMS) == window_of("08:00-21:00")
    assert wide.for_channel(Channel.EMAIL) == wide
    night = window_of("22:00-24:00").for_channel(Channel.SMS)
    assert night.hours == ()
    assert next_window(night, ["America/New_York"], utc("2026-06-10T18:00")) is None


def test_overlapping_hours_become_one() -> None:
    assert window_of("13:00-15:00", "08:00-12:00", "11:00-13:00").hours == (LocalHours(480, 900),)


@pytest.mark.parametrize(
    "text", ["8-20", "08:00", "20:00-08:00", "08:00-08:00", "08:60-09:00", "08:00-24:01", "25:00-26:00", ""]
)
def test_impossible_hours_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        LocalHours.parse(text)


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        next_window(window_of("08:00-20:00"), ["America/New_York"], datetime(2026, 6, 10))


def test_a_few_hundred_zone_sets_take_little_time() -> None:
    """A tick asks for every distinct set of candidate zones; 5 ms each would already be too slow to notice nothing."""
    window = window_of("08:00-20:00", weekdays=MON_TO_SAT)
    us = zones_of_country("US")
    sets = [(us[i % 29], us[(i * 7 + 3) % 29], us[(i // 29 * 5 + 1) % 29]) for i in range(300)]
    started = time.perf_counter()
    for zones in sets:
        assert next_window(window, zones, utc("2031-06-10T18:00")) is not None
    assert (time.perf_counter() - started) / len(sets) < 0.005
