"""What every engine offers. The SQL itself lives in `sql/queries/<area>/<verb>_<noun>.sql`, one statement a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from rekindle.warehouse.dialect import Dialect

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]
Value = Any


class Transaction(Protocol):
    """Statements that become visible together or not at all."""

    def execute(self, statement: str, /, **values: Value) -> int:
        """Run the named statement (`area/verb_noun`) and return how many rows it wrote."""
        ...

    def fetch(self, statement: str, /, **values: Value) -> list[Row]:
        """Run the named statement and return its rows; instants come back as aware UTC datetimes."""
        ...

    def insert(self, table: str, rows: Sequence[Mapping[str, Value]]) -> int:
        """Append rows to `schema.table`; every row has the same keys, which are column names."""
        ...

    def insert_table(self, table: str, rows: pa.Table) -> int:
        """Append an Arrow table by column name."""
        ...


class Warehouse(Protocol):
    """One configured warehouse. Opening it is cheap; nothing is held between transactions."""

    @property
    def dialect(self) -> Dialect:
        """Where this engine differs from the others."""
        ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Open, begin, yield, commit (or roll back on an exception), close."""
        ...

    def run_script(self, sql: str) -> None:
        """Run a rendered migration."""
        ...
