"""Snowflake: one connection with one transaction, by the official connector.

Statements that write a table which another transaction is writing wait for it (`LOCK_TIMEOUT`, which is set to our
patience for the session): several tasks may write at once and none overwrites another.
"""

from __future__ import annotations

import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rekindle.errors import WarehouseBusyError
from rekindle.warehouse.dialect import SNOWFLAKE, Kind, kind_of
from rekindle.warehouse.ports import Row, Value
from rekindle.warehouse.statements import unbound_statement

with warnings.catch_warnings():
    # Its copy of `requests` doubts every newer chardet than it knew; it works with ours.
    warnings.filterwarnings("ignore", message=".*doesn't match a supported version")
    from snowflake.connector import SnowflakeConnection, connect
    from snowflake.connector.errors import ProgrammingError

if TYPE_CHECKING:
    import pyarrow as pa

#: From so many bound values on the connector would upload them to a stage of its own, which needs another right.
VALUES_PER_INSERT = 60_000
#: Rows that are worth a file and a COPY.
ROWS_PER_INSERT = 5_000
PATIENCE = 180  # seconds to wait for the lock of another transaction on the same table
SESSION_PARAMETERS = {"LOCK_TIMEOUT": PATIENCE, "TIMEZONE": "UTC", "QUERY_TAG": "rekindle"}
_LOCK_TIMED_OUT = 625  # https://community.snowflake.com/s/article/error-000625: lock wait timeout
_TYPES = {
    Kind.TEXT: "TEXT",
    Kind.INSTANT: "TIMESTAMP_NTZ",
    Kind.DATE: "DATE",
    Kind.INTEGER: "FIXED",
    Kind.NUMBER: "REAL",
    Kind.BOOLEAN: "BOOLEAN",
}


__all__ = ["SESSION_PARAMETERS", "SnowflakeTransaction", "SnowflakeWarehouse", "connect"]


class SnowflakeTransaction:
    """One open transaction of one connection."""

    def __init__(self, connection: SnowflakeConnection) -> None:
        self._connection = connection

    def execute(self, statement: str, /, **values: Value) -> int:
        with self._connection.cursor() as cursor:
            self._run(cursor, unbound_statement(SNOWFLAKE, statement), values)
            return int(cursor.rowcount or 0)

    def fetch(self, statement: str, /, **values: Value) -> list[Row]:
        return self.query(unbound_statement(SNOWFLAKE, statement), **values)

    def query(self, sql: str, **values: Value) -> list[Row]:
        """Run SQL given as text: for checks and reports, not for state."""
        with self._connection.cursor() as cursor:
            self._run(cursor, sql, values)
            names = [column.name.lower() for column in cursor.description]
            return [dict(zip(names, map(_ours, row), strict=True)) for row in cursor.fetchall()]

    def insert(self, table: str, rows: Sequence[Mapping[str, Value]]) -> int:
        if not rows:
            return 0
        names = list(rows[0])
        sql = f"insert into {table} ({', '.join(names)}) values ({', '.join('?' * len(names))})"  # noqa: S608 - our own names
        at_once = max(1, VALUES_PER_INSERT // len(names))
        with self._connection.cursor() as cursor:
            for start in range(0, len(rows), at_once):
                # As text, which the column's type reads: a null among instants would make the connector send both so.
                cursor.executemany(
                    sql, [[_as_text(row[name]) for name in names] for row in rows[start : start + at_once]]
                )
        return len(rows)

    def insert_table(self, table: str, rows: pa.Table) -> int:
        if rows.num_rows <= ROWS_PER_INSERT:
            return self.insert(table, rows.to_pylist())
        import pyarrow.parquet as parquet

        names = rows.column_names
        # The user's own stage: making one would be DDL, which commits the transaction.
        stage = f"@~/rekindle/{uuid.uuid4().hex}"
        with tempfile.TemporaryDirectory() as folder, self._connection.cursor() as cursor:
            file = Path(folder) / "rows.parquet"
            parquet.write_table(rows, file)
            cursor.execute(f"put 'file://{file}' {stage} auto_compress = false")
            cursor.execute(
                f"copy into {table} ({', '.join(names)})"  # noqa: S608 - our own names
                f" from (select {', '.join(f'$1:{name}' for name in names)} from {stage})"
                " file_format = (type = parquet use_logical_type = true) purge = true"
            )
        return int(rows.num_rows)

    def _run(self, cursor: Any, sql: str, values: Mapping[str, Value]) -> None:
        bound = [(_TYPES[kind_of(name, values[name])], _plain(values[name])) for name in SNOWFLAKE.parameters(sql)]
        cursor.execute(SNOWFLAKE.bind(sql), bound or None)


class SnowflakeWarehouse:
    """The schemas `rekindle_*` of one database; `connect` opens a connection that binds `?` (`paramstyle="qmark"`)."""

    dialect = SNOWFLAKE

    def __init__(self, connect: Callable[[], SnowflakeConnection]) -> None:
        self._connect = connect

    @contextmanager
    def transaction(self) -> Iterator[SnowflakeTransaction]:
        with self._connection() as connection:
            _do(connection, "begin transaction")
            try:
                yield SnowflakeTransaction(connection)
            except BaseException as error:
                _do(connection, "rollback")
                if isinstance(error, ProgrammingError) and error.errno == _LOCK_TIMED_OUT:
                    raise WarehouseBusyError(
                        f"another transaction kept the same table for {PATIENCE} s;"
                        " nothing of this one was written: run the task again"
                    ) from error
                raise
            _do(connection, "commit")

    def run_script(self, sql: str) -> None:
        with self._connection() as connection:
            for _ in connection.execute_string(sql):
                pass

    @contextmanager
    def _connection(self) -> Iterator[SnowflakeConnection]:
        connection = self._connect()
        try:
            yield connection
        finally:
            connection.close()


def _do(connection: SnowflakeConnection, sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def _plain(value: Any) -> Any:
    """Instants without their zone, and no enumeration's member: the connector binds by the very class."""
    if isinstance(value, str):
        return str(value)
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value


def _as_text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return str(_plain(value).isoformat(sep=" "))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    return repr(value) if isinstance(value, float) else str(value)


def _ours(value: Any) -> Any:
    """A value as the other engines give it: aware instants, whole numbers whole, no decimals."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
    return value
