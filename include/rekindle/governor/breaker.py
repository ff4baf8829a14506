"""A breaker that opens when a provider keeps refusing for reasons that are ours; a person closes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Protocol

from filelock import FileLock

from rekindle.vocabulary import ErrorClass


@dataclass(frozen=True, slots=True)
class BreakerState:
    """How many configuration errors came in a row, and since when sending stands still."""

    consecutive: int = 0
    opened_at: datetime | None = None
    reason: str | None = None

    @property
    def is_open(self) -> bool:
        return self.opened_at is not None


def after(state: BreakerState, error_class: ErrorClass | None, at: datetime, detail: str, limit: int) -> BreakerState:
    """The state after one answer (`None`: accepted). Pure.

    A configuration error counts; an acceptance, or a refusal of one address, shows that the account works and starts
    the count again; a transient or ambiguous answer says nothing about us. An open breaker stays open.
    """
    if state.is_open or error_class in (ErrorClass.TRANSIENT, ErrorClass.AMBIGUOUS):
        return state
    if error_class is not ErrorClass.CONFIGURATION:
        return BreakerState()
    counted = replace(state, consecutive=state.consecutive + 1)
    if counted.consecutive < limit:
        return counted
    return replace(counted, opened_at=at, reason=detail)


class BreakerStore(Protocol):
    """Keeps one breaker's state."""

    def load(self) -> BreakerState:
        """The state now."""
        ...

    def update(self, change: Callable[[BreakerState], BreakerState]) -> BreakerState:
        """Apply `change` and answer what it made, with nobody else's change in between."""
        ...


class InMemoryBreakerStore:
    """One process only."""

    def __init__(self) -> None:
        self._state = BreakerState()
        self._lock = Lock()

    def load(self) -> BreakerState:
        return self._state

    def update(self, change: Callable[[BreakerState], BreakerState]) -> BreakerState:
        with self._lock:
            self._state = change(self._state)
            return self._state


class FileBreakerStore:
    """One small file for every process of a machine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(f"{path}.lock")

    def load(self) -> BreakerState:
        if not self._path.exists():
            return BreakerState()
        content = json.loads(self._path.read_text())
        opened_at = content["opened_at"]
        return BreakerState(
            consecutive=content["consecutive"],
            opened_at=None if opened_at is None else datetime.fromisoformat(opened_at),
            reason=content["reason"],
        )

    def update(self, change: Callable[[BreakerState], BreakerState]) -> BreakerState:
        with self._lock:
            state = change(self.load())
            content = asdict(state) | {"opened_at": state.opened_at and state.opened_at.isoformat()}
            beside = self._path.with_suffix(".next")
            beside.write_text(json.dumps(content))
            beside.replace(self._path)
            return state


class CircuitBreaker:
    """Opens after `limit` configuration errors in a row."""

    def __init__(self, store: BreakerStore, limit: int = 5) -> None:
        if limit < 1:
            raise ValueError(f"a breaker opens after at least one error, not {limit}")
        self._store = store
        self._limit = limit

    def state(self) -> BreakerState:
        """The state now; ask before every batch."""
        return self._store.load()

    def record(self, error_class: ErrorClass | None, at: datetime, detail: str = "") -> BreakerState:
        """Take one answer into account (`None`: accepted) and answer the state after it."""
        return self._store.update(lambda state: after(state, error_class, at, detail, self._limit))

    def close(self) -> None:
        """Start again: what a person does after mending the cause."""
        self._store.update(lambda _: BreakerState())
