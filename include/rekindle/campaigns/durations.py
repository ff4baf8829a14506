"""Durations as campaign files write them: `90m`, `72h`, `3d`, `2w`."""

from __future__ import annotations

import re
from datetime import timedelta

PATTERN = r"^([0-9]+)(m|h|d|w)$"
LONGEST = timedelta(days=366)  # longer than any consent's clock: a typing error

_UNITS = {"w": timedelta(weeks=1), "d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}


def parse_duration(text: str) -> timedelta:
    """Read one duration; raises `ValueError` saying what is wrong with it."""
    match = re.fullmatch(PATTERN, text.strip())
    if match is None:
        raise ValueError("a duration is a whole number and a unit: 90m, 72h, 3d or 2w")
    count, unit = int(match[1]), _UNITS[match[2]]
    if not count:
        raise ValueError("a duration must be longer than nothing")
    if count > LONGEST // unit:
        raise ValueError(f"a duration is at most {LONGEST.days} days")
    return count * unit


def parse_signed_duration(text: str) -> timedelta:
    """Read `-3d`, `3d` or `+3d`; raises `ValueError` saying what is wrong with it."""
    sign = -1 if text.strip().startswith("-") else 1
    return sign * parse_duration(text.strip().removeprefix("-").removeprefix("+"))


def format_signed_duration(duration: timedelta) -> str:
    """The one spelling of a duration with a sign."""
    return f"-{format_duration(-duration)}" if duration < timedelta() else format_duration(duration)


def format_duration(duration: timedelta) -> str:
    """The one spelling of a duration: 72h and 3d are both `3d`."""
    unit = next(unit for unit in ("d", "h", "m") if not duration % _UNITS[unit])
    return f"{duration // _UNITS[unit]}{unit}"
