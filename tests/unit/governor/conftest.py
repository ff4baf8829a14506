"""A clock that passes only by waiting, and stores of every kind."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import socketserver
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import psycopg
import pytest
import redis

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


def missing(what: str) -> NoReturn:
    """Skip on a machine that lacks something; in CI nothing may be missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is not installed, and CI proves the governor on it")
    pytest.skip(f"{what} is not installed")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def serving(command: list[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A server process that ends with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def wait_until(answers: Callable[[], object], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            answers()
            return
        except Exception as error:  # noqa: BLE001 - each driver has its own, and all mean: not yet
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server did not start ({error}): {log.read_text()}") from None
            time.sleep(0.05)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real Redis that keeps nothing."""
    program = shutil.which("redis-server") or missing("redis-server")
    folder, port = tmp_path_factory.mktemp("redis"), free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    url = f"redis://127.0.0.1:{port}/0"
    with serving(command, folder / "log") as process, redis.Redis.from_url(url) as client:
        wait_until(client.ping, process, folder / "log")
        yield url


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a real PostgreSQL, served by a user of its own where the tests run as root, whom it refuses."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    search = os.pathsep.join([os.environ.get("PATH", ""), *map(str, reversed(versions))])
    programs = [shutil.which(name, path=search) or missing(f"PostgreSQL's {name}") for name in ("initdb", "postgres")]
    options: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="rekindle-postgresql-") as name:
        home, port = Path(name), free_port()
        if os.geteuid() == 0:
            user = "postgres" if "postgres" in {one.pw_name for one in pwd.getpwall()} else "nobody"
            options = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
            shutil.chown(home, user)
        data = home / "data"
        made = [programs[0], "-D", str(data), "-U", "governor", "--auth=trust", "--encoding=UTF8", "--no-sync"]
        subprocess.run(made, check=True, capture_output=True, cwd=home, **options)
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        command = [programs[1], "-D", str(data), "-p", str(port)]
        command += [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        url = f"postgresql://governor@127.0.0.1:{port}/postgres"
        with serving(command, home / "log", cwd=home, **options) as process:
            wait_until(lambda: psycopg.connect(url, connect_timeout=1).close(), process, home / "log")
            yield url


def emptied(url: str) -> str:
    """The same server without what an earlier test left there."""
    if url.startswith("redis"):
        with redis.Redis.from_url(url) as client:
            client.flushdb()
    else:
        with psycopg.connect(url) as connection:
            connection.execute("drop table if exists rekindle_governor_accounts")
    return url


@pytest.fixture(params=["redis", "postgresql"])
def server_url(request: pytest.FixtureRequest) -> str:
    """An empty store for several machines, the real thing."""
    url: str = request.getfixturevalue(f"{request.param}_server")
    return emptied(url)


@pytest.fixture(params=["in_memory", "sqlite", "redis", "postgres", "redis_server", "postgresql_server"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], AccountStore]]:
    """Opens a store of each kind; all of one test share what they keep."""
    opened: list[Any] = []
    one = InMemoryStore()
    small_redis = request.getfixturevalue("small_redis") if request.param == "redis" else None
    if request.param == "postgres":
        request.getfixturevalue("small_psycopg")
    url = emptied(request.getfixturevalue(request.param)) if request.param.endswith("_server") else ""

    def open_one() -> AccountStore:
        if request.param == "in_memory":
            opened.append(one)
        elif small_redis is not None:
            opened.append(RedisStore(small_redis.url))
        elif request.param.endswith("_server"):
            opened.append(open_store(url))
        elif request.param == "postgres":
            opened.append(open_store("postgresql://u@host/db"))
        else:
            opened.append(SqliteStore(tmp_path / "governor" / "governor.sqlite"))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()
