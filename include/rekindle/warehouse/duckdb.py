"""The embedded warehouse: one DuckDB file.

DuckDB lets one process at a time open the file, readers included. So a transaction opens it, does its work, and closes
it; whoever comes second waits with jittered back-off. Inside Airflow a pool of one slot keeps the waiting short.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import tenacity

from rekindle.errors import WarehouseBusyError
from rekindle.warehouse.dialect import DUCKDB, Dialect
from rekindle.warehouse.ports import Row, Value
from rekindle.warehouse.statements import statement as statement_text

PATIENCE = 180  # seconds: longer than any one transaction or dbt run of the embedded warehouse takes


class DuckDbTransaction:
    """One open transaction on one connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, dialect: Dialect) -> None:
        self.connection = connection
        self.dialect = dialect

    def execute(self, statement: str, /, **values: Value) -> int:
        self.connection.execute(statement_text(self.dialect, statement), _naive(values))
        written = self.connection.fetchone()
        return int(written[0]) if written else 0

    def fetch(self, statement: str, /, **values: Value) -> list[Row]:
        return self.query(statement_text(self.dialect, statement), **values)

    def query(self, sql: str, **values: Value) -> list[Row]:
        """Run SQL given as text: for checks and reports, not for state."""
        cursor = self.connection.execute(sql, _naive(values))
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, map(_aware, row), strict=True)) for row in cursor.fetchall()]

    def insert(self, table: str, rows: Sequence[Mapping[str, Value]]) -> int:
        if not rows:
            return 0
        columns = list(rows[0])
        arrays = {name: [_naive_value(row[name]) for row in rows] for name in columns}
        return self.insert_table(table, pa.table({name: _array(values) for name, values in arrays.items()}))

    def insert_table(self, table: str, rows: pa.Table) -> int:
        if not rows.num_rows:
            return 0
        self.connection.register("incoming", rows)
        columns = ", ".join(rows.column_names)
        self.connection.execute(f"insert into {table} ({columns}) select {columns} from incoming")  # noqa: S608 - our own names
        self.connection.unregister("incoming")
        return int(rows.num_rows)


class DuckDbWarehouse:
    """A DuckDB file; see the module's docstring for who may hold it when."""

    dialect = DUCKDB

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self.path = path
        self.patience = patience

    @contextmanager
    def transaction(self) -> Iterator[DuckDbTransaction]:
        connection = self.connect()
        try:
            connection.begin()
            try:
                yield DuckDbTransaction(connection, self.dialect)
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
        finally:
            connection.close()

    def run_script(self, sql: str) -> None:
        connection = self.connect()
        try:
            connection.execute(sql)
        finally:
            connection.close()

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Open the file, waiting for whoever holds it; raises `WarehouseBusyError` after the patience."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_lock_conflict),
            wait=tenacity.wait_exponential_jitter(initial=0.01, max=0.25, jitter=0.05),
            stop=tenacity.stop_after_delay(self.patience),
        )
        try:
            return retrying(duckdb.connect, str(self.path), config={"threads": 2})
        except tenacity.RetryError as tired:
            raise WarehouseBusyError(
                f"{self.path.name} stayed locked by another process for {self.patience:.0f} s;"
                " close whatever holds it open (a notebook, the DuckDB shell) and try again"
            ) from tired.last_attempt.exception()


def _is_lock_conflict(error: BaseException) -> bool:
    return isinstance(error, duckdb.IOException) and "lock" in str(error)


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def _naive_value(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value


def _naive(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _naive_value(value) for name, value in values.items()}


def _array(values: list[Any]) -> pa.Array:
    return pa.array(values, type=pa.string()) if all(value is None for value in values) else pa.array(values)
