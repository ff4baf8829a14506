"""What every test lives under: no network but this machine, and one way to make a small warehouse."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import pytest_socket

#: Folders in which a test takes seconds, the longest first.
_LONG = ("faults", "engines", "dbt")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first. pytest-xdist gives each process a stretch of the list and lets who is done take from the end of
    another's: so short ones are left for the end, when one process would wait for the other's last test, and what is
    dear to start (stand-in servers, a parsed dbt project) is started in one process rather than in both.
    """
    tests = Path(__file__).parent
    rank = {folder: number for number, folder in enumerate(_LONG)}
    items.sort(key=lambda item: rank.get(item.path.relative_to(tests).parts[0], len(_LONG)))


@pytest.fixture(autouse=True)
def only_this_machine() -> None:
    """Refuse every connection that leaves this machine; the plugin lifts it after each test."""
    pytest_socket.socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)


@pytest.fixture(scope="session")
def world_module() -> ModuleType:
    """`tests/sql/world.py`, loaded by its path: `tests` is no package, and somebody else's may be installed."""
    spec = importlib.util.spec_from_file_location("rekindle_test_world", Path(__file__).parent / "sql" / "world.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def empty_warehouse(world_module: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated DuckDB file to copy: migrating takes longer than most tests."""
    return world_module.build_empty_warehouse(tmp_path_factory.mktemp("template") / "warehouse.duckdb")


@pytest.fixture
def new_world(world_module: ModuleType, empty_warehouse: Path, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes worlds (see `tests/sql/world.py`), each in a folder of its own; the words are the campaign's."""
    made: list[Any] = []

    def make(**changes: Any) -> Any:
        made.append(world_module.World(tmp_path / f"world-{len(made)}", empty_warehouse, **changes))
        return made[-1]

    yield make
    for each in made:
        each.let_go()


@pytest.fixture
def world(new_world: Callable[..., Any]) -> Any:
    """One small warehouse with the campaign of `include/campaigns`, and nobody in it."""
    return new_world()
