"""The embedded warehouse: one DuckDB file.

DuckDB lets one process at a time open the file, readers included. So a transaction opens it, does its work, and closes
it; whoever comes second waits with jittered back-off. Inside Airflow a pool of one slot keeps the waiting short.

Starting DuckDB costs ten times what opening a file costs (18 ms and 2 ms), so a process starts it once, without a file,
and attaches the warehouse for the length of a transaction.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import duckdb
import tenacity

from rekindle.errors import WarehouseBusyError, WarehouseMemoryError
from rekindle.warehouse.dialect import DUCKDB, Dialect
from rekindle.warehouse.ports import Row, Value
from rekindle.warehouse.statements import statement as statement_text

if TYPE_CHECKING:
    import pyarrow as pa

THREADS = 2
ROWS_PER_INSERT = 10_000
MEMORY = 2_000  # MB: several tasks share a machine, and DuckDB by itself would take four fifths of it
PATIENCE = 180  # seconds: longer than any one transaction or dbt run of the embedded warehouse takes

LINGERING = 0.1  # seconds that a file which is kept open stays open without a transaction
LONGEST = 1.0  # seconds after which a file is let go of however busy its process is: others wait for it

#: Statements by their text: of what a statement over a few thousand rows costs, reading its words is a third.
_parsed: dict[str, duckdb.Statement] = {}


class DuckDbTransaction:
    """One open transaction on one connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, dialect: Dialect) -> None:
        self.connection = connection
        self.dialect = dialect

    def execute(self, statement: str, /, **values: Value) -> int:
        self.connection.execute(self._statement(statement), _naive(values))
        written = self.connection.fetchone()
        return int(written[0]) if written else 0

    def fetch(self, statement: str, /, **values: Value) -> list[Row]:
        return self._rows(self._statement(statement), values)

    def query(self, sql: str, **values: Value) -> list[Row]:
        """Run SQL given as text: for checks and reports, not for state."""
        return self._rows(sql, values)

    def _statement(self, name: str) -> duckdb.Statement:
        text = statement_text(self.dialect, name)
        if text not in _parsed:
            (_parsed[text],) = self.connection.extract_statements(text)
        return _parsed[text]

    def _rows(self, sql: str | duckdb.Statement, values: Mapping[str, Value]) -> list[Row]:
        cursor = self.connection.execute(sql, _naive(values))
        columns = cursor.description or []
        names = [column[0] for column in columns]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        for name in [column[0] for column in columns if str(column[1]).startswith("TIMESTAMP")]:
            _make_aware(rows, name)
        return rows

    def insert(self, table: str, rows: Sequence[Mapping[str, Value]]) -> int:
        # Lists as parameters are as quick as Arrow, and Arrow and what it imports take 90 MB of every task's memory.
        for start in range(0, len(rows), ROWS_PER_INSERT):
            some = rows[start : start + ROWS_PER_INSERT]
            columns: dict[str, Any] = {name: _naive_column([row[name] for row in some]) for name in rows[0]}
            # What is the same in every row is passed once, if some other column says how many rows there are.
            alike = {name for name, column in columns.items() if column.count(column[0]) == len(column)}
            alike -= alike if len(alike) == len(columns) else set()
            columns |= {name: columns[name][0] for name in alike}
            names = ", ".join(columns)
            values = ", ".join(f"${name}" if name in alike else f"unnest(${name})" for name in columns)
            self.connection.execute(f"insert into {table} ({names}) select {values}", columns)
        return len(rows)

    def insert_table(self, table: str, rows: pa.Table) -> int:
        if not rows.num_rows:
            return 0
        self.connection.register("incoming", rows)
        columns = ", ".join(rows.column_names)
        self.connection.execute(f"insert into {table} ({columns}) select {columns} from incoming")  # noqa: S608 - our own names
        self.connection.unregister("incoming")
        return int(rows.num_rows)


