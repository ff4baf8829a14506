"""The state model page names every table and column that the migrations make, with its type, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rekindle.clock import SystemClock
from rekindle.vocabulary import STATUS_RANK, MessageStatus
from rekindle.warehouse.duckdb import DuckDbWarehouse
from rekindle.warehouse.migrate import migrate

Tables = dict[str, dict[str, str]]


@pytest.fixture
def migrated(tmp_path: Path) -> Tables:
    """What is in a warehouse after every migration: table → column → type as the page spells it."""
    warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    migrate(warehouse, SystemClock())
    tables: Tables = {}
    with warehouse.transaction() as transaction:
        for row in transaction.query(
            "select table_schema, table_name, column_name, data_type, is_nullable from information_schema.columns"
        ):
            table = tables.setdefault(f"{row['table_schema']}.{row['table_name']}", {})
            nullable = ", null" if row["is_nullable"] == "YES" else ""
            table[row["column_name"]] = row["data_type"].lower() + nullable
    return tables


def test_the_page_and_the_migrations_agree(
    migrated: Tables, documented_tables: Callable[[str], dict[str, dict[str, str]]]
) -> None:
    assert len(migrated) > 20
    assert documented_tables("state_model.md") == migrated


def test_the_queue_page_tells_every_status_with_its_rank(
    documented_tables: Callable[[str], dict[str, dict[str, str]]],
) -> None:
    statuses = documented_tables("send_queue_contract.md")["Statuses"]
    assert statuses == {str(status): str(STATUS_RANK[status]) for status in MessageStatus}
