"""When a holiday is: a date, a weekday of a month, or so many days from Easter, each in every year."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

from dateutil.easter import easter

from rekindle.timing.send_window import WEEKDAYS

_RULE = re.compile(
    r"(?:(?P<month>\d\d)-(?P<day>\d\d)|(?P<nth>[1-4]|last) (?P<weekday>[a-z]{3}) (?P<of_month>\d\d)|easter)"
    r"(?P<days_later>[+-]\d{1,3})?"
)
_SATURDAY, _SUNDAY = 5, 6


@dataclass(frozen=True, slots=True)
class Holiday:
    """One day of every year, written `12-25`, `4 thu 11`, `last mon 05`, `easter+1` or `4 thu 11+1`.

    `is_observed`: on a Saturday the Friday before is one too, on a Sunday the Monday after (5 USC 6103(b)).
    """

    occurs: str
    is_observed: bool = False

    def __post_init__(self) -> None:
        found = _RULE.fullmatch(self.occurs)
        if found is None or (found["weekday"] and found["weekday"] not in WEEKDAYS):
            raise ValueError(f"`{self.occurs}` is no day; write 12-25, 4 thu 11, last mon 05, easter+1 or 4 thu 11+1")
        date(2024, int(found["month"] or found["of_month"] or 1), int(found["day"] or 1))  # a leap year has every day

    def dates(self, year: int) -> tuple[date, ...]:
        """The days off in a year, one or two; none where 29 February is not."""
        found = _RULE.fullmatch(self.occurs)
        assert found is not None
        if found["month"] and int(found["day"]) > monthrange(year, int(found["month"]))[1]:
            return ()
        if found["month"]:
            day = date(year, int(found["month"]), int(found["day"]))
        elif found["nth"]:
            day = _nth_weekday(year, int(found["of_month"]), found["nth"], WEEKDAYS.index(found["weekday"]))
        else:
            day = easter(year)
        day += timedelta(days=int(found["days_later"] or 0))
        moved = {_SATURDAY: -1, _SUNDAY: 1}.get(day.weekday()) if self.is_observed else None
        return (day,) if moved is None else (day, day + timedelta(days=moved))


def _nth_weekday(year: int, month: int, nth: str, weekday: int) -> date:
    last_day = monthrange(year, month)[1]
    first = 1 + (weekday - date(year, month, 1).weekday()) % 7
    days = range(first, last_day + 1, 7)
    return date(year, month, days[-1] if nth == "last" else days[int(nth) - 1])