class _Engine:
    """DuckDB with nothing but the attached file, and that only while somebody of this process uses it, or will at once.

    Letting go of a file costs more than a small transaction: it brings the write-ahead log into the file, whole row
    groups for a few rows.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._lock = threading.Lock()
        #: By process: an engine's threads do not survive a fork, and closing it in the child would wait for them.
        self._engines: dict[int, duckdb.DuckDBPyConnection] = {}
        self._users = 0
        self._name: str | None = None  # of the attached file
        self._attached_at = self._used_at = 0.0
        self._idle: duckdb.DuckDBPyConnection | None = None  # to the attached file, for whoever comes next
        self._lingers = 0  # blocks that want the file to stay open for a moment
        self.megabytes, self.threads = MEMORY, THREADS

    def open(self) -> tuple[duckdb.DuckDBPyConnection, bool]:
        """A connection to the file, and whether it must be handed back to `close`."""
        with self._lock:
            self._start()
            if self._name is None:
                try:
                    self._engine.execute("attach " + _quoted(self._path, "'"))
                except duckdb.ResourceInUseException:
                    # Opened by other means in this very process: only that engine gives another connection.
                    return duckdb.connect(self._path, config={"threads": THREADS}), False
                self._name, self._attached_at = self._name_of_the_file(), time.monotonic()
            connection, self._idle = self._idle, None
            if connection is None:
                connection = self._engine.cursor()
                connection.execute(f"use {self._name}")
            self._users += 1
            return connection, True

    def close(self, connection: duckdb.DuckDBPyConnection, *, is_sound: bool) -> None:
        """Nobody uses the connection any more; the last one lets go of the file, now or soon. What failed is not used
        again: an error may leave all connections to the file useless until it is attached anew.
        """
        with self._lock:
            self._users -= 1
            self._used_at = time.monotonic()
            lingers = bool(self._lingers) and is_sound and self._used_at - self._attached_at < LONGEST
            if lingers and self._idle is None:
                self._idle = connection
                return
            connection.close()
            if not lingers:
                self._let_go()

    @contextmanager
    def lingering(self) -> Iterator[None]:
        """See `DuckDbWarehouse.kept_open`."""
        is_over = threading.Event()
        watching = threading.Thread(target=self._let_go_of_the_idle, args=[is_over], name="idle-warehouse", daemon=True)
        with self._lock:
            self._start()
            self._lingers += 1
        watching.start()
        try:
            yield
        finally:
            is_over.set()
            watching.join()
            with self._lock:
                self._lingers -= 1
                if not self._lingers:
                    self._let_go()

    def _let_go_of_the_idle(self, is_over: threading.Event) -> None:
        while not is_over.wait(LINGERING / 2):
            with self._lock:
                if time.monotonic() - self._used_at >= LINGERING:
                    self._let_go()

    def limit(self, megabytes: int, threads: int) -> None:
        """For this process, from now on."""
        with self._lock:
            self.megabytes, self.threads = megabytes, threads
            if os.getpid() in self._engines:
                self._engine.execute(f"set memory_limit = '{megabytes}MB'")
                self._engine.execute(f"set threads = {threads}")

    def _start(self) -> None:
        """With the lock held: this process's engine, if it has none yet."""
        if os.getpid() not in self._engines:
            config = {"memory_limit": f"{self.megabytes}MB", "temp_directory": f"{self._path}.tmp"}
            self._engines[os.getpid()] = duckdb.connect(config={"threads": self.threads, **config})
            self._users, self._name, self._idle, self._lingers = 0, None, None, 0

    def _let_go(self) -> None:
        """With the lock held: close the file, unless somebody uses it."""
        if self._name is None or self._users:
            return
        if self._idle is not None:
            self._idle.close()
        self._engine.execute(f"detach {self._name}")
        self._idle = self._name = None

    @property
    def _engine(self) -> duckdb.DuckDBPyConnection:
        return self._engines[os.getpid()]

    def _name_of_the_file(self) -> str:
        """DuckDB makes it of the file's; dbt writes it into the views, so it must not be another."""
        (name,) = self._engine.execute(
            "select database_name from duckdb_databases() where not internal and path is not null"
        ).fetchall()[0]
        return _quoted(name, '"')


