"""Starts local-bigquery 0.4.0 with eight repairs; run by that environment's own Python.

1. A finished CREATE TABLE AS SELECT names its table as the job's destination, as BigQuery does. dbt reads the row count
   of that table; without it every table model ends with "'NoneType' object has no attribute 'path'".
2. `SET (x) = (SELECT AS STRUCT …)` with a single variable, which dbt's insert_overwrite and microbatch scripts send.
3. Asking for one table looks at one table. Upstream lists all of them with their sizes, several times a statement: with
   forty tables "select 1" took more than a second. Temporary tables are looked for once somebody has made one.
4. `CAST(text AS BYTES)` encodes as UTF-8 whatever the text is; upstream refuses "ü" where it does not know the type.
5. MERGE in a session joins its transaction. Upstream tries a BEGIN first, whose refusal aborts the transaction.
6. Jobs are kept in memory. Upstream writes each of them three times to a file, a quarter of the work of a statement.
7. The columns of a table are remembered until something may have changed them; upstream asks for them several times a
   statement.
8. So are a table's being there and what upstream keeps about datasets, tables and policies: a third of the work of a
   statement. The number of rows that a table is described with may be that of its last definition.
"""

from __future__ import annotations

import contextlib
import copy
import re
import sys
from typing import Any

import duckdb
from leash import end_with_parent
from local_bigquery.catalog import metadata, tables
from local_bigquery.cli import main
from local_bigquery.engine import database, types
from local_bigquery.errors import not_found
from local_bigquery.jobs import merge, query, runner, store
from local_bigquery.sql import script
from local_bigquery.sql.rules import NODE_RULES, partitions
from local_bigquery.sql.rules.typing import BYTES, kind
from sqlglot import exp

_SET_OF_ONE = re.compile(r"^\s*set\s*\(\s*(\w+)\s*\)\s*=\s*\(\s*select\s+as\s+struct\b", re.IGNORECASE)

_upstream_execute = query._execute
_upstream_set = script.Interpreter.set
_upstream_job = query.execute
_upstream_merge = merge.run
_upstream_objects = database.objects
_upstream_handle = runner._handle
_upstream_list = metadata.list_
_upstream_save = metadata.save
_upstream_delete = metadata.delete

_CHANGES_TABLES = re.compile(r"\b(create|alter|drop|rename|rollback|abort)\b", re.IGNORECASE)
_TEMPORARY = re.compile(r"\btemp(orary)?\b", re.IGNORECASE)
_columns: dict[tuple[str, str, str], list[Any]] = {}
_objects: dict[tuple[str, str, str], list[tuple[str, str, int]]] = {}
_kept: dict[tuple[Any, ...], list[Any]] = {}
_jobs: dict[tuple[str, str], Any] = {}


def execute_and_name_the_destination(*given: Any, **named: Any) -> Any:
    statistics, children, destination = _upstream_execute(*given, **named)
    if destination is None and statistics.statementType == "CREATE_TABLE_AS_SELECT":
        destination = statistics.ddlTargetTable or None
    return statistics, children, destination


def set_also_a_single_variable(interpreter: Any, statement: Any) -> Any:
    plain = _SET_OF_ONE.sub(r"set \1 = (select ", statement.text)
    if plain != statement.text:
        statement = copy.copy(statement)
        statement.text = plain
    return _upstream_set(interpreter, statement)


def described(*path: str) -> list[tuple[Any, ...]]:
    """Name, type and "NO" where nulls are refused, of each column; raises DuckDB's CatalogException."""
    return database.fetch(f"describe {database.quote(*path)}")


def forget() -> None:
    _columns.clear()
    _objects.clear()
    _kept.clear()


def remembered_objects(project: str, dataset: str, table: str | None = None) -> list[tuple[str, str, int]]:
    """What is not there is not remembered: whoever makes it may do so in the same job."""
    if table is None or project == "emulator":
        return object_of_that_name(project, dataset, table)
    place = (project, dataset, table)
    if place in _objects:
        return list(_objects[place])
    found = object_of_that_name(*place)
    if found:
        _objects[place] = found
    return list(found)


def remembered_list(model: Any, *keys: str) -> list[Any]:
    place = (model, *keys)
    if place not in _kept:
        _kept[place] = _upstream_list(model, *keys)
    return [one.model_copy(deep=True) for one in _kept[place]]


def save_and_forget(*given: Any) -> Any:
    try:
        return _upstream_save(*given)
    finally:
        forget()


def delete_and_forget(*given: Any) -> None:
    try:
        _upstream_delete(*given)
    finally:
        forget()


