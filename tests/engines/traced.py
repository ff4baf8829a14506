"""A warehouse that keeps what every statement of `sql/` wrote or returned, to be compared between engines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

from rekindle.warehouse import Warehouse
from rekindle.warehouse.dialect import Dialect
from rekindle.warehouse.statements import statement

#: Drawn by chance: it names who tried, not what was done.
DRAWN = frozenset({"attempt_id"})
#: Made of an engine's own text.
OWN = {"audit/list_migrations": frozenset({"sha256"})}


def plain(value: Any) -> Any:
    """A value in one writing, whatever the engine."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return round(float(value), 9) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def in_order(rows: Sequence[Mapping[str, Any]], without: frozenset[str] = DRAWN) -> list[dict[str, Any]]:
    """Rows in one writing and in an order of their own, without what is drawn by chance."""
    written = [{name: plain(value) for name, value in row.items() if name not in without} for row in rows]
    return sorted(written, key=lambda row: [(value is None, str(value)) for value in row.values()])


class TracedWarehouse:
    """Does what the warehouse behind it does; `trace` is [statement, rows written or rows returned], in order."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self.trace: list[list[Any]] = []

    @property
    def dialect(self) -> Dialect:
        return self._warehouse.dialect

    @contextmanager
    def transaction(self) -> Iterator[TracedTransaction]:
        with self._warehouse.transaction() as transaction:
            yield TracedTransaction(transaction, self.trace)

    def run_script(self, sql: str) -> None:
        self._warehouse.run_script(sql)

    def run_statement(self, name: str) -> None:
        """A statement that defines something, outside a transaction."""
        self._warehouse.run_script(statement(self.dialect, name))
        self.trace.append([name, None])

    def executed(self) -> list[str]:
        """The files of `sql/queries` that have run."""
        return sorted({name.partition("?")[0] for name, _ in self.trace})


class TracedTransaction:
    """One transaction; what is not a statement of `sql/` passes unseen."""

    def __init__(self, transaction: Any, trace: list[list[Any]]) -> None:
        self._transaction = transaction
        self._trace = trace

    def execute(self, statement: str, /, **values: Any) -> int:
        written = self._transaction.execute(statement, **values)
        self._trace.append([statement, written])
        return int(written)

    def fetch(self, statement: str, /, **values: Any) -> list[dict[str, Any]]:
        rows = self._transaction.fetch(statement, **values)
        self._trace.append([statement, in_order(rows, DRAWN | OWN.get(statement, frozenset()))])
        return list(rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transaction, name)
