"""The governor: one rate per provider account, counted in the provider's own units, for all processes of a machine.

PyrateLimiter's sliding window decides; its SQLite bucket under a file lock is the shared memory. A waiting process
holds neither the lock nor a place: it asks again, so nobody waits behind a process that died.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from sqlite3 import Connection
from threading import RLock
from typing import Protocol, Self

from pyrate_limiter import AbstractBucket, InMemoryBucket, Rate, RateItem, SQLiteBucket

from rekindle.clock import Clock, SystemClock
from rekindle.errors import RekindleError

#: Every so many grants, rows that no window can see any more are deleted.
GRANTS_BETWEEN_CLEANINGS = 1_000


class RateUnavailableError(RekindleError):
    """The rate would not be free before the deadline; nothing may be sent now. Plan it again."""


@dataclass(frozen=True, slots=True)
class ProviderRate:
    """At most `units` in any `per_seconds`: messages or requests for e-mail, segments for texts."""

    units: int
    per_seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.units < 1 or self.per_seconds < 0.001:
            raise ValueError(f"a rate is at least 1 unit in at least a millisecond, not {self}")


class Pauses(Protocol):
    """Remembers until when an account must be left alone."""

    def until_ms(self) -> int:
        """The end of the pause, in milliseconds since 1970; 0 if there is none."""
        ...

    def extend_to_ms(self, until_ms: int) -> None:
        """Pause at least until then; a pause is never shortened."""
        ...


class InMemoryPauses:
    """One process only."""

    def __init__(self) -> None:
        self._until_ms = 0

    def until_ms(self) -> int:
        return self._until_ms

    def extend_to_ms(self, until_ms: int) -> None:
        self._until_ms = max(self._until_ms, until_ms)


class SqlitePauses:
    """One row in the bucket's own database; used under the governor's lock only."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        connection.execute("create table if not exists pauses (until_ms integer not null)").close()
        connection.commit()

    def until_ms(self) -> int:
        (until_ms,) = self._connection.execute("select coalesce(max(until_ms), 0) from pauses").fetchone()
        self._connection.commit()
        return int(until_ms)

    def extend_to_ms(self, until_ms: int) -> None:
        self._connection.execute("insert into pauses (until_ms) values (?)", (until_ms,)).close()
        self._connection.execute("delete from pauses where until_ms < (select max(until_ms) from pauses)").close()
        self._connection.commit()


class Governor:
    """Hands out a provider account's rate. Its clock must be the machine's: a provider's limits run in real time."""

    def __init__(
        self,
        rate: ProviderRate,
        bucket: AbstractBucket,
        pauses: Pauses,
        lock: AbstractContextManager[object],
        *,
        patience_seconds: float = 300.0,
        clock: Clock | None = None,
        wait: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._rate = rate
        self._bucket = bucket
        self._pauses = pauses
        self._lock = lock
        self._patience = timedelta(seconds=patience_seconds)
        self._clock = clock or SystemClock()
        self._wait = wait
        self._jitter = jitter
        self._grants = 0

    @classmethod
    def shared(
        cls,
        folder: Path,
        account: str,
        rate: ProviderRate,
        *,
        patience_seconds: float = 300.0,
        clock: Clock | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> Self:
        """The governor of `account` for every process that names the same `folder`. Make it after forking."""
        folder.mkdir(parents=True, exist_ok=True)
        # Hashed, so that an account's name can be anything and is not spelled out on the disk.
        name = hashlib.sha256(account.encode()).hexdigest()[:16]
        bucket = SQLiteBucket.init_from_file(
            [_window(rate)], db_path=str(folder / f"rate-{name}.sqlite"), use_file_lock=True
        )
        lock = bucket.lock
        with lock:
            pauses = SqlitePauses(bucket.conn)
        return cls(rate, bucket, pauses, lock, patience_seconds=patience_seconds, clock=clock, wait=wait)

    @classmethod
    def in_memory(
        cls,
        rate: ProviderRate,
        *,
        patience_seconds: float = 300.0,
        clock: Clock | None = None,
        wait: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> Self:
        """The double for tests and single-process use."""
        return cls(
            rate,
            InMemoryBucket([_window(rate)]),
            InMemoryPauses(),
            RLock(),
            patience_seconds=patience_seconds,
            clock=clock,
            wait=wait,
            jitter=jitter,
        )

    def acquire(self, units: int, deadline: datetime | None = None) -> None:
        """Return when `units` may be spent; raises `RateUnavailableError` if the deadline or our patience ends first.

        More than one window's worth is taken window by window: slower than asked for, never faster.
        """
        if units < 1:
            raise ValueError(f"nothing to acquire: {units} units")
        give_up_at = self._clock.now() + self._patience
        if deadline is not None:
            give_up_at = min(give_up_at, deadline)
        while units > 0:
            part = min(units, self._rate.units)
            self._take(part, give_up_at)
            units -= part

    def pause_until(self, seconds: float) -> None:
        """Nobody sends for the next `seconds`, in any process: what a provider's Retry-After asks for."""
        if seconds <= 0:
            return
        with self._lock:
            self._pauses.extend_to_ms(_ms(self._clock.now() + timedelta(seconds=seconds)))

    def close(self) -> None:
        """Let go of the shared file."""
        with self._lock:
            self._bucket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, units: int, give_up_at: datetime) -> None:
        while True:
            now, wait_ms = self._try(units)
            if wait_ms == 0:
                return
            # Up to a fifth more, so that processes which wait for the same moment do not all come at it.
            wait_seconds = wait_ms / 1000 * (1 + self._jitter() / 5)
            if now + timedelta(milliseconds=wait_ms) > give_up_at:
                raise RateUnavailableError(
                    f"{units} units would be free in {wait_ms / 1000:.1f} s, which is after the deadline"
                )
            self._wait(min(wait_seconds, max((give_up_at - now).total_seconds(), 0.001)))

    def _try(self, units: int) -> tuple[datetime, int]:
        """Take the units now and answer 0, or answer how many milliseconds to wait."""
        with self._lock:
            # Read under the lock: an older instant would free its place in the window too early.
            now = self._clock.now()
            pause_ms = self._pauses.until_ms() - _ms(now)
            if pause_ms > 0:
                return now, pause_ms
            item = RateItem("rekindle", _ms(now), weight=units)
            if not self._bucket.put(item):
                waiting = self._bucket.waiting(item)
                assert isinstance(waiting, int)
                return now, max(waiting, 1)
            self._grants += 1
            if self._grants % GRANTS_BETWEEN_CLEANINGS == 0:
                self._bucket.leak(_ms(now))
            return now, 0


def _window(rate: ProviderRate) -> Rate:
    return Rate(rate.units, round(rate.per_seconds * 1000))


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
