"""The local hours that a jurisdiction leaves for messages, and the holidays on which it leaves none: reviewed data,
`quiet_hours.csv` and `quiet_holidays.csv` of `dbt_project/seeds`.

Tables of such rules contradict each other; what is shipped takes the narrower one. It is engineering input, not advice.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from pathlib import Path

from rekindle.errors import ConfigurationError
from rekindle.project import project_root
from rekindle.timing.holidays import Holiday
from rekindle.timing.regions import regions_of_postal_code, regions_of_state
from rekindle.timing.send_window import WEEKDAYS, LocalHours, SendWindow, Week
from rekindle.timing.zones import countries_of_zones, country_code
from rekindle.vocabulary import Channel

SEEDS = Path("dbt_project") / "seeds"
HOURS, HOLIDAYS = "quiet_hours.csv", "quiet_holidays.csv"


@dataclass(frozen=True)
class QuietHours:
    """Jurisdiction and channel → the hours that are left on each weekday, and the holidays without any."""

    weeks: Mapping[tuple[str, Channel], Week] = field(default_factory=dict)
    holidays: Mapping[tuple[str, Channel], tuple[Holiday, ...]] = field(default_factory=dict)

    def limit(
        self,
        window: SendWindow,
        channel: Channel,
        country: str | None,
        state: str | None = None,
        postal_code: str | None = None,
        *,
        zones: Sequence[str] = (),
        on: date,
    ) -> SendWindow:
        """What the rules of every place the lead may be in leave of a window: country, state, postal code, and the
        countries of the time zones she may be in.

        Holidays are those of the year before `on` and the two after: no window is looked for later than that.
        """
        code = country_code(country)
        places = [code, *regions_of_state(code, state), *regions_of_postal_code(code, postal_code)]
        places += countries_of_zones(zones)
        limited = window.for_channel(channel)
        for place in dict.fromkeys(places):
            week = self.weeks.get((place, channel))
            limited = limited.within_week(week) if week else limited
            days_off = _days_off(self.holidays.get((place, channel), ()), on.year)
            limited = replace(limited, blackouts=limited.blackouts + days_off) if days_off else limited
        return limited


@cache
def _days_off(holidays: tuple[Holiday, ...], year: int) -> tuple[tuple[date, date], ...]:
    days = {day for near in range(year - 1, year + 3) for holiday in holidays for day in holiday.dates(near)}
    return tuple((day, day) for day in sorted(days))


def read_quiet_hours(path: Path) -> QuietHours:
    """Read and check a table of quiet hours. Raises `ConfigurationError` naming the line."""
    hours: dict[tuple[str, Channel], list[list[LocalHours]]] = {}

    def take(row: dict[str, str]) -> None:
        week = hours.setdefault((row["jurisdiction"].upper(), Channel(row["channel"])), [[] for _ in WEEKDAYS])
        stretch = LocalHours.parse(f"{row['may_write_from']}-{row['may_write_until']}")
        for day in row["weekdays"].split():
            week[WEEKDAYS.index(day)].append(stretch)

    _read(path, take, "jurisdiction, channel, weekdays (mon tue …), may_write_from, may_write_until (08:00), source")
    return QuietHours({place: tuple(tuple(day) for day in week) for place, week in hours.items()})


def read_quiet_holidays(path: Path) -> dict[tuple[str, Channel], tuple[Holiday, ...]]:
    """Read and check a table of holidays. Raises `ConfigurationError` naming the line."""
    found: dict[tuple[str, Channel], tuple[Holiday, ...]] = {}

    def take(row: dict[str, str]) -> None:
        if row["observed"] not in ("yes", ""):
            raise ValueError(f"`{row['observed']}` is neither yes nor empty")
        holiday = Holiday(row["occurs"], row["observed"] == "yes")
        for jurisdiction in row["jurisdictions"].upper().split():
            place = jurisdiction, Channel(row["channel"])
            found[place] = (*found.get(place, ()), holiday)

    _read(path, take, "jurisdictions (US-AL US-LA …), channel, occurs (4 thu 11), observed (yes or empty), source")
    return found


def _read(path: Path, take: Callable[[dict[str, str]], None], columns: str) -> None:
    with path.open(newline="", encoding="utf-8-sig") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            try:
                take(row)
            except (KeyError, ValueError, AttributeError, TypeError) as error:
                raise ConfigurationError(f"{path.name}:{line}: {error}; a row is {columns}") from error


@cache
def quiet_hours() -> QuietHours:
    """The project's own tables."""
    seeds = project_root() / SEEDS
    return replace(read_quiet_hours(seeds / HOURS), holidays=read_quiet_holidays(seeds / HOLIDAYS))


def lint_quiet_hours(seeds: Path) -> list[str]:
    """What keeps the tables of a folder from being used, the first of each: `file:line: error: …`."""
    complaints = []
    for table, read in ((HOURS, read_quiet_hours), (HOLIDAYS, read_quiet_holidays)):
        try:
            read(seeds / table)
        except ConfigurationError as error:
            place, _, told = str(error).partition(": ")
            complaints.append(f"{seeds.parent.name}/{seeds.name}/{place}: error: {told}")
    return complaints
