from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from rekindle.governor.allowance import Allowance, next_day, utc_day

FIRST = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("day", "number", "units"),
    [
        (FIRST - timedelta(days=3), 1, 50),  # early is not warm
        (FIRST, 1, 50),
        (FIRST + timedelta(days=1), 2, 100),
        (FIRST + timedelta(days=2), 3, 400),  # the cap is lower than the curve
        (FIRST + timedelta(days=3), None, 400),  # the curve is over
        (FIRST + timedelta(days=300), None, 400),
    ],
)
def test_a_warm_up_grows_day_by_day_to_the_cap(day, number, units):
    allowance = Allowance(daily_cap=400, warm_up=(50, 100, 500), warm_up_starts=FIRST)
    assert (allowance.warm_up_day(day), allowance.on(day)) == (number, units)


def test_without_cap_and_curve_there_is_no_limit():
    assert (Allowance().on(FIRST), Allowance().warm_up_day(FIRST)) == (None, None)
    assert Allowance(warm_up=(50,), warm_up_starts=FIRST).on(FIRST + timedelta(days=1)) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"daily_cap": 0},
        {"warm_up": (50, 0), "warm_up_starts": FIRST},
        {"warm_up": (50,)},
        {"warm_up_starts": FIRST},
    ],
)
def test_an_allowance_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=r"warm-up|daily cap"):
        Allowance(**wrong)


def test_days_are_utc_days_whatever_the_zone_of_the_instant():
    evening_in_new_york = datetime(2026, 3, 1, 22, tzinfo=timezone(timedelta(hours=-5)))
    assert utc_day(evening_in_new_york) == date(2026, 3, 2)
    assert next_day(evening_in_new_york) == datetime(2026, 3, 3, tzinfo=UTC)
    assert next_day(datetime(2026, 3, 1, tzinfo=UTC)) == datetime(2026, 3, 2, tzinfo=UTC)
