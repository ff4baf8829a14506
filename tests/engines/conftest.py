"""The two gates and the two stand-in servers, each started once per process of the test run."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import filelock
import pytest

from rekindle.clock import SteppedClock
from rekindle.warehouse import Warehouse, WarehouseSettings, open_warehouse
from rekindle.warehouse.migrate import migrate
from rekindle.warehouse.settings import Engine

#: Seconds for the days or the models on DuckDB in another process.
WAIT_FOR_ANOTHER = 240


def _module(name: str) -> ModuleType:
    """A module of this folder by its path: `tests` is no package."""
    full_name = f"rekindle_test_engines_{name}"
    if full_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(full_name, Path(__file__).parent / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full_name] = module
        spec.loader.exec_module(module)
    return sys.modules[full_name]


@pytest.fixture(scope="session")
def relations() -> ModuleType:
    return _module("relations")


@pytest.fixture(scope="session")
def traced() -> ModuleType:
    return _module("traced")


@pytest.fixture(scope="session")
def every_statement() -> ModuleType:
    return _module("every_statement")


@pytest.fixture(scope="session")
def every_step() -> ModuleType:
    return _module("every_step")


@pytest.fixture(scope="session")
def googlesql() -> ModuleType:
    return _module("googlesql")


@pytest.fixture(scope="session")
def google_sql(googlesql: ModuleType, relations: ModuleType) -> Any:
    """GoogleSQL's analyzer with every relation the statements name."""
    return googlesql.GoogleSql(relations.for_bigquery())


@pytest.fixture(scope="session")
def snowflake_sql() -> Any:
    return _module("snowflake_sql").SnowflakeSql()


@pytest.fixture(scope="session")
def emulators() -> ModuleType:
    return _module("emulators")


@pytest.fixture(scope="session")
def bigquery_emulator(emulators: ModuleType) -> Iterator[Any]:
    """A running stand-in for BigQuery; skips where it can not be had, fails under CI=true."""
    try:
        with emulators.bigquery_server() as server:
            yield server
    except emulators.NotAvailableError as error:
        emulators.give_up(error)


@pytest.fixture(scope="session")
def snowflake_emulator(emulators: ModuleType) -> Iterator[Any]:
    """A running stand-in for Snowflake; skips where it can not be had, fails under CI=true."""
    try:
        with emulators.snowflake_server() as server:
            emulators.create_database(server)
            yield server
    except emulators.NotAvailableError as error:
        emulators.give_up(error)


@pytest.fixture(scope="session")
def bigquery_warehouse(bigquery_emulator: Any, make_ready: Callable[[Warehouse], Warehouse]) -> Warehouse:
    """BigQuery as configured for an installation, migrated, with the relations of dbt as empty tables."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in bigquery_emulator.environment.items():
            patch.setenv(name, value)
        return make_ready(open_warehouse(WarehouseSettings(engine=Engine.BIGQUERY)))


@pytest.fixture(scope="session")
def snowflake_warehouse(snowflake_emulator: Any, make_ready: Callable[[Warehouse], Warehouse]) -> Warehouse:
    """Snowflake as configured for an installation, migrated, with the relations of dbt as empty tables."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in snowflake_emulator.environment.items():
            patch.setenv(name, value)
        return make_ready(open_warehouse(WarehouseSettings(engine=Engine.SNOWFLAKE)))


@pytest.fixture(scope="session")
def duckdb_warehouse(
    tmp_path_factory: pytest.TempPathFactory, make_ready: Callable[[Warehouse], Warehouse]
) -> Warehouse:
    """DuckDB, the reference."""
    path = tmp_path_factory.mktemp("reference") / "warehouse.duckdb"
    return make_ready(open_warehouse(WarehouseSettings(engine=Engine.DUCKDB, path=path)))


@pytest.fixture(scope="session")
def make_ready(world_module: ModuleType, relations: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Migrates a warehouse and makes what dbt would."""
    clock = SteppedClock(tmp_path_factory.mktemp("clock") / "clock")
    clock.step_to(world_module.START)

    def ready(warehouse: Warehouse) -> Warehouse:
        migrate(warehouse, clock)
        warehouse.run_script(relations.stand_ins_for_dbt(warehouse.dialect))
        with warehouse.transaction() as transaction:
            transaction.insert("rekindle_seeds.provider_errors", relations.provider_errors())
        return warehouse

    return ready


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[], Any]], Any]:
    """What a function returns, worked out by whichever process of the test run comes first."""

    def of(name: str, work: Callable[[], Any]) -> Any:
        folder = tmp_path_factory.getbasetemp()
        kept = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / f"{name}.json"
        with filelock.FileLock(f"{kept}.lock", timeout=WAIT_FOR_ANOTHER):
            if not kept.exists():
                kept.write_text(json.dumps(work()))
            return json.loads(kept.read_text())

    return of


@pytest.fixture(scope="session", params=["duckdb", "bigquery", "snowflake"])
def warehouse(request: pytest.FixtureRequest) -> Warehouse:
    """Each engine in turn: one body of tests."""
    return request.getfixturevalue(f"{request.param}_warehouse")
