"""The warehouse of a task: by an Airflow connection where one is named, else as the environment says.

`REKINDLE_WAREHOUSE_CONNECTION` names the connection; its type chooses the hook: `google_cloud_platform`, `snowflake` or
`duckdb`. Without it `REKINDLE_WAREHOUSE_*`, `REKINDLE_BIGQUERY_*` and `REKINDLE_SNOWFLAKE_*` count, as for the command
line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rekindle_airflow.settings import settings

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

    from rekindle.warehouse import Warehouse


def open_warehouse() -> Warehouse:
    """The warehouse of this installation; connects only when a transaction begins.

    Raises `ConfigurationError` if the connection is of another type or lacks what its engine needs.
    """
    connection_id = settings().warehouse_connection
    if not connection_id:
        from rekindle.warehouse import open_warehouse as open_configured

        return open_configured()
    from airflow.sdk import Connection

    kind = Connection.get(connection_id).conn_type
    if kind == "google_cloud_platform":
        return _bigquery(connection_id)
    if kind == "snowflake":
        return _snowflake(connection_id)
    if kind == "duckdb":
        return _duckdb(connection_id)
    from rekindle.errors import ConfigurationError

    raise ConfigurationError(
        f"REKINDLE_WAREHOUSE_CONNECTION={connection_id} is a connection of type {kind!r};"
        " a warehouse is google_cloud_platform, snowflake or duckdb"
    )


def _bigquery(connection_id: str) -> Warehouse:
    from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook

    from rekindle.warehouse.bigquery import BigQueryWarehouse

    hook = BigQueryHook(gcp_conn_id=connection_id, use_legacy_sql=False)
    return BigQueryWarehouse(hook.get_client(project_id=hook.project_id, location=hook.location))


def _snowflake(connection_id: str) -> Warehouse:
    from rekindle.warehouse.snowflake import SESSION_PARAMETERS, SnowflakeWarehouse

    def connect() -> SnowflakeConnection:
        import snowflake.connector
        from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook

        # The hook passes no style of bound values on, so a connection takes the module's at its opening.
        before = snowflake.connector.paramstyle
        snowflake.connector.paramstyle = "qmark"
        try:
            hook = SnowflakeHook(snowflake_conn_id=connection_id, session_parameters=dict(SESSION_PARAMETERS))
            return hook.get_conn()
        finally:
            snowflake.connector.paramstyle = before

    return SnowflakeWarehouse(connect)


def _duckdb(connection_id: str) -> Any:
    from rekindle.warehouse import WarehouseSettings
    from rekindle_airflow.hooks.duckdb_hook import DuckDbHook

    warehouse = DuckDbHook(connection_id).get_conn()
    warehouse.limit(WarehouseSettings().memory_megabytes)
    return warehouse
