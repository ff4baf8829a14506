"""Which warehouse this installation uses."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from rekindle.errors import ConfigurationError
from rekindle.project import project_root
from rekindle.warehouse.ports import Warehouse


class Engine(StrEnum):
    DUCKDB = "duckdb"
    BIGQUERY = "bigquery"
    SNOWFLAKE = "snowflake"


class WarehouseSettings(BaseSettings):
    """Read from `REKINDLE_WAREHOUSE_*`; the default is the embedded DuckDB file."""

    model_config = SettingsConfigDict(env_prefix="REKINDLE_WAREHOUSE_")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            problems = error.errors(include_input=False, include_url=False)
            told = "; ".join(f"REKINDLE_WAREHOUSE_{str(one['loc'][0]).upper()}: {one['msg']}" for one in problems)
            raise ConfigurationError(told) from None

    engine: Engine = Engine.DUCKDB
    path: Path = project_root() / ".rekindle" / "warehouse.duckdb"
    #: What the embedded engine may take of one task's memory.
    memory_megabytes: int = Field(default=2_000, ge=256)


def open_warehouse(settings: WarehouseSettings | None = None) -> Warehouse:
    """The configured warehouse; connects only when a transaction begins."""
    settings = settings or WarehouseSettings()
    if settings.engine is Engine.DUCKDB:
        from rekindle.warehouse.duckdb import DuckDbWarehouse

        warehouse = DuckDbWarehouse(settings.path)
        warehouse.limit_memory(settings.memory_megabytes)
        return warehouse
    raise ConfigurationError(
        f"REKINDLE_WAREHOUSE_ENGINE={settings.engine} has its models in dbt,"
        " but the state statements run on duckdb only so far; set REKINDLE_WAREHOUSE_ENGINE=duckdb"
    )