def object_of_that_name(project: str, dataset: str, table: str | None = None) -> list[tuple[str, str, int]]:
    if table is None:
        return _upstream_objects(project, dataset)
    if project == "emulator":  # results of jobs: plain tables
        with contextlib.suppress(duckdb.CatalogException):
            return [
                (
                    table,
                    "TABLE",
                    database.fetch(f"select count(*) from {database.quote(project, dataset, table)}")[0][0],
                )
            ]
        return []
    catalog = database.quote(f"__ducklake_metadata_{project}")
    return database.fetch(
        f"""
        with live as (select schema_id from {catalog}.ducklake_schema where schema_name = $1 and end_snapshot is null)
        select t.table_name, 'TABLE', coalesce(s.record_count, 0)
        from {catalog}.ducklake_table as t
        inner join live on t.schema_id = live.schema_id
        left join {catalog}.ducklake_table_stats as s on t.table_id = s.table_id
        where t.table_name = $2 and t.end_snapshot is null
        union all
        select v.view_name, 'VIEW', 0
        from {catalog}.ducklake_view as v
        inner join live on v.schema_id = live.schema_id
        where v.view_name = $2 and v.end_snapshot is null
        """,
        [dataset, table],
    )


def remembered_columns(project: str, dataset: str, table: str) -> list[Any]:
    if dataset == tables.RESULTS:
        return columns_of_that_table(project, dataset, table)
    place = (project, dataset, table)
    if place not in _columns:
        _columns[place] = columns_of_that_table(project, dataset, table)
    return list(_columns[place])


def load_and_forget(*given: Any) -> Any:
    """A load job may make a table anew."""
    try:
        return _upstream_handle(*given)
    finally:
        forget()


def save_job(job: Any) -> Any:
    _jobs[job.jobReference.projectId, job.jobReference.jobId] = job
    return job


def load_job(project: str, job_id: str) -> Any:
    return _jobs.get((project, job_id))


def columns_of_that_table(project: str, dataset: str, table: str) -> list[Any]:
    path = tables.physical(project, dataset, table)
    try:
        required = {name for name, _, nullable, *_ in described(*path) if nullable == "NO"}
        with database.cursor() as cursor:
            relation = cursor.sql(f"select * from {database.quote(*path)} limit 0")
            found = list(zip(relation.columns, relation.types, strict=True))
    except duckdb.CatalogException:
        raise not_found("Table", f"{project}:{dataset}.{table}") from None
    shown = [(name, kind) for name, kind in found if name != tables.INGESTION_TIME or dataset == tables.RESULTS]
    return [types.field(name, kind, name in required) for name, kind in shown]


def has_no_hidden_column(table: Any) -> bool:
    """No table of ours is partitioned by the time of its ingestion, which upstream keeps in a hidden column."""
    return False


class QuickCursor:
    """A cursor that looks for temporary tables only after a statement has made one."""

    any_temporary = False

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def sql(self, query: str, **more: Any) -> Any:
        if query == "SELECT table_name FROM duckdb_tables() WHERE temporary":
            some = "select name as table_name from (show tables from temp)"
            query = some if QuickCursor.any_temporary else "select '' as table_name where false"
        return self._cursor.sql(query, **more)


def execute_quickly(cursor: Any, project: str, job_id: str | None, config: Any, *given: Any, **named: Any) -> Any:
    changes_tables = _CHANGES_TABLES.search(config.query or "")
    QuickCursor.any_temporary |= _TEMPORARY.search(config.query or "") is not None
    if changes_tables:
        forget()
    try:
        return _upstream_job(QuickCursor(cursor), project, job_id, config, *given, **named)
    finally:
        if changes_tables:
            forget()


def encoded(node: Any, context: Any) -> Any:
    if isinstance(node, exp.Cast) and node.to.this in BYTES and kind(node.this) not in BYTES:
        return exp.Anonymous(this="encode", expressions=[exp.cast(node.this, "varchar")])
    return node


class InTransaction:
    """A cursor that knows, without asking DuckDB, that a transaction is open."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, sql: str, *given: Any) -> Any:
        if sql == "BEGIN":
            raise duckdb.TransactionException("a transaction is open")
        return self._cursor.execute(sql, *given)


def merge_in_transaction(cursor: Any, tree: Any, context: Any) -> Any:
    return _upstream_merge(InTransaction(cursor) if context.system.get("session_id") else cursor, tree, context)


if __name__ == "__main__":
    end_with_parent()
    query._execute = execute_and_name_the_destination
    script.Interpreter.set = set_also_a_single_variable
    database.objects = remembered_objects
    tables.columns = remembered_columns
    runner._handle = load_and_forget
    metadata.list_, metadata.save, metadata.delete = remembered_list, save_and_forget, delete_and_forget
    store.save = save_job
    store.load = load_job
    partitions._hidden = has_no_hidden_column
    query.execute = execute_quickly
    NODE_RULES.insert(0, encoded)
    merge.run = merge_in_transaction
    sys.exit(main())
