"""DuckDB as an Airflow connection: the path of the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk.bases.hook import BaseHook

if TYPE_CHECKING:
    from rekindle.warehouse.duckdb import DuckDbWarehouse


class DuckDbHook(BaseHook):
    """Opens the file that a connection of type `duckdb` names in its host, or in `path` of its extra."""

    conn_name_attr = "duckdb_conn_id"
    default_conn_name = "duckdb_default"
    conn_type = "duckdb"
    hook_name = "DuckDB"

    def __init__(self, duckdb_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.duckdb_conn_id = duckdb_conn_id

    def get_path(self) -> Path:
        """The file; raises `ConfigurationError` when the connection names none."""
        from rekindle.errors import ConfigurationError

        connection = self.get_connection(self.duckdb_conn_id)
        named = connection.extra_dejson.get("path") or connection.host
        if not named:
            raise ConfigurationError(
                f"the connection {self.duckdb_conn_id} names no file: set its host, or `path` in its extra"
            )
        return Path(named)

    def get_conn(self) -> DuckDbWarehouse:
        """The warehouse in that file; it is opened when a transaction begins."""
        from rekindle.warehouse.duckdb import DuckDbWarehouse

        return DuckDbWarehouse(self.get_path())
