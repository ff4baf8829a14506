"""The real `rekindle demo` as a user runs it: a process of its own, its home and `$HOME` below the test's folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest

from rekindle.demo.airflow_api import AirflowApi

ROOT = Path(__file__).parents[2]
SCHEMAS = ("rekindle_raw", "rekindle_state", "rekindle_marts", "rekindle_activation")
#: Emptied by the next planning pass (sql/migrations/0007): what it holds is how a pass works, not what came of it.
WORKING_TABLES = {"rekindle_state.due_entries"}

Rows = dict[str, list[str]]


@dataclass
class Demonstration:
    """One embedded stack: what it printed, what it wrote, what of it is running."""

    home: Path
    user_home: Path
    project: Path = ROOT
    output: str = ""
    errors: str = ""
    returncode: int = -1

    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "REKINDLE"))}
        return inherited | {
            "PYTHONPATH": str(ROOT / "include"),
            "REKINDLE_PROJECT_ROOT": str(self.project),
            "HOME": str(self.user_home),
            "COLUMNS": "220",
        }

    def rekindle(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the `rekindle` command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "rekindle.cli", *arguments],
            env=self.environment() | variables,
            cwd=self.user_home,
            capture_output=True,
            text=True,
            timeout=1_100,
            check=False,
        )

    def begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a demonstration without waiting for its end."""
        return subprocess.Popen(
            [sys.executable, "-m", "rekindle.cli", "demo", "--home", str(self.home), *arguments],
            env=self.environment(),
            cwd=self.user_home,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def run(self, *arguments: str) -> None:
        done = self.rekindle("demo", "--home", str(self.home), *arguments)
        self.output, self.errors, self.returncode = done.stdout, done.stderr, done.returncode

    def check(self) -> subprocess.CompletedProcess[str]:
        return self.rekindle("check", REKINDLE_WAREHOUSE_PATH=str(self.warehouse))

    def down(self) -> subprocess.CompletedProcess[str]:
        return self.rekindle("demo", "--down", "--home", str(self.home))

    @property
    def warehouse(self) -> Path:
        return self.home / "warehouse.duckdb"

    @property
    def ports(self) -> dict[str, int]:
        return dict(json.loads((self.home / "ports.json").read_text()))

    def processes(self) -> list[psutil.Process]:
        """Every process the demonstration started, children of children included."""
        remembered = json.loads((self.home / "processes.json").read_text())
        parents = [psutil.Process(pid) for pid, _ in remembered.values()]
        return [*parents, *(child for parent in parents for child in parent.children(recursive=True))]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def rows(self) -> Rows:
        """Every row of every table of ours, sorted: the warehouse's fingerprint, legible where it differs."""
        found: Rows = {}
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            tables = connection.execute(
                "select table_schema || '.' || table_name from information_schema.tables"
                f" where table_schema in {SCHEMAS!r}"
            ).fetchall()
            for (table,) in sorted(tables):
                if table not in WORKING_TABLES:
                    found[table] = sorted(map(repr, connection.execute(f"select * from {table}").fetchall()))
        return found

    @contextmanager
    def airflow(self) -> Iterator[AirflowApi]:
        password = json.loads((self.home / "airflow_passwords.json").read_text())["admin"]
        with closing(AirflowApi(f"http://127.0.0.1:{self.ports['airflow']}", "admin", password)) as api:
            yield api

    def tables_printed(self) -> dict[str, list[list[str]]]:
        """The printed tables by title; cells as they stand."""
        tables: dict[str, list[list[str]]] = {}
        lines = self.output.splitlines()
        title = ""
        for number, line in enumerate(lines):
            if line.startswith(("┏", "┌")) and number:
                title = lines[number - 1].strip()
                tables[title] = []
            elif line.startswith("│") and title:
                tables[title].append([cell.strip() for cell in line.strip("│").split("│")])
            elif not line.strip():
                title = ""
        return tables


@pytest.fixture(scope="module")
def new_demonstration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Demonstration]]:
    """Makes demonstrations and sees to it that none outlives the tests."""
    made: list[Demonstration] = []

    def make(project: Path = ROOT) -> Demonstration:
        folder = tmp_path_factory.mktemp("demonstration")
        (folder / "user").mkdir()
        made.append(Demonstration(folder / "home", folder / "user", project))
        return made[-1]

    yield make
    for each in made:
        each.down()


