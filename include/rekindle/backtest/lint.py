"""What is wrong with what analysts edit in the dbt project: the seeds of the score, and the mapping of tables."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from rekindle.backtest.rules import read_rules
from rekindle.errors import ConfigurationError
from rekindle.intake.mapping import ColumnsOf, check_mapping
from rekindle.warehouse.duckdb import DuckDbWarehouse
from rekindle.warehouse.settings import Engine, WarehouseSettings
from rekindle.warehouse.statements import with_words


def lint_models(project: Path) -> list[str]:
    """One line for each thing that can not be used, naming file and row.

    The mapping's columns are looked up where the embedded warehouse is; other engines look when they build.
    """
    complaints = []
    try:
        read_rules(project / "seeds")
    except ConfigurationError as error:
        complaints.append(f"error: {error}")
    complaints += [str(complaint) for complaint in check_mapping(project / "dbt_project.yml", _columns_of())]
    return complaints


def _columns_of() -> ColumnsOf | None:
    """How to look up a table's columns; None when there is no embedded warehouse to look into."""
    settings = WarehouseSettings()
    if settings.engine is not Engine.DUCKDB or not settings.path.exists():
        return None
    warehouse = DuckDbWarehouse(settings.path)

    def columns_of(schema: str, table: str) -> Collection[str] | None:
        with warehouse.transaction() as transaction:
            rows = transaction.fetch(with_words("backtest/list_columns", schema=schema.lower()), table=table)
        return [str(row["column_name"]) for row in rows] or None

    return columns_of
