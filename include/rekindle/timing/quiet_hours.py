"""The local hours that a jurisdiction leaves for messages: reviewed data, `dbt_project/seeds/quiet_hours.csv`.

Tables of such rules contradict each other; what is shipped takes the narrower one. It is engineering input, not advice.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from rekindle.errors import ConfigurationError
from rekindle.project import project_root
from rekindle.timing.regions import regions_of_postal_code, regions_of_state
from rekindle.timing.send_window import WEEKDAYS, LocalHours, SendWindow, Week
from rekindle.timing.zones import country_code
from rekindle.vocabulary import Channel

SEED = Path("dbt_project") / "seeds" / "quiet_hours.csv"


@dataclass(frozen=True)
class QuietHours:
    """Jurisdiction and channel → the hours that are left on each weekday."""

    weeks: Mapping[tuple[str, Channel], Week] = field(default_factory=dict)

    def limit(
        self,
        window: SendWindow,
        channel: Channel,
        country: str | None,
        state: str | None = None,
        postal_code: str | None = None,
    ) -> SendWindow:
        """What the rules of every place the lead may be in leave of a window: country, state, and postal code."""
        code = country_code(country)
        places = [code, *regions_of_state(code, state), *regions_of_postal_code(code, postal_code)]
        limited = window.for_channel(channel)
        for place in dict.fromkeys(places):
            week = self.weeks.get((place, channel))
            limited = limited.within_week(week) if week else limited
        return limited


def read_quiet_hours(path: Path) -> QuietHours:
    """Read and check a table of quiet hours. Raises `ConfigurationError` naming the line."""
    hours: dict[tuple[str, Channel], list[list[LocalHours]]] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            try:
                week = hours.setdefault((row["jurisdiction"].upper(), Channel(row["channel"])), [[] for _ in WEEKDAYS])
                stretch = LocalHours.parse(f"{row['may_write_from']}-{row['may_write_until']}")
                for day in row["weekdays"].split():
                    week[WEEKDAYS.index(day)].append(stretch)
            except (KeyError, ValueError, AttributeError) as error:
                raise ConfigurationError(
                    f"{path.name}:{line}: {error}; a row is jurisdiction, channel, weekdays (mon tue …),"
                    " may_write_from, may_write_until (08:00), source"
                ) from error
    return QuietHours({place: tuple(tuple(day) for day in week) for place, week in hours.items()})


@cache
def quiet_hours() -> QuietHours:
    """The project's own table."""
    return read_quiet_hours(project_root() / SEED)
