"""The DAGs of this repository, parsed by the real Airflow in a throw-away home."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def _load_dag_docs() -> ModuleType:
    # by its path: `tests` is no package, and somebody else's may be installed
    spec = importlib.util.spec_from_file_location("rekindle_dag_docs", ROOT / "tests" / "dag_docs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DAG_DOCS = _load_dag_docs()
_HOME = tempfile.TemporaryDirectory(prefix="rekindle-dag-tests-")
# here and not in a fixture: Airflow reads its settings once, when the first test module imports it
assert "airflow" not in sys.modules, "Airflow was imported before its environment was set"
for _name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[_name]
os.environ.update(DAG_DOCS.airflow_environment(Path(_HOME.name), {}))

Probe = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session", autouse=True)
def airflow_home() -> Iterator[Path]:
    """Airflow's home for these tests; gone afterwards."""
    yield Path(_HOME.name)
    _HOME.cleanup()


@pytest.fixture(scope="module", autouse=True)
def no_settings_of_the_callers_own() -> Iterator[None]:
    """The defaults, whatever `REKINDLE_*` the caller has set; given back, because other tests ask for theirs."""
    theirs = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("REKINDLE")}
    yield
    os.environ.update(theirs)


@pytest.fixture(scope="session")
def dag_docs() -> ModuleType:
    """`tests/dag_docs.py`."""
    return DAG_DOCS


@pytest.fixture(scope="session")
def dag_bag() -> Any:
    """Everything Airflow finds in `dags/`."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(ROOT / "dags")


@pytest.fixture(scope="session")
def dags(dag_bag: Any) -> dict[str, Any]:
    """The parsed DAGs by id."""
    assert dag_bag.import_errors == {}
    return dict(dag_bag.dags)


@pytest.fixture(scope="session")
def probe() -> Probe:
    """Runs `parse_probe.py` in an interpreter of its own, so that nothing has been imported before it looks."""

    def run(what: str, outer: Mapping[str, str] | None = None, **changes: str) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="rekindle-probe-") as home:
            environment = DAG_DOCS.airflow_environment(Path(home), os.environ if outer is None else outer)
            answered = subprocess.run(
                [sys.executable, str(Path(__file__).with_name("parse_probe.py")), what],
                env=environment
                | {"PYTHONPATH": os.pathsep.join([str(ROOT / "include"), str(ROOT / "plugins")])}
                | changes,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert answered.returncode == 0, answered.stderr
            found = json.loads(answered.stdout.splitlines()[-1])
            found["left_behind"] = sorted(
                str(path.relative_to(home)) for path in Path(home).rglob("*") if path.is_file()
            )
            return dict(found)

    return run
