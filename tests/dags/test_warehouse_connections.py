"""Airflow connections become warehouses through the real hooks, which talk to the stand-in servers."""

from __future__ import annotations

import functools
import importlib.util
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rekindle.errors import ConfigurationError
from rekindle_airflow import warehouses
from rekindle_airflow.settings import Settings

NOW = datetime(2026, 1, 12, 18, 0, 0, 250000, tzinfo=UTC)


def load_emulators():
    """`tests/engines/emulators.py` by its path: `tests` is no package."""
    path = Path(__file__).parents[1] / "engines" / "emulators.py"
    spec = importlib.util.spec_from_file_location("rekindle_test_emulators_of_dags", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def connect(monkeypatch):
    """Names an Airflow connection of this type as the warehouse, the way an operator does."""

    def set_connection(conn_type, **fields):
        monkeypatch.setenv("AIRFLOW_CONN_LEADS", json.dumps({"conn_type": conn_type, **fields}))
        monkeypatch.setenv("REKINDLE_WAREHOUSE_CONNECTION", "leads")
        monkeypatch.setattr(warehouses, "settings", Settings)

    return set_connection


def answers(warehouse):
    with warehouse.transaction() as transaction:
        return transaction.query("select $as_of as as_of, $reason as reason", as_of=NOW, reason="it's")


def test_a_duckdb_connection_names_the_file(connect, tmp_path):
    connect("duckdb", host=str(tmp_path / "leads.duckdb"))
    assert answers(warehouses.open_warehouse()) == [{"as_of": NOW, "reason": "it's"}]
    assert (tmp_path / "leads.duckdb").exists()
    connect("duckdb", extra={"path": str(tmp_path / "other.duckdb")})
    assert warehouses.open_warehouse().path == tmp_path / "other.duckdb"


def test_a_bigquery_connection_goes_by_googles_hook(connect, monkeypatch):
    emulators = load_emulators()
    try:
        with emulators.bigquery_server() as server:
            # the client's own variable for an emulator, and a connection that signs in as nobody
            monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", server.endpoint)
            connect("google_cloud_platform", extra={"is_anonymous": True, "project": server.project})
            warehouse = warehouses.open_warehouse()
            assert answers(warehouse) == [{"as_of": NOW, "reason": "it's"}]
            assert warehouse.dialect.name == "bigquery"
    except emulators.NotAvailableError as error:
        emulators.give_up(error)


def test_a_snowflake_connection_goes_by_snowflakes_hook(connect, monkeypatch):
    emulators = load_emulators()
    try:
        with emulators.snowflake_server() as server:
            emulators.create_database(server)
            import snowflake.connector

            # The hook can not say "http", which only an emulator speaks.
            monkeypatch.setattr(
                snowflake.connector, "connect", functools.partial(snowflake.connector.connect, protocol="http")
            )
            extra = {"account": "emulator", "host": server.host, "port": server.port, "database": server.database}
            connect("snowflake", login="nobody", password="of-nobody", extra=extra)
            warehouse = warehouses.open_warehouse()
            assert answers(warehouse) == [{"as_of": NOW, "reason": "it's"}]
            assert snowflake.connector.paramstyle == "pyformat"
    except emulators.NotAvailableError as error:
        emulators.give_up(error)


def test_a_connection_of_another_type_is_refused_by_name(connect):
    connect("postgres", host="db.example")
    with pytest.raises(ConfigurationError, match=r"leads is a connection of type 'postgres'.*duckdb"):
        warehouses.open_warehouse()


def test_a_duckdb_connection_without_a_file_says_what_to_set(connect):
    connect("duckdb")
    with pytest.raises(ConfigurationError, match="set its host, or `path`"):
        warehouses.open_warehouse()


def test_without_a_connection_the_environment_counts(monkeypatch, tmp_path):
    monkeypatch.setenv("REKINDLE_WAREHOUSE_PATH", str(tmp_path / "w.duckdb"))
    monkeypatch.setattr(warehouses, "settings", Settings)
    assert warehouses.open_warehouse().path == tmp_path / "w.duckdb"
