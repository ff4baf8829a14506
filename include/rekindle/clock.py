"""The one place that reads the time. Everything else is handed a clock or an instant.

Instants are timezone-aware UTC `datetime`s in Python and UTC without a zone in the warehouse.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

CLOCK_FILE_VARIABLE = "REKINDLE_CLOCK_FILE"


class Clock(Protocol):
    """Tells the instant it is now, in UTC."""

    def now(self) -> datetime:
        """The current instant, timezone-aware, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SteppedClock:
    """A clock that stands still until somebody steps it: the demonstration's logical time.

    The instant is one ISO 8601 line in a file, so that every process of a stack reads the same time.
    Stepping is atomic (write beside, then rename) and never goes backwards.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def now(self) -> datetime:
        return datetime.fromisoformat(self.path.read_text().strip()).astimezone(UTC)

    def step_to(self, instant: datetime) -> None:
        """Move to `instant`; raises `ValueError` if that is in this clock's past."""
        if self.path.exists() and instant < self.now():
            raise ValueError(f"the clock stands at {self.now().isoformat()} and can not go back to {instant}")
        beside = self.path.with_suffix(".next")
        beside.write_text(instant.astimezone(UTC).isoformat())
        beside.replace(self.path)


def clock_from_environment() -> Clock:
    """The stepped clock named by `REKINDLE_CLOCK_FILE`, else the machine's."""
    path = os.environ.get(CLOCK_FILE_VARIABLE)
    return SteppedClock(Path(path)) if path else SystemClock()
