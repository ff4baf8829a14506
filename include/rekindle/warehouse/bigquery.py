"""BigQuery: one session with one transaction in it, by the official client.

A transaction is `BEGIN TRANSACTION` in a session; whatever runs between it and `COMMIT` is a job of that session. Two
transactions that change the same table do not wait for each other there: BigQuery cancels one, which shows here as
`WarehouseBusyError`, and the task is run again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from google.api_core.exceptions import BadRequest, Conflict, GoogleAPIError
from google.cloud import bigquery
from google.cloud.bigquery.table import RowIterator

from rekindle.errors import WarehouseBusyError
from rekindle.warehouse.dialect import BIGQUERY, Kind, kind_of
from rekindle.warehouse.ports import Row, Value
from rekindle.warehouse.statements import unbound_statement

if TYPE_CHECKING:
    import pyarrow as pa

_TYPES = {
    Kind.TEXT: "STRING",
    Kind.INSTANT: "TIMESTAMP",
    Kind.DATE: "DATE",
    Kind.INTEGER: "INT64",
    Kind.NUMBER: "FLOAT64",
    Kind.BOOLEAN: "BOOL",
}
_STANDARD = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}  # the API's names of columns, in SQL's
#: A request may hold 10 MB, bound values included.
BYTES_PER_INSERT = 4_000_000
ROWS_PER_INSERT = 5_000
#: What a job of a transaction says when another one has changed the same table.
_LOST_TO_ANOTHER = ("concurrent update", "aborted due to")


class BigQueryTransaction:
    """One open transaction of one session."""

    def __init__(self, client: bigquery.Client, session: str) -> None:
        self._client = client
        self._session = session

    def execute(self, statement: str, /, **values: Value) -> int:
        done = self._run(BIGQUERY.bind(unbound_statement(BIGQUERY, statement)), _parameters(values))
        return int(done.num_dml_affected_rows or 0)

    def fetch(self, statement: str, /, **values: Value) -> list[Row]:
        return self.query(unbound_statement(BIGQUERY, statement), **values)

    def query(self, sql: str, **values: Value) -> list[Row]:
        """Run SQL given as text: for checks and reports, not for state."""
        return [dict(row.items()) for row in self._run(BIGQUERY.bind(sql), _parameters(values))]

    def insert(self, table: str, rows: Sequence[Mapping[str, Value]]) -> int:
        if not rows:
            return 0
        types = self._types_of(table)
        names = list(rows[0])
        values = ", ".join(f"item.{name}" for name in names)
        sql = f"insert into {table} ({', '.join(names)}) select {values} from unnest(@rows) as item"  # noqa: S608 - our own names
        written = 0
        for some in _in_requests(rows):
            structs = [
                bigquery.StructQueryParameter(
                    None, *(bigquery.ScalarQueryParameter(name, types[name], row[name]) for name in names)
                )
                for row in some
            ]
            kind = _struct_type({name: types[name] for name in names})
            done = self._run(sql, [bigquery.ArrayQueryParameter("rows", kind, structs)])
            written += int(done.num_dml_affected_rows or 0)
        return written

    def insert_table(self, table: str, rows: pa.Table) -> int:
        # Not by a load job: a transaction runs none, and does not see what was loaded after it began.
        return self.insert(table, rows.to_pylist())

    def _types_of(self, table: str) -> dict[str, str]:
        return {column.name: _STANDARD.get(column.field_type, column.field_type) for column in self._columns_of(table)}

    def _columns_of(self, table: str) -> list[bigquery.SchemaField]:
        return list(self._client.get_table(table).schema)

    def _run(self, sql: str, parameters: list[Any]) -> RowIterator:
        config = bigquery.QueryJobConfig(query_parameters=parameters, connection_properties=_of(self._session))
        # No second try: the first one's error has ended the transaction, and is what must be told.
        return self._client.query_and_wait(sql, job_config=config, job_retry=None)  # type: ignore[arg-type] # may be None


class BigQueryWarehouse:
    """The datasets `rekindle_*` of one project."""

    dialect = BIGQUERY

    def __init__(self, client: bigquery.Client) -> None:
        self._client = client

    @contextmanager
    def transaction(self) -> Iterator[BigQueryTransaction]:
        with _told_as_busy():
            begin = self._client.query("begin transaction", job_config=bigquery.QueryJobConfig(create_session=True))
            begin.result()
            session = str(begin.session_info.session_id) if begin.session_info else ""
            try:
                try:
                    yield BigQueryTransaction(self._client, session)
                except BaseException:
                    # A transaction that BigQuery has cancelled has nothing left to roll back.
                    with contextlib.suppress(GoogleAPIError):
                        self._in_session("rollback transaction", session)
                    raise
                self._in_session("commit transaction", session)
            finally:
                # It would end by itself after 24 hours, and a project may hold a limited number.
                with contextlib.suppress(GoogleAPIError):
                    self._in_session("call bq.abort_session()", session)

    def run_script(self, sql: str) -> None:
        self._client.query_and_wait(sql)

    def _in_session(self, sql: str, session: str) -> None:
        self._client.query_and_wait(sql, job_config=bigquery.QueryJobConfig(connection_properties=_of(session)))


@contextmanager
def _told_as_busy() -> Iterator[None]:
    try:
        yield
    except (BadRequest, Conflict) as error:
        if any(words in str(error).lower() for words in _LOST_TO_ANOTHER):
            raise WarehouseBusyError(
                "another transaction changed the same table at the same time and BigQuery let that one win;"
                " nothing of this one was written: run the task again"
            ) from error
        raise


def _struct_type(types: Mapping[str, str]) -> bigquery.StructQueryParameterType:
    fields = [
        bigquery.ScalarQueryParameterType(kind, name=name)  # type: ignore[no-untyped-call] # the client has no types
        for name, kind in types.items()
    ]
    return bigquery.StructQueryParameterType(*fields)  # type: ignore[no-untyped-call]


def _of(session: str) -> list[bigquery.ConnectionProperty]:
    return [bigquery.ConnectionProperty("session_id", session)]


def _parameters(values: Mapping[str, Value]) -> list[bigquery.ScalarQueryParameter]:
    return [bigquery.ScalarQueryParameter(name, _TYPES[kind_of(name, value)], value) for name, value in values.items()]


def _in_requests(rows: Sequence[Mapping[str, Value]]) -> Iterator[list[Mapping[str, Value]]]:
    """The rows in requests that the API takes; a value travels as text beside its type, hence the addition."""
    some: list[Mapping[str, Value]] = []
    size = 0
    for row in rows:
        weight = sum(len(str(value)) + 40 for value in row.values())
        if some and (size + weight > BYTES_PER_INSERT or len(some) == ROWS_PER_INSERT):
            yield some
            some, size = [], 0
        some.append(row)
        size += weight
    yield some
