"""Logical time: what is due when, and in which order."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count


class Timeline:
    """Actions by their due instant (unix seconds); equal instants keep the order they were scheduled in."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()

    def at(self, due: int, action: Callable[[], None]) -> None:
        """Have `action` done at `due`; it may schedule more."""
        heapq.heappush(self._heap, (due, next(self._order), action))

    def run_until(self, now: int) -> None:
        """Do everything due at or before `now`, in due order, including what becomes due on the way."""
        while self._heap and self._heap[0][0] <= now:
            heapq.heappop(self._heap)[2]()

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_due(self) -> datetime | None:
        return datetime.fromtimestamp(self._heap[0][0], UTC) if self._heap else None