@pytest.fixture(scope="module")
def project_that_asks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This repository with one campaign more, `asks_first`: the same steps for who cancelled, with a limit that
    all are above.
    """
    project = tmp_path_factory.mktemp("project")
    (project / "include").mkdir()
    for path in [ROOT / name for name in ("dags", "plugins", "sql", "dbt_project")]:
        (project / path.name).symlink_to(path)
    for path in (ROOT / "include").iterdir():
        (project / "include" / path.name).symlink_to(path)
    for folder in (project / "include" / "campaigns", project / "include" / "templates"):
        folder.unlink()
        shutil.copytree(ROOT / "include" / folder.name, folder)
    campaigns, templates = project / "include" / "campaigns", project / "include" / "templates"
    text = (campaigns / "cold_lead_reengagement.yaml").read_text()
    for given, instead in (
        # on one day one campaign writes to a person: these are other people than those of the day's campaign
        ("activation_model: sync_cold_leads\n", "activation_model: sync_cancelled_subscriptions\n"),
        ("\npriority: 50\n", "\npriority: 51\n\napproval: {above_messages: 0}\n"),
    ):
        assert text.count(given) == 1
        text = text.replace(given, instead)
    (campaigns / "asks_first.yaml").write_text(text)
    shutil.copytree(templates / "cold_lead_reengagement", templates / "asks_first")
    return project


@pytest.fixture(scope="session")
def is_listening() -> Callable[[int], bool]:
    """Whether something on this machine answers at a port."""

    def ask(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return ask


@pytest.fixture(scope="session")
def differing_rows() -> Callable[[Rows, Rows], dict[str, tuple[list[str], list[str]]]]:
    """Table → a few rows that went and a few that came; empty when two fingerprints are equal."""

    def compare(before: Rows, after: Rows) -> dict[str, tuple[list[str], list[str]]]:
        return {
            table: (
                sorted(set(before.get(table, [])) - set(after.get(table, [])))[:3],
                sorted(set(after.get(table, [])) - set(before.get(table, [])))[:3],
            )
            for table in sorted(before.keys() | after.keys())
            if before.get(table) != after.get(table)
        }

    return compare


@pytest.fixture(scope="session")
def await_run() -> Callable[[AirflowApi, str, str], dict[str, str]]:
    """Waits until one DAG run is over; state per task, and of the run as `run`."""

    def wait(airflow: AirflowApi, dag_id: str, run_id: str) -> dict[str, str]:
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"
        deadline = time.monotonic() + 300
        while (state := airflow._get(path)["state"]) not in ("success", "failed"):
            assert time.monotonic() < deadline, f"{dag_id} {run_id} is still {state}"
            time.sleep(0.3)
        tasks = airflow._get(f"{path}/taskInstances", limit=200)["task_instances"]
        return {"run": state, **{task["task_id"]: task["state"] for task in tasks}}

    return wait


@pytest.fixture(scope="session")
def await_question() -> Callable[[AirflowApi, str, str], dict[str, Any]]:
    """Waits until a run waits for a person; what the person is asked."""

    def wait(airflow: AirflowApi, dag_id: str, run_id: str) -> dict[str, Any]:
        task = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/approve_run"
        deadline = time.monotonic() + 300
        while (state := airflow._get(task)["state"]) != "awaiting_input":
            assert time.monotonic() < deadline and state not in ("failed", "success"), f"{dag_id} {run_id}: {state}"
            time.sleep(0.3)
        return airflow._get(f"{task}/-1/hitlDetails")

    return wait


@pytest.fixture(scope="session")
def answer() -> Callable[[AirflowApi, str, str, str], None]:
    """Answers a run that waits, as the button in Airflow's page does."""

    def give(airflow: AirflowApi, dag_id: str, run_id: str, option: str) -> None:
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/approve_run/-1/hitlDetails"
        airflow._client.patch(path, json={"chosen_options": [option], "params_input": {}}).raise_for_status()

    return give


@pytest.fixture(scope="session")
def newest_run() -> Callable[[AirflowApi, str], str]:
    """The id of the run of a DAG that started last."""

    def find(airflow: AirflowApi, dag_id: str) -> str:
        runs = airflow._get(f"/api/v2/dags/{dag_id}/dagRuns", limit=1, order_by="-start_date")["dag_runs"]
        return str(runs[0]["dag_run_id"])

    return find


@pytest.fixture(scope="session")
def quiet_since() -> Callable[[AirflowApi, datetime], dict[str, str]]:
    """Waits until nothing runs any more; state per DAG of the runs that began since an instant."""

    def wait(airflow: AirflowApi, since: datetime) -> dict[str, str]:
        deadline = time.monotonic() + 300
        calm = 0
        while calm < 6:  # two seconds: long enough for an asset event to start its DAG
            runs = airflow._get("/api/v2/dags/~/dagRuns", limit=100, order_by="-run_after")["dag_runs"]
            calm = 0 if any(run["state"] in ("running", "queued") for run in runs) else calm + 1
            assert time.monotonic() < deadline, runs
            time.sleep(0.35)
        began = [run for run in runs if re.match(r"\d{4}", run["start_date"] or "") and _at(run) >= since]
        return {run["dag_id"]: run["state"] for run in began}

    return wait


def _at(run: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(run["start_date"]).astimezone(UTC)
