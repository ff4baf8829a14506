"""The CDNOW log: 69,659 real purchases of 23,570 customers of an online music shop, 1997-01-01 to 1998-06-30.

Published by Fader and Hardie ("Forecasting Repeat Sales at CDNOW", Interfaces 31, 2001); the file is part of the
MIT-licensed package `lifetimes`. Nothing of that package is imported: it does not run on the pandas of today.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from rekindle.errors import ConfigurationError
from rekindle.identity import stable_id

CDNOW_LAST_DAY = date(1998, 6, 30)
EVENT_TYPE = "purchase"
SOURCE_FILE = "CDNOW_master.csv"
DESCRIPTION = "CDNOW: real purchases of an online music shop, 1997-01-01 to 1998-06-30 (Fader & Hardie)"
_COLUMNS = ("event_id", "user_id", "event_type", "occurred_at", "properties")
_SHOP_OPENS_AT = 12 * 60 * 60  # seconds after midnight UTC: breakfast time in the United States
_SHOP_IS_OPEN_FOR = 12 * 60 * 60  # seconds


@dataclass(frozen=True)
class MovedLog:
    """The log as it was written: how far its days were moved."""

    path: Path
    weeks_moved: int
    last_day: date


def cdnow_file() -> Path:
    """Where the installed package keeps the log."""
    try:
        path = Path(str(distribution("lifetimes").locate_file("lifetimes/datasets/CDNOW_master.txt")))
    except PackageNotFoundError:
        path = Path()
    if not path.is_file():
        raise ConfigurationError(
            "the built-in log is part of the package `lifetimes`, which is not installed. "
            "Run `pip install -r requirements.txt`, or give an event log of your own."
        )
    return path


def write_cdnow_events(folder: Path, ends_by: date) -> MovedLog:
    """Write the log as an event file, line by line, moved by whole weeks so that it ends on or just before `ends_by`.

    The original has days only: the time of day is made up from the purchase's id, and says so.
    """
    weeks = (ends_by - CDNOW_LAST_DAY).days // 7
    moved_by = timedelta(weeks=weeks)
    target = folder / SOURCE_FILE
    days: dict[str, str] = {}
    seen: Counter[tuple[str, str]] = Counter()
    with cdnow_file().open(encoding="ascii") as original, target.open("w", encoding="utf-8", newline="") as moved:
        writer = csv.writer(moved)
        writer.writerow(_COLUMNS)
        next(original)
        for line in original:
            customer, day, cds, dollars = line.split()
            seen[customer, day] += 1
            # two purchases on one day are two events
            event_id = stable_id("cdnow", customer, day, str(seen[customer, day]))
            if day not in days:
                days[day] = (date.fromisoformat(day) + moved_by).isoformat()
            properties = {"cds": int(cds), "dollars": float(dollars), "time_of_day_made_up": True}
            occurred_at = f"{days[day]}T{_time_of_day(event_id)}Z"
            writer.writerow((event_id, customer, EVENT_TYPE, occurred_at, json.dumps(properties)))
    return MovedLog(target, weeks, CDNOW_LAST_DAY + moved_by)


def _time_of_day(event_id: str) -> str:
    # the id is a hash, so its first digits are as good a draw as any
    seconds = _SHOP_OPENS_AT + int(event_id[:8], 16) % _SHOP_IS_OPEN_FOR
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
