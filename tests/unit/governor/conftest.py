"""A clock that passes only by waiting, and stores of every kind."""

from __future__ import annotations

import socketserver
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rekindle.governor import stores
from rekindle.governor.stores import AccountStore, InMemoryStore, RedisStore, SqliteStore, open_store

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class WaitingClock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.instant = START

    def now(self) -> datetime:
        return self.instant

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.instant += timedelta(seconds=seconds)

    @property
    def passed(self) -> float:
        return (self.instant - START).total_seconds()


@pytest.fixture
def new_clock() -> type[WaitingClock]:
    return WaitingClock


@pytest.fixture
def clock() -> WaitingClock:
    return WaitingClock()


class SmallRedis(socketserver.ThreadingTCPServer):
    """The commands our store uses, over TCP as Redis answers them, WATCH and EXEC included: there is no Redis server on
    every machine that runs the tests, and the client is the real one.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.versions: dict[bytes, int] = {}
        self.lock = threading.Lock()
        self.aborted = 0
        super().__init__(("127.0.0.1", 0), _Connection)

    @property
    def url(self) -> str:
        return f"redis://:a-password@127.0.0.1:{self.server_address[1]}/0"


class _Connection(socketserver.StreamRequestHandler):
    server: SmallRedis
    disable_nagle_algorithm = True

    def handle(self) -> None:
        self.watched: dict[bytes, int] = {}
        self.queued: list[list[bytes]] | None = None
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                length = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(length + 2)[:-2])
            self.wfile.write(self.answer(words[0].upper(), words))

    def answer(self, command: bytes, words: list[bytes]) -> bytes:
        if command == b"EXEC":
            return self.execute()
        if command == b"MULTI":
            self.queued = []
            return b"+OK\r\n"
        if self.queued is not None:
            self.queued.append(words)
            return b"+QUEUED\r\n"
        if command == b"WATCH":
            self.watched = {key: self.server.versions.get(key, 0) for key in words[1:]}
        return self.apply(command, words)

    def execute(self) -> bytes:
        queued, self.queued = self.queued or [], None
        with self.server.lock:
            if any(self.server.versions.get(key, 0) != version for key, version in self.watched.items()):
                self.server.aborted += 1
                return b"*-1\r\n"
            answers = [self.apply(words[0].upper(), words) for words in queued]
        return b"*%d\r\n" % len(answers) + b"".join(answers)

    def apply(self, command: bytes, words: list[bytes]) -> bytes:
        if command == b"GET":
            value = self.server.values.get(words[1])
            return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)
        if command == b"SET":
            self.server.values[words[1]] = words[2]
            self.server.versions[words[1]] = self.server.versions.get(words[1], 0) + 1
        return b"+OK\r\n"


@pytest.fixture
def small_redis() -> Iterator[SmallRedis]:
    with SmallRedis() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


class SmallPsycopg:
    """What our store uses of psycopg, on a SQLite file: neither the driver nor a server is on every machine that runs
    the tests. It shows that a change is one transaction and that errors are told; the SQL was tried on PostgreSQL 15.
    """

    Error = sqlite3.Error

    def __init__(self, path: Path) -> None:
        self._path = path

    def connect(self, url: str, **options: Any) -> SmallPsycopg:
        other = SmallPsycopg(self._path)
        other._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=10)
        other.execute("pragma synchronous = off")
        return other

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._connection.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._connection.execute("rollback")
            raise
        self._connection.execute("commit")

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        if "pg_advisory" in sql:
            return self._connection.execute("select 1")
        return self._connection.execute(sql.replace("%s", "?").replace(" for update", ""), values)

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def small_psycopg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver a PostgreSQL store finds."""
    monkeypatch.setattr(stores, "import_module", lambda name: SmallPsycopg(tmp_path / "postgres.sqlite"))


@pytest.fixture(params=["in_memory", "sqlite", "redis", "postgres"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], AccountStore]]:
    """Opens a store of each kind; all of one test share what they keep."""
    opened: list[Any] = []
    one = InMemoryStore()
    small_redis = request.getfixturevalue("small_redis") if request.param == "redis" else None
    if request.param == "postgres":
        request.getfixturevalue("small_psycopg")

    def open_one() -> AccountStore:
        if request.param == "in_memory":
            opened.append(one)
        elif small_redis is not None:
            opened.append(RedisStore(small_redis.url))
        elif request.param == "postgres":
            opened.append(open_store("postgresql://u@host/db"))
        else:
            opened.append(SqliteStore(tmp_path / "governor" / "governor.sqlite"))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()
