"""Starts snowduck 0.3.0 with the repairs that dbt-snowflake and the connector need; run by that environment's Python.

1. `CREATE TABLE t (c type not null, …) AS SELECT`, an enforced dbt contract: casts in the select and refuses nulls.
2. A DuckDB connection for each session. Upstream shares one: dirty reads, "transaction within a transaction", losses.
3. Results of several Arrow batches, and instants with microseconds. Upstream answers 500, and the connector repeats
   whatever got a 500 for minutes. The session says its TIMEZONE, which the connector needs to read an instant.
4. Values bound by the server: `?`, one row or many, and `identifier(?)`.
5. `TO_BINARY(text, 'UTF-8')` of any text, and `TO_NUMBER(text, 'XXXX')`, which reads hexadecimal digits.
6. MERGE tells how many rows it wrote, as the other statements do.
7. PUT of a local file, and COPY INTO from a stage: Parquet, as our bulk load and `write_pandas` send it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partialmethod
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import snowduck.dialect.dialect as upstream_dialect
import snowduck.server.arrow as upstream_arrow
import snowduck.server.connector_api.handlers as upstream
import uvicorn
from leash import end_with_parent
from snowduck.connector import Connection
from snowduck.connector.connector import Connector
from snowduck.connector.cursor import Cursor
from snowduck.dialect.preprocess import functions, generators
from snowduck.dialect.transforms import stage_root
from sqlglot import exp
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# --- 1: a contract's table


def contracted_table(expression: Any, context: Any, upstream_create: Callable[[Any, Any], Any]) -> Any:
    """Turn the described columns into casts: DuckDB knows `CREATE TABLE … AS` without them only."""
    schema, query = expression.this, expression.expression
    is_table = str(expression.args.get("kind")).upper() == "TABLE"
    if is_table and isinstance(schema, exp.Schema) and isinstance(query, exp.Query) and _all_typed(schema):
        names = [column.this.copy() for column in schema.expressions]
        values = [_cast_column(column) for column in schema.expressions]
        inner = query.unnest() if isinstance(query, exp.Subquery) and not query.alias else query
        alias = exp.TableAlias(this=exp.to_identifier("_contracted"), columns=names)
        expression.set("expression", exp.Select(expressions=values).from_(exp.Subquery(this=inner.copy(), alias=alias)))
        for column in schema.expressions:
            comments = [
                kept
                for kept in column.args.get("constraints") or []
                if isinstance(kept.kind, exp.CommentColumnConstraint)
            ]
            column.set("kind", None)
            column.set("constraints", comments)
        if not any(column.args.get("constraints") for column in schema.expressions):
            expression.set("this", schema.this)
    return upstream_create(expression, context)


def _all_typed(schema: Any) -> bool:
    columns = schema.expressions
    return bool(columns) and all(isinstance(one, exp.ColumnDef) and one.args.get("kind") for one in columns)


def _cast_column(column: Any) -> Any:
    source = exp.column(column.this.copy(), table="_contracted")
    value = exp.cast(source, column.args["kind"].copy())
    for constraint in column.args.get("constraints") or []:
        if isinstance(constraint.kind, exp.NotNullColumnConstraint) and not constraint.kind.args.get("allow_null"):
            message = exp.Literal.string(f"NULL result in a non-nullable column: {column.name}")
            refuse = exp.Anonymous(this="error", expressions=[message])
            missing = exp.If(this=exp.Is(this=source.copy(), expression=exp.null()), true=refuse)
            value = exp.Case(ifs=[missing], default=value)
    return exp.alias_(value, column.this.copy())


# --- 2: sessions


def connect_alone(self: Any, database: str | None = None, schema: str | None = None, **more: Any) -> Connection:
    return Connection(
        duck_conn=self._duck_conn.cursor(),
        info_schema_manager=self._info_schema_manager,
        database=database,
        schema=schema,
        owns_duck_conn=True,
        **more,
    )


# --- 3: results


def one_batch(table: pa.Table) -> pa.Table:
    table = table.combine_chunks()
    return table if table.num_rows else pa.Table.from_batches([pa.RecordBatch.from_pylist([], schema=table.schema)])


def instants(column: Any) -> Any:
    """Whole seconds and nanoseconds, computed in integers: upstream loses microseconds in floats."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    microseconds = column.cast(pa.timestamp("us", tz=column.type.tz)).cast(pa.int64())
    seconds = pc.floor(pc.divide(microseconds.cast(pa.float64()), 1e6)).cast(pa.int64())
    nanoseconds = pc.multiply(pc.subtract(microseconds, pc.multiply(seconds, 1_000_000)), 1_000).cast(pa.int32())
    parts = {"epoch": seconds, "fraction": nanoseconds}
    if column.type.tz:
        parts["timezone"] = pa.array([1_440] * len(column), pa.int32())  # 1440: no offset
    fields = [pa.field(name, values.type, nullable=False) for name, values in parts.items()]
    return pa.StructArray.from_arrays(list(parts.values()), fields=fields, mask=pc.is_null(column))


