"""Brings the warehouse's raw and state tables to this version: append-only, idempotent migrations."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from rekindle.clock import Clock
from rekindle.errors import ConfigurationError
from rekindle.warehouse.dialect import Dialect
from rekindle.warehouse.ports import Warehouse
from rekindle.warehouse.statements import migrations

_LEDGER = """
create schema if not exists {state};
create table if not exists {state}.schema_migrations (
    migration {text} not null,
    sha256 {text} not null,
    applied_at {timestamp} not null
);
"""


def ledger(dialect: Dialect) -> str:
    """The script that makes the table of applied migrations, where it is not yet there."""
    return _LEDGER.format(**dialect.context())


@dataclass(frozen=True)
class Migrated:
    """What `migrate` did."""

    applied: list[str]
    already_there: list[str]


def migrate(warehouse: Warehouse, clock: Clock) -> Migrated:
    """Apply every migration that is not recorded yet.

    Raises `ConfigurationError` if a recorded migration's file has changed since: released migrations are never edited.
    """
    warehouse.run_script(ledger(warehouse.dialect))
    with warehouse.transaction() as transaction:
        recorded = {row["migration"]: row["sha256"] for row in transaction.fetch("audit/list_migrations")}
    applied = []
    for name, script in migrations(warehouse.dialect):
        digest = hashlib.sha256(script.encode()).hexdigest()
        if name not in recorded:
            warehouse.run_script(script)
            with warehouse.transaction() as transaction:
                transaction.execute("audit/insert_migration", migration=name, sha256=digest, applied_at=clock.now())
            applied.append(name)
        elif recorded[name] != digest:
            raise ConfigurationError(
                f"sql/migrations/{name} was edited after it had been applied; restore it"
                " and put the change into a new migration"
            )
    return Migrated(applied=applied, already_there=sorted(recorded))
