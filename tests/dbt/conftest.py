"""A small warehouse in a temporary folder, and the real dbt over it."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pytest

from rekindle.backtest.models import dbt_environment
from rekindle.warehouse.dialect import DUCKDB

PROJECT = Path(__file__).parents[2] / "dbt_project"
MIGRATIONS = Path(__file__).parents[2] / "sql" / "migrations"

#: One process for a list of dbt invocations: starting dbt costs more than running this project.
RUNNER = """
import json, os, sys
import duckdb
from dbt.cli.main import dbtRunner

outcomes = []
for as_of, arguments in json.load(sys.stdin):
    if arguments[0] == "sql":
        with duckdb.connect(os.environ["REKINDLE_WAREHOUSE_PATH"]) as connection:
            connection.execute(arguments[1])
        continue
    if arguments[0] == "set":
        os.environ[arguments[1]] = arguments[2]
        continue
    os.environ["REKINDLE_AS_OF"] = as_of or ""
    outcome = dbtRunner().invoke([*arguments, "--quiet"])
    results = getattr(outcome.result, "results", None) or []
    outcomes.append({
        "exception": str(outcome.exception) if outcome.exception else None,
        "statuses": {result.node.name: str(result.status) for result in results},
        "messages": {result.node.name: result.message for result in results if str(result.status) in ("error", "fail")},
    })
print("OUTCOMES " + json.dumps(outcomes))
"""

#: Imports dbt once (1.6 s of processor time) and forks for each program it is given: what one leaves
#: behind in memory or in the environment, no other one sees.
SERVER = """
import io, json, os, sys

import dbt.adapters.duckdb
import dbt.task.build
import dbt.task.list
from dbt.cli.main import dbtRunner