#: One engine per file: two of one process would keep each other out.
_engines: WeakValueDictionary[Path, _Engine] = WeakValueDictionary()


class DuckDbWarehouse:
    """A DuckDB file; see the module's docstring for who may hold it when."""

    dialect = DUCKDB

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self.path = path
        self.patience = patience
        self._engine = _engines.setdefault(path.absolute(), _Engine(path.absolute()))

    @contextmanager
    def transaction(self) -> Iterator[DuckDbTransaction]:
        with self._connection() as connection:
            connection.begin()
            try:
                yield DuckDbTransaction(connection, self.dialect)
            except duckdb.OutOfMemoryException as error:
                connection.rollback()
                raise WarehouseMemoryError(
                    f"{self.path.name}: what was asked does not fit into the engine's memory, on disk neither;"
                    " give it more (REKINDLE_WAREHOUSE_MEMORY_MEGABYTES)"
                ) from error
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def limit(self, megabytes: int, threads: int = THREADS) -> None:
        """Let DuckDB read and join in so much memory and no more in this process; what does not fit goes to disk, and
        what can not go there raises `WarehouseMemoryError`. Each thread holds a block of every column it reads.
        """
        self._engine.limit(megabytes, threads)

    @contextmanager
    def limited(self, megabytes: int, threads: int) -> Iterator[None]:
        """As `limit`, and as it was before after the block."""
        before = self._engine.megabytes, self._engine.threads
        self._engine.limit(megabytes, threads)
        try:
            yield
        finally:
            self._engine.limit(*before)

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Let the file stay open between transactions of this block that follow each other quickly: whoever waits for
        it gets it `LINGERING` seconds after the last one, or after a transaction when it has been open for `LONGEST`.
        """
        with self._engine.lingering():
            yield

    def run_script(self, sql: str) -> None:
        with self._connection() as connection:
            connection.execute(sql)

    @contextmanager
    def _connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The open file, waiting for whoever holds it; raises `WarehouseBusyError` after the patience."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_lock_conflict),
            wait=tenacity.wait_exponential_jitter(initial=0.01, max=0.25, jitter=0.05),
            stop=tenacity.stop_after_delay(self.patience),
        )
        try:
            connection, is_attached = retrying(self._engine.open)
        except tenacity.RetryError as tired:
            raise WarehouseBusyError(
                f"{self.path.name} stayed locked by another process for {self.patience:.0f} s;"
                " close whatever holds it open (a notebook, the DuckDB shell) and try again"
            ) from tired.last_attempt.exception()
        is_sound = False
        try:
            yield connection
            is_sound = True
        finally:
            if is_attached:
                self._engine.close(connection, is_sound=is_sound)
            else:
                connection.close()


def _is_lock_conflict(error: BaseException) -> bool:
    return isinstance(error, duckdb.IOException) and "lock" in str(error)


def _quoted(text: str, quote: str) -> str:
    return quote + text.replace(quote, quote * 2) + quote


def _naive_value(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value


def _naive_column(column: list[Any]) -> list[Any]:
    has_instants = any(issubclass(kind, datetime) for kind in set(map(type, column)))
    return [_naive_value(value) for value in column] if has_instants else column


def _make_aware(rows: Sequence[Row], name: str) -> None:
    """In place; an instant that many rows share is made once."""
    known: dict[datetime, datetime] = {}
    for row in rows:
        instant = row[name]
        if instant is None:
            continue
        aware = known.get(instant)
        if aware is None:
            aware = known[instant] = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        row[name] = aware


def _naive(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _naive_value(value) for name, value in values.items()}
