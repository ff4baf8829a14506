"""Where an account's state lives: in memory, in one SQLite file of a machine, or in Redis or PostgreSQL for several.

A store does one thing: change a state with nobody else's change in between. What a change means is not its business.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from threading import RLock
from typing import Any, Protocol, TypeVar

from rekindle.errors import ConfigurationError, RekindleError
from rekindle.governor.state import AccountState

Answer = TypeVar("Answer")

#: Answers a new state and something to tell; may be called more than once, so it changes nothing itself.
Change = Callable[[AccountState], tuple[AccountState, Answer]]

#: Seconds a store may keep us waiting before it counts as gone.
STORE_PATIENCE_SECONDS = 10.0


class StoreUnavailableError(RekindleError):
    """The shared state can not be read or written."""


class AccountStore(Protocol):
    """Keeps the states of accounts."""

    def load(self, account: str) -> AccountState:
        """The state now; a new one for an account never seen."""
        ...

    def update(self, account: str, change: Change[Answer]) -> Answer:
        """Apply `change` and answer what it told; raises `StoreUnavailableError`."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class InMemoryStore:
    """One process only."""

    def __init__(self) -> None:
        self._states: dict[str, AccountState] = {}
        self._lock = RLock()

    def load(self, account: str) -> AccountState:
        with self._lock:
            return self._states.get(account, AccountState())

    def update(self, account: str, change: Change[Answer]) -> Answer:
        with self._lock:
            self._states[account], answer = change(self.load(account))
            return answer

    def close(self) -> None:
        self._states.clear()


class SqliteStore:
    """One file for every process of a machine; the file must be on a local disk. Make it after forking."""

    def __init__(self, path: Path) -> None:
        self._lock = RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=STORE_PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("pragma journal_mode = wal").close()
            self._connection.execute("pragma synchronous = normal").close()
            self._connection.execute(
                "create table if not exists accounts (account text primary key, state text not null)"
            ).close()
        except (OSError, sqlite3.Error) as error:
            raise StoreUnavailableError(f"the governor's file {path} can not be used ({error})") from error

    def load(self, account: str) -> AccountState:
        with self._lock:
            try:
                return self._read(account)
            except sqlite3.Error as error:
                raise StoreUnavailableError(f"the governor's file can not be read ({error})") from error

    def update(self, account: str, change: Change[Answer]) -> Answer:
        with self._lock:
            try:
                self._connection.execute("begin immediate").close()
                try:
                    before = self._read(account)
                    after, answer = change(before)
                    if after != before:
                        self._connection.execute(
                            "insert or replace into accounts values (?, ?)", (account, after.model_dump_json())
                        ).close()
                except BaseException:
                    self._connection.execute("rollback").close()
                    raise
                self._connection.execute("commit").close()
                return answer
            except sqlite3.Error as error:
                raise StoreUnavailableError(f"the governor's file can not be written ({error})") from error

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _read(self, account: str) -> AccountState:
        row = self._connection.execute("select state from accounts where account = ?", (account,)).fetchone()
        return AccountState() if row is None else AccountState.model_validate_json(row[0])


class RedisStore:
    """One key per account, changed optimistically (WATCH, then MULTI): whoever was overtaken looks again."""

    def __init__(self, url: str) -> None:
        self._redis = _driver("redis", "redis://", "redis")
        self._client = self._redis.Redis.from_url(
            url,
            decode_responses=True,
            protocol=2,  # every Redis and its kin speak it
            socket_timeout=STORE_PATIENCE_SECONDS,
            socket_connect_timeout=STORE_PATIENCE_SECONDS,
        )

    def load(self, account: str) -> AccountState:
        try:
            return _decoded(self._client.get(_redis_key(account)))
        except self._redis.RedisError as error:
            raise StoreUnavailableError(f"the governor's Redis can not be read ({type(error).__name__})") from error

    def update(self, account: str, change: Change[Answer]) -> Answer:
        key = _redis_key(account)

        def attempt(pipeline: Any) -> Answer:
            before = _decoded(pipeline.get(key))
            after, answer = change(before)
            pipeline.multi()
            if after != before:
                pipeline.set(key, after.model_dump_json())
            return answer

        try:
            told: Answer = self._client.transaction(attempt, key, value_from_callable=True)
        except self._redis.RedisError as error:
            raise StoreUnavailableError(f"the governor's Redis can not be written ({type(error).__name__})") from error
        return told

    def close(self) -> None:
        self._client.close()


class PostgresStore:
    """One row per account in `rekindle_governor_accounts`, locked while it changes."""

    def __init__(self, url: str) -> None:
        self._psycopg = _driver("psycopg", "postgresql://", "psycopg[binary]")
        self._lock = RLock()
        try:
            self._connection = self._psycopg.connect(url, autocommit=True, connect_timeout=int(STORE_PATIENCE_SECONDS))
            with self._connection.transaction():
                # Two processes that create the table at once would collide in the catalogue.
                self._connection.execute("select pg_advisory_xact_lock(hashtext('rekindle_governor_accounts'))")
                self._connection.execute(
                    "create table if not exists rekindle_governor_accounts"
                    " (account text primary key, state text not null)"
                )
        except self._psycopg.Error as error:
            raise StoreUnavailableError(
                f"the governor's PostgreSQL can not be used ({type(error).__name__})"
            ) from error

    def load(self, account: str) -> AccountState:
        return self.update(account, lambda state: (state, state))

    def update(self, account: str, change: Change[Answer]) -> Answer:
        with self._lock:
            try:
                with self._connection.transaction():
                    self._connection.execute(
                        "insert into rekindle_governor_accounts values (%s, %s) on conflict do nothing",
                        (account, AccountState().model_dump_json()),
                    )
                    row = self._connection.execute(
                        "select state from rekindle_governor_accounts where account = %s for update", (account,)
                    ).fetchone()
                    before = _decoded(row[0])
                    after, answer = change(before)
                    if after != before:
                        self._connection.execute(
                            "update rekindle_governor_accounts set state = %s where account = %s",
                            (after.model_dump_json(), account),
                        )
            except self._psycopg.Error as error:
                raise StoreUnavailableError(
                    f"the governor's PostgreSQL can not be used ({type(error).__name__})"
                ) from error
            return answer

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def open_store(url: str) -> AccountStore:
    """The store a URL names: `sqlite:///path`, `redis://…`, `rediss://…` or `postgresql://…`.

    Raises `ConfigurationError` for any other, or when the driver is not installed. A URL may hold a password: it is
    never repeated in a message.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return SqliteStore(Path(rest[1:]))
    if separator and scheme in ("redis", "rediss", "unix"):
        return RedisStore(url)
    if separator and scheme in ("postgresql", "postgres"):
        return PostgresStore(url)
    raise ConfigurationError(
        f"REKINDLE_GOVERNOR_STORE begins with {scheme!r}; it must be"
        " sqlite:///file (relative), sqlite:////absolute/file, redis://host:port/0 or postgresql://user@host/database"
        if separator
        else "REKINDLE_GOVERNOR_STORE is not a URL: sqlite:////absolute/file, redis://… or postgresql://…"
    )


def _driver(module: str, scheme: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f"REKINDLE_GOVERNOR_STORE is {scheme}…, which needs the Python package {package!r}: install it on every"
            " machine that sends, or use sqlite:///… if only one does"
        ) from error


def _redis_key(account: str) -> str:
    return f"rekindle:governor:{account}"


def _decoded(text: str | None) -> AccountState:
    return AccountState() if text is None else AccountState.model_validate_json(text)
