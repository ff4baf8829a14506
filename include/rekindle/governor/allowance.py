"""How much one sender may send in a UTC day: a daily cap, and a warm-up that grows to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta


@dataclass(frozen=True, slots=True)
class Allowance:
    """Units a UTC day of the logical clock. A day and not 24 rolling hours: providers state warm-ups by the day, and a
    run that comes ten minutes earlier than yesterday's must not find yesterday's units still spent.
    """

    daily_cap: int | None = None
    #: Day by day from `warm_up_starts`; after the last the cap alone holds.
    warm_up: tuple[int, ...] = ()
    warm_up_starts: date | None = None

    def __post_init__(self) -> None:
        if self.daily_cap is not None and self.daily_cap < 1:
            raise ValueError(f"a daily cap is at least 1 unit, not {self.daily_cap}")
        if any(units < 1 for units in self.warm_up):
            raise ValueError(f"each day of a warm-up has at least 1 unit, not {self.warm_up}")
        if bool(self.warm_up) != (self.warm_up_starts is not None):
            raise ValueError("a warm-up needs both its curve and the day it starts")

    def warm_up_day(self, day: date) -> int | None:
        """Which day of the warm-up it is, from 1; none when there is none or it is over. Before it starts it is day 1:
        a cold sender is not warmer for being early.
        """
        if self.warm_up_starts is None:
            return None
        number = max((day - self.warm_up_starts).days + 1, 1)
        return number if number <= len(self.warm_up) else None

    def on(self, day: date) -> int | None:
        """Units of `day`; none for no limit."""
        number = self.warm_up_day(day)
        limits = [limit for limit in (self.daily_cap, self.warm_up[number - 1] if number else None) if limit]
        return min(limits, default=None)


def utc_day(instant: datetime) -> date:
    """The UTC day of an instant."""
    return instant.astimezone(UTC).date()


def next_day(instant: datetime) -> datetime:
    """When the next UTC day begins."""
    return datetime.combine(utc_day(instant) + timedelta(days=1), time(), UTC)
