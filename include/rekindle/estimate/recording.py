"""A warehouse that remembers what it was asked, so that statements are counted and not guessed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from rekindle.errors import RekindleError
from rekindle.warehouse import Transaction, Warehouse
from rekindle.warehouse.dialect import Dialect
from rekindle.warehouse.ports import Row, Value
from rekindle.warehouse.statements import statement as statement_text

if TYPE_CHECKING:
    import pyarrow as pa

_COMMENT = re.compile(r"--[^\n]*")
_TABLE = re.compile(r"\brekindle_[a-z]+\.[a-z_]+")
_WORD = re.compile(r"[a-z_][a-z0-9_]*")
_VERB = re.compile(r"\b(insert into|update|delete from|merge into|select)\b")
_LOADED = "load "  # rows handed over by the client


class Verb(StrEnum):
    """What a statement does to the table it names first."""

    SELECT = "select"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    MERGE = "merge"
    DEFINE = "define"  # a view: no row is touched

    @property
    def writes(self) -> bool:
        """Whether it is data manipulation, or definition."""
        return self is not Verb.SELECT

    @property
    def rewrites(self) -> bool:
        """Whether BigQuery charges the whole target for it."""
        return self in (Verb.UPDATE, Verb.DELETE, Verb.MERGE)


@dataclass(frozen=True, slots=True)
class Statement:
    """One kind of statement: its name, what it does, and what it touches."""

    name: str
    verb: Verb
    target: str | None
    tables: frozenset[str]  # that it reads: an insert's target only if it looks there, too
    words: frozenset[str] | None  # every identifier in it: more than the columns it reads, never fewer; None: not known

    @classmethod
    def of_text(cls, name: str, sql: str) -> Statement:
        """Read from the rendered SQL; raises `RekindleError` when it is no statement we know."""
        bare = _COMMENT.sub("", sql).lower()
        found = _VERB.search(bare)
        if found is None:
            raise RekindleError(f"sql/queries/{name}.sql does nothing that an estimate knows how to count")
        # `with … select` reads; what follows `insert into` also begins with `with`, after it
        verb = Verb(found[1].split()[0])
        target = _TABLE.search(bare, found.end())
        named = _TABLE.findall(bare)
        if verb is Verb.INSERT and target:
            named.remove(target[0])
        words = frozenset(_WORD.findall(bare))
        return cls(name, verb, target[0] if verb.writes and target else None, frozenset(named), words)

    @property
    def is_load(self) -> bool:
        """Whether it is rows that the client hands over."""
        return self.name.startswith(_LOADED)

    @classmethod
    def of_rows(cls, table: str) -> Statement:
        """Rows that the client hands over, as one insert."""
        return cls(f"{_LOADED}{table}", Verb.INSERT, table, frozenset(), frozenset())


class RecordingWarehouse:
    """Does what the warehouse behind it does and counts every statement."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self.statements: Counter[Statement] = Counter()
        self.transactions = 0

    @property
    def dialect(self) -> Dialect:
        """That of the warehouse behind."""
        return self._warehouse.dialect

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One of the warehouse behind, listened to."""
        self.transactions += 1
        with self._warehouse.transaction() as transaction:
            yield _RecordingTransaction(transaction, self.dialect, self.statements)

    def run_script(self, sql: str) -> None:
        """Passed on; migrations are not counted."""
        self._warehouse.run_script(sql)


class _RecordingTransaction:
    def __init__(self, transaction: Transaction, dialect: Dialect, statements: Counter[Statement]) -> None:
        self._transaction = transaction
        self._dialect = dialect
        self._statements = statements

    def execute(self, statement: str, /, **values: Value) -> int:
        self._count(statement)
        return self._transaction.execute(statement, **values)

    def fetch(self, statement: str, /, **values: Value) -> list[Row]:
        self._count(statement)
        return self._transaction.fetch(statement, **values)

    def insert(self, table: str, rows: Sequence[Mapping[str, Value]]) -> int:
        if rows:
            self._statements[Statement.of_rows(table)] += 1
        return self._transaction.insert(table, rows)

    def insert_table(self, table: str, rows: pa.Table) -> int:
        if rows.num_rows:
            self._statements[Statement.of_rows(table)] += 1
        return self._transaction.insert_table(table, rows)

    def _count(self, name: str) -> None:
        file = name.partition("?")[0]  # what follows are the words its file was rendered with
        self._statements[Statement.of_text(file, statement_text(self._dialect, name))] += 1