# --- 4: bound values

_TOKEN = re.compile(
    r"""'(?:[^'\\]|''|\\.)*' | "[^"]*" | \$\$.*?\$\$ | --[^\n]* | /\*.*?\*/ | identifier\s*\(\s*\?\s*\) | \?""",
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
_VALUES = re.compile(r"(.*\bvalues\s*)(\(.*\))\s*;?\s*$", re.DOTALL | re.IGNORECASE)


def literal(kind: str, value: str | None) -> str:
    """A bound value as the connector sends it (a kind and a text) in SQL."""
    if value is None:
        return "NULL"
    if kind in ("FIXED", "REAL", "DECFLOAT"):
        return value
    if kind == "BOOLEAN":
        return value.lower()
    if kind == "DATE":
        return f"'{(EPOCH + timedelta(milliseconds=int(value))).date()}'::date"
    if kind.startswith("TIMESTAMP"):
        instant = EPOCH + timedelta(microseconds=int(value.split(" ")[0]) // 1_000)
        return f"'{instant.replace(tzinfo=None)}'::timestamp"
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def fill(sql: str, values: Sequence[str]) -> str:
    remaining: Iterator[str] = iter(values)

    def replaced(match: re.Match[str]) -> str:
        token = match.group(0)
        if token == "?":
            return next(remaining)
        if token.lower().startswith("identifier"):
            return next(remaining)[1:-1].replace("''", "'")
        return token

    return _TOKEN.sub(replaced, sql)


def bound(sql: str, bindings: dict[str, Any]) -> str:
    columns = [bindings[str(number)] for number in range(1, len(bindings) + 1)]
    if not any(isinstance(column["value"], list) for column in columns):
        return fill(sql, [literal(column["type"], column["value"]) for column in columns])
    rows = zip(*([literal(column["type"], value) for value in column["value"]] for column in columns), strict=True)
    found = _VALUES.match(sql)
    if not found:
        raise ValueError("many rows can be bound in INSERT … VALUES only")
    return found[1] + ", ".join(fill(found[2], row) for row in rows)


# --- 5: functions


def to_binary(arguments: list[Any], upstream_to_binary: Callable[..., Any], **more: Any) -> Any:
    is_text = len(arguments) > 1 and arguments[1].name.upper() in ("UTF-8", "UTF8")
    if is_text:
        return exp.Anonymous(this="encode", expressions=[arguments[0]])
    return upstream_to_binary(arguments, **more)


def digits_of(value: Any, model: Any, upstream_digits_of: Callable[[Any, Any], Any]) -> Any:
    if isinstance(model, exp.Literal) and model.is_string and set(model.name.upper()) == {"X"}:
        hexadecimal = exp.DPipe(this=exp.Literal.string("0x"), expression=exp.Paren(this=value))
        return exp.cast(exp.Paren(this=hexadecimal), "bigint")
    return upstream_digits_of(value, model)


# --- 6: what a merge tells


def execute_and_count(cursor: Any, command: str, *given: Any, upstream_execute: Callable[..., Any], **more: Any) -> Any:
    result = upstream_execute(cursor, command, *given, **more)
    table = cursor._arrow_table
    if _MERGE.match(command) and table is not None and table.num_rows == table.num_columns == 1:
        cursor._rowcount = int(table.column(0)[0].as_py())
    return result


# --- 7: stages

_MERGE = re.compile(r"(\s|--[^\n]*\n)*merge\b", re.IGNORECASE)
_STAGE = r"'?@((?:\"[^\"]+\"|[\w$%~]+)(?:\.(?:\"[^\"]+\"|[\w$%~]+))*)(/[^\s')]*)?'?"
_PUT = re.compile(rf"\s*put\s+(?:/\*.*?\*/\s*)?'?file://(.+?)'?\s+{_STAGE}(.*)$", re.DOTALL | re.IGNORECASE)
_COPY = re.compile(
    rf"\s*copy\s+into\s+([\w.\"$]+)\s*(?:/\*.*?\*/)?\s*(\([^()]*\))?\s*from\s+"
    rf"\(\s*select\s+(.+?)\s+from\s+{_STAGE}\s*\)(.*)$",
    re.DOTALL | re.IGNORECASE,
)
_FROM_PARQUET = re.compile(r"\$1:(\"[^\"]+\"|\w+)(::\w+(\([^)]*\))?)?")
_COPIED = (
    'select \'{file}\' as "file", \'LOADED\' as "status", {rows} as "rows_parsed", {rows} as "rows_loaded",'
    ' 1 as "error_limit", 0 as "errors_seen", null as "first_error", null as "first_error_line",'
    ' null as "first_error_character", null as "first_error_column_name"'
)


def stage_folder(stage: str, path: str | None) -> Path:
    name = re.findall(r'"[^"]+"|[\w$%~]+', stage)[-1].strip('"').upper()
    return Path(stage_root()) / name / (path or "").strip("/")


def put_answer(match: re.Match[str]) -> JSONResponse:
    """Where the connector must copy the file to: a folder of this machine."""
    folder = stage_folder(match[2], match[3])
    folder.mkdir(parents=True, exist_ok=True)
    options = match[4].lower().replace(" ", "")
    data = {
        "stageInfo": {"locationType": "LOCAL_FS", "location": str(folder), "creds": {}},
        "src_locations": [match[1].strip("'")],
        "parallel": 4,
        "autoCompress": "auto_compress=false" not in options,
        "sourceCompression": "auto_detect",
        "overwrite": "overwrite=true" in options,
        "command": "UPLOAD",
    }
    return JSONResponse({"success": True, "data": data})


def copy_parquet(match: re.Match[str], connection: Connection) -> str:
    """Do it on the session's own connection, inside its transaction; returns the statement that answers for it."""
    table, columns, select, stage, path, options = match.groups()
    place = stage_folder(stage, path)
    files = sorted(str(file) for file in (place.rglob("*") if place.is_dir() else place.parent.glob(place.name + "*")))
    if not files:
        return "select 'Copy executed with 0 files processed.' as \"status\""
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    items = _FROM_PARQUET.sub(lambda item: item[1], select)
    with connection.lock:
        duckdb_connection = connection._duck_conn
        if connection.database:
            duckdb_connection.execute(f'USE "{connection.database}"."{connection.schema or "PUBLIC"}"')
        written = duckdb_connection.execute(
            f"INSERT INTO {table} {columns or ''} SELECT {items} FROM read_parquet([{listed}])"
        ).fetchone()[0]
    if re.search(r"purge\s*=\s*true", options, re.IGNORECASE):
        for file in files:
            Path(file).unlink()
    return _COPIED.format(file=Path(files[0]).name, rows=written)


# --- the server


async def query(request: Request, upstream_query: Callable[[Request], Any]) -> JSONResponse:
    body = await request.body()
    is_zipped = request.headers.get("Content-Encoding") == "gzip"
    asked = json.loads(gzip.decompress(body) if is_zipped else body)
    try:
        sql = asked.get("sqlText") or ""
        if asked.get("bindings"):
            sql = bound(sql, asked.pop("bindings"))
        if found := _PUT.match(sql):
            return put_answer(found)
        if found := _COPY.match(sql):
            session = upstream.session_manager.get_session(request.state.token)
            async with upstream.session_manager.get_lock(request.state.token):
                sql = await run_in_threadpool(copy_parquet, found, session)
    except Exception as error:  # noqa: BLE001 - answered as the warehouse would: a 5xx would be repeated for minutes
        data = {"errorCode": "100038", "sqlState": "22018"}
        return JSONResponse({"data": data, "code": "100038", "message": str(error), "success": False})
    asked["sqlText"] = sql
    told = json.dumps(asked).encode()
    request._body = gzip.compress(told) if is_zipped else told
    return await upstream_query(request)


async def login(request: Request, upstream_login: Callable[[Request], Any]) -> JSONResponse:
    answer = json.loads((await upstream_login(request)).body)
    answer["data"]["parameters"] += [
        {"name": "CLIENT_STAGE_ARRAY_BINDING_THRESHOLD", "value": 0},  # 0: bind in the request, never by a stage
        {"name": "TIMEZONE", "value": "Etc/UTC"},
    ]
    return JSONResponse(answer)


def repair() -> None:
    transforms = upstream_dialect._STATEMENT_TRANSFORMS
    create, to_ipc, query_request, login_request = (
        transforms[exp.Create],
        upstream.to_ipc,
        upstream.query_request,
        upstream.login_request,
    )

    async def repaired_query(request: Request) -> JSONResponse:
        return await query(request, query_request)

    async def repaired_login(request: Request) -> JSONResponse:
        return await login(request, login_request)

    transforms[exp.Create] = lambda expression, context: contracted_table(expression, context, create)
    Connector.connect = connect_alone
    execute = Cursor.execute
    Cursor.execute = partialmethod(execute_and_count, upstream_execute=execute)
    binary, digits = functions._to_binary, generators._apply_number_format
    functions._to_binary = lambda arguments, **more: to_binary(arguments, binary, **more)
    generators._apply_number_format = lambda value, model: digits_of(value, model, digits)
    upstream.to_ipc = lambda table: to_ipc(one_batch(table))
    upstream_arrow.timestamp_to_sf_struct = instants
    upstream.query_request, upstream.login_request = repaired_query, repaired_login


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, required=True)
    given = options.parse_args()
    end_with_parent()
    repair()
    # Only now: the package builds its application from the functions that have just been replaced.
    from snowduck.server.server import create_app

    uvicorn.run(create_app(), host=given.host, port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