for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if not child:
        said = os.open(asked["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.stdin = io.StringIO(asked["given"])
        try:
            exec(asked["program"], {})
        except BaseException as error:
            print(repr(error))
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
    print("done", flush=True)
"""
PATIENCE = 240  # seconds for one program

DAILY_SCORE = ("build", "--selector", "daily_score")
MEASURE = ("build", "--selector", "measure")
DATA_ONLY = ("build", "--exclude", "test_type:unit")


@dataclass
class BuildOutcome:
    """What one dbt invocation did, by node name."""

    exception: str | None
    statuses: dict[str, str]
    messages: dict[str, str]

    def named(self, *statuses: str) -> set[str]:
        return {name for name, status in self.statuses.items() if status in statuses}

    @property
    def trouble(self) -> set[str]:
        return self.named("error", "fail", "skipped", "runtime error")


class DbtServer:
    """The process that has dbt imported."""

    def __init__(self, folder: Path) -> None:
        self._said = folder / "said.txt"
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, program: str, given: str, environment: dict[str, str]) -> str:
        """What the program printed, who finds `given` on its standard input."""
        asked = {"program": program, "given": given, "environment": environment, "said": str(self._said)}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        readable, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        said = self._said.read_text() if self._said.exists() else "nothing"
        assert readable and self._process.stdout.readline() == "done\n", said
        return said

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


def move(file: Path, place: Path) -> None:
    """A DuckDB file, and the log of what is not in it yet: a forked process ends without writing it down."""
    for suffix in ("", ".wal"):
        written = file.with_name(file.name + suffix)
        if written.exists():
            written.rename(place.with_name(place.name + suffix))


@dataclass
class SmallWarehouse:
    """One DuckDB file with the migrations applied, and dbt pointed at it."""

    path: Path
    dbt_target: Path
    dbt: DbtServer
    environment: dict[str, str] = field(default_factory=dict)
    loaded_at: datetime = datetime(2027, 1, 1)
    printed: str = ""

    def execute(self, statement: str, *parameters: Any) -> None:
        with duckdb.connect(str(self.path)) as connection:
            connection.execute(statement, list(parameters))

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            return connection.execute(query, list(parameters)).fetchall()

    def insert(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows given as dictionaries; columns that are left out and may not be null get a plain value."""
        schema, name = table.split(".")
        with duckdb.connect(str(self.path)) as connection:
            columns = connection.execute(
                "select column_name, data_type, is_nullable from information_schema.columns "
                "where table_schema = ? and table_name = ?",
                [schema, name],
            ).fetchall()
            plain = {"BOOLEAN": False, "BIGINT": 0, "DOUBLE": 0.0, "VARCHAR": "-", "TIMESTAMP": datetime(2026, 1, 1)}
            plain["DATE"] = plain["TIMESTAMP"].date()
            known = {column for column, _, _ in columns}
            assert all(row.keys() <= known for row in rows), f"{table} has no such column"
            connection.executemany(
                f"insert into {table} values ({', '.join('?' for _ in columns)})",
                [
                    [row.get(column, plain[kind] if nullable == "NO" else None) for column, kind, nullable in columns]
                    for row in rows
                ],
            )

    def see(self, *events: tuple[str, str, datetime]) -> None:
        """Events of the company's log, as (lead, event type, instant), loaded two days after the last ones."""
        self.loaded_at += timedelta(days=2)
        self.insert(
            "rekindle_raw.events",
            [
                {
                    "event_id": f"{lead}-{event_type}-{occurred_at:%Y%m%d%H%M%S%f}",
                    "user_id": lead,
                    "event_type": event_type,
                    "occurred_at": occurred_at,
                    "loaded_at": self.loaded_at,
                }
                for lead, event_type, occurred_at in events
            ],
        )

    def run(self, *invocations: tuple[datetime | None, Sequence[str]]) -> list[BuildOutcome]:
        """Run dbt in a process of its own, once per (as_of, arguments).

        Between the runs ("sql", statement) changes the warehouse and ("set", name, value) the environment.
        """
        # a file at another path than the last one has dbt parse the whole project again (3.3 s of processor time)
        place = self.dbt_target / self.path.name
        move(self.path, place)
        try:
            said = self.dbt.run(
                RUNNER,
                json.dumps([[as_of and as_of.isoformat(), list(arguments)] for as_of, arguments in invocations]),
                {
                    **dbt_environment(PROJECT, self.dbt_target, place),
                    "DBT_WRITE_JSON": "false",
                    **self.environment,
                },
            )
        finally:
            move(place, self.path)
        self.printed = said
        marked = [line for line in said.splitlines() if line.startswith("OUTCOMES ")]
        assert marked, said
        return [BuildOutcome(**outcome) for outcome in json.loads(marked[0].removeprefix("OUTCOMES "))]

    def build(self, *invocations: tuple[datetime | None, Sequence[str]]) -> list[BuildOutcome]:
        """As `run`, and nothing may fail."""
        outcomes = self.run(*invocations)
        for outcome in outcomes:
            assert outcome.exception is None and not outcome.trouble, (outcome.exception, outcome.messages)
        return outcomes


@pytest.fixture(scope="session")
def dbt_target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all tests, so that the project is parsed once for each name of a file."""
    return tmp_path_factory.mktemp("dbt_target")


@pytest.fixture(scope="session")
def dbt_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DbtServer]:
    server = DbtServer(tmp_path_factory.mktemp("dbt_server"))
    yield server
    server.stop()


@pytest.fixture
def new_warehouse(tmp_path: Path, dbt_target: Path, dbt_server: DbtServer) -> Callable[..., SmallWarehouse]:
    """Makes warehouses with only the migrations applied; keyword arguments become environment variables of dbt."""

    def make(name: str = "warehouse", **environment: str) -> SmallWarehouse:
        target = dbt_target / name
        target.mkdir(exist_ok=True)
        warehouse = SmallWarehouse(tmp_path / f"{name}.duckdb", target, dbt_server, environment)
        with duckdb.connect(str(warehouse.path)) as connection:
            for migration in sorted(MIGRATIONS.glob("*.sql")):
                template = jinja2.Environment(autoescape=False, undefined=jinja2.StrictUndefined).from_string(
                    migration.read_text()
                )
                connection.execute(template.render(DUCKDB.context()))
        return warehouse

    return make


@pytest.fixture
def warehouse(new_warehouse: Callable[..., SmallWarehouse]) -> SmallWarehouse:
    """An empty warehouse."""
    return new_warehouse()


@pytest.fixture
def day() -> Callable[[int], datetime]:
    """The logical instant of day n of the story: 18:00 UTC."""
    return lambda number: datetime(2026, 3, 1, 18) + timedelta(days=number)


@pytest.fixture
def daily_score() -> tuple[str, ...]:
    return DAILY_SCORE


@pytest.fixture
def daily_score_without_tests() -> tuple[str, ...]:
    """For the days between, once the seeds are there."""
    return ("run", "--selector", "daily_score")


@pytest.fixture
def measure() -> tuple[str, ...]:
    return MEASURE


@pytest.fixture
def data_only() -> tuple[str, ...]:
    return DATA_ONLY
