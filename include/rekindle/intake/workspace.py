"""A scratch DuckDB database on disk: files of any size are checked in bounded memory."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from rekindle.identity import NAMESPACE

_STATEMENTS = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "statements"),
    undefined=StrictUndefined,
    autoescape=select_autoescape(),
    trim_blocks=True,
    lstrip_blocks=True,
)


def literal(text: str) -> str:
    """`text` as a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


_STATEMENTS.filters["literal"] = literal


class Workspace:
    """Owns the scratch database and its folder; both vanish when it is closed or forgotten."""

    def __init__(self, parent: Path | None = None, memory_limit: str = "1GB") -> None:
        """`parent` is the folder to work in (default: the system's temporary folder)."""
        self.folder = Path(tempfile.mkdtemp(prefix="rekindle-intake-", dir=parent))
        self.connection = duckdb.connect(
            self.folder / "scratch.duckdb",
            config={"memory_limit": memory_limit, "temp_directory": str(self.folder / "spill")},
        )
        self._names = 0
        self._finalizer = weakref.finalize(self, _discard, self.connection, self.folder)
        # a cast to timestamptz reads a time without a zone in the session's zone
        self.connection.execute("set TimeZone = 'UTC'")
        self.run("create_macro_parse_time")
        self.run("create_macro_uuid5_of_digest")
        self.run("create_macro_stable_id", namespace=NAMESPACE.hex)

    def name(self, hint: str) -> str:
        """A table name nobody has used yet."""
        self._names += 1
        return f"{hint}_{self._names}"

    def render(self, statement: str, **context: object) -> str:
        """The text of `statements/<statement>.sql`."""
        return _STATEMENTS.get_template(f"{statement}.sql").render(context)

    def run(self, statement: str, parameters: Mapping[str, object] | None = None, /, **context: object) -> None:
        """Execute a statement with `context` rendered into it and `parameters` bound."""
        self.connection.execute(self.render(statement, **context), parameters)

    def fetch(
        self, statement: str, parameters: Mapping[str, object] | None = None, /, **context: object
    ) -> list[tuple[Any, ...]]:
        """As `run`, and the rows it gives."""
        self.run(statement, parameters, **context)
        return self.connection.fetchall()

    def append(self, table: str, rows: pa.Table, *, is_new: bool = False) -> None:
        """Add rows to a table, or make it of them."""
        self.connection.register("arriving", rows)
        self.run("append_rows", target=table, is_new=is_new)
        self.connection.unregister("arriving")

    def drop(self, *tables: str) -> None:
        for table in tables:
            self.connection.execute(f"drop table {table}")

    def count(self, table: str) -> int:
        return len(self.connection.table(table))

    def close(self) -> None:
        """Close the database and remove its folder; a second call does nothing."""
        self._finalizer()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _discard(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    connection.close()
    shutil.rmtree(folder, ignore_errors=True)
