"""Airflow on CeleryExecutor without containers: PostgreSQL and Redis from the system's packages, two workers, and the
sandbox and receiver of the demonstration, all real processes on loopback.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import psycopg
import pytest
import redis

from rekindle.clock import SystemClock
from rekindle.demo.airflow_api import AirflowApi
from rekindle.demo.sandbox_api import SandboxApi
from rekindle.demo.stack import LOOPBACK, EventKinds, Stack, stop_stack

ROOT = Path(__file__).parents[2]
#: Where Debian keeps PostgreSQL's programs, which are not on the path.
POSTGRES_FOLDERS = ("/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/17/bin")
CAMPAIGN_DAG = "campaign__cold_lead_reengagement"
WORKERS = ("worker_one", "worker_two")
#: Small enough that one run is cut into many batches.
BATCH_SIZE = 20
#: What a provider allows a second: slow enough that a process which is not scheduled for a moment changes little.
RATES = {"sendgrid": 20, "twilio": 10}
AIRFLOW = {
    "airflow": ("api-server",),
    "scheduler": ("scheduler",),
    "dag_processor": ("dag-processor",),
}

#: Airflow asks for the name of the host a task runs on; here the name of its worker is the better answer.
WORKER_NAME = """import os


def worker_name():
    return os.environ.get("REKINDLE_TEST_WORKER", "airflow")
"""
SMALL_BATCHES = """from rekindle.planning import plan

plan.BATCH_SIZE = dict.fromkeys(plan.BATCH_SIZE, {size})
"""


def pytest_configure(config: pytest.Config) -> None:
    """A mark of its own: minutes, and programs of the system that not every machine has."""
    config.addinivalue_line("markers", "celery: starts PostgreSQL, Redis and Airflow with two Celery workers (minutes)")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def program(name: str, folders: Sequence[str] = ()) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *folders]))


def missing_programs() -> list[str]:
    wanted = {"postgres": POSTGRES_FOLDERS, "initdb": POSTGRES_FOLDERS, "redis-server": ()}
    return [name for name, folders in wanted.items() if program(name, folders) is None]


@pytest.fixture(scope="session")
def system_programs() -> None:
    """Skip, naming the packages, where PostgreSQL or Redis is not installed."""
    if missing := missing_programs():
        pytest.skip(f"{', '.join(missing)} not found; on Debian: apt-get install postgresql redis-server")


@contextmanager
def running(command: Sequence[str], log: Path, is_up: Callable[[], object]) -> Iterator[None]:
    """A process of the system's, from when it answers until the end."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not _answers(is_up):
            assert process.poll() is None, f"{command[0]} stopped:\n{log.read_text()}"
            assert time.monotonic() < deadline, f"{command[0]} does not answer:\n{log.read_text()}"
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _answers(is_up: Callable[[], object]) -> bool:
    try:
        is_up()
    except (psycopg.OperationalError, redis.ConnectionError):
        return False
    return True


@pytest.fixture(scope="session")
def postgres_url(system_programs: None) -> Iterator[str]:
    """A PostgreSQL of our own, with the database and user `airflow`; gone afterwards."""
    initdb, postgres = program("initdb", POSTGRES_FOLDERS), program("postgres", POSTGRES_FOLDERS)
    assert initdb is not None and postgres is not None
    password, port = secrets.token_hex(16), free_port()
    with tempfile.TemporaryDirectory(prefix="rekindle-postgres-") as name:
        folder = Path(name)
        (folder / "password").write_text(password)
        other_user: list[str] = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = "postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"
            other_user = ["runuser", "-u", user, "--"]
            for path in (folder, folder / "password"):
                shutil.chown(path, user)
        data = folder / "data"
        subprocess.run(
            [
                *(*other_user, initdb, "--pgdata", str(data), "--username", "airflow"),
                *("--auth", "scram-sha-256", "--pwfile", str(folder / "password"), "--encoding", "UTF8", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        url = f"postgresql://airflow:{password}@{LOOPBACK}:{port}/airflow"
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(port),
            "unix_socket_directories": str(folder),
            "fsync": "off",
            "max_connections": "200",
        }
        command = [*other_user, postgres, "-D", str(data)]
        command += [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        maintenance = url.removesuffix("airflow") + "postgres"
        with running(command, folder / "log", lambda: psycopg.connect(maintenance, connect_timeout=2).close()):
            with psycopg.connect(maintenance, autocommit=True) as connection:
                connection.execute("create database airflow")
                connection.execute("create database governor")
            yield url


@pytest.fixture(scope="session")
def redis_url(system_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of our own that keeps nothing on the disk; databases 0 (broker) and 1 (governor) are ours."""
    server = program("redis-server")
    assert server is not None
    folder, port, password = tmp_path_factory.mktemp("redis"), free_port(), secrets.token_hex(16)
    (folder / "redis.conf").write_text(
        f'bind {LOOPBACK}\nport {port}\nrequirepass {password}\nsave ""\nappendonly no\ndir {folder}\n'
    )
    url = f"redis://:{password}@{LOOPBACK}:{port}"
    with (
        closing(redis.Redis.from_url(url)) as client,
        running([server, str(folder / "redis.conf")], folder / "log", client.ping),
    ):
        yield url


@dataclass
class CeleryStack:
    """An Airflow whose tasks go to two workers through Redis; the embedded stack's own sandbox, clock and warehouse."""

    stack: Stack
    environment: dict[str, str]
    airflow: AirflowApi
    sandbox: SandboxApi
    rates: Mapping[str, int]
    workers: list[str] = field(default_factory=list)

    def start_workers(self, governor_store: str) -> None:
        """Two new worker processes that share their rates in a store; those before them end."""
        if self.workers:
            stop_stack(self.stack.home, self.workers)
        self.workers = list(WORKERS)
        for name in self.workers:
            variables = {
                "REKINDLE_TEST_WORKER": name,
                "REKINDLE_GOVERNOR_STORE": governor_store,
                "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            }
            arguments = ["celery", "worker", "--concurrency", "1", "--celery-hostname", f"{name}@{LOOPBACK}"]
            arguments += ["--pid", str(self.stack.home / f"{name}.pid")]
            self.stack.launch_airflow(name, arguments, self.environment | variables)

    def log_of(self, name: str) -> str:
        return (self.stack.logs / f"{name}.log").read_text(errors="replace")

    def run_campaign(self, as_of: datetime) -> list[dict[str, Any]]:
        """Run the campaign once, to its end; every task instance, as Airflow tells it."""
        since = SystemClock().now()
        run_id = self.airflow.trigger(CAMPAIGN_DAG, as_of, dry_run=False)
        self.airflow.await_runs([CAMPAIGN_DAG], since, lambda _: None, patience=300)
        path = f"/api/v2/dags/{CAMPAIGN_DAG}/dagRuns/{run_id}"
        assert self.airflow._get(path)["state"] == "success"
        return list(self.airflow._get(f"{path}/taskInstances", limit=500)["task_instances"])

    def answers(self) -> Mapping[str, Mapping[str, int]]:
        """How often the sandbox gave each status, by route."""
        url = f"{self.stack.sandbox_url}/_sandbox/requests"
        return dict(httpx.get(url, timeout=30, trust_env=False).raise_for_status().json())


@pytest.fixture(scope="module")
def celery_stack(
    postgres_url: str,
    redis_url: str,
    world_module: ModuleType,
    empty_warehouse: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[CeleryStack]:
    """Everything but the workers is up, and the warehouse is migrated and empty."""
    stack = Stack.fresh(tmp_path_factory.mktemp("celery") / "home")
    database = postgres_url.replace("postgresql:", "postgresql+psycopg:")
    rates = {f"REKINDLE_{account.upper()}_RATE": str(rate) for account, rate in RATES.items()}
    environment = stack.environment(EventKinds(("log_in",), ("purchase",), ())) | {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "worker_name.worker_name",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": database,
        "AIRFLOW__CELERY__BROKER_URL": f"{redis_url}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
        # the sandbox counts segments and recipients and refuses what is over the rate, as the providers do
        "REKINDLE_SANDBOX_SENDGRID_MESSAGES_PER_SECOND": str(RATES["sendgrid"]),
        "REKINDLE_SANDBOX_TWILIO_SEGMENTS_PER_SECOND": str(RATES["twilio"]),
        **rates,
    }
    stack.logs.mkdir()
    config = stack.home / "airflow" / "config"
    config.mkdir(parents=True)
    (config / "worker_name.py").write_text(WORKER_NAME)
    shutil.copy(empty_warehouse, stack.warehouse_path)
    stack.clock.step_to(world_module.START)
    with ExitStack() as open_things:
        open_things.callback(stop_stack, stack.home)
        migrated = subprocess.run(
            [str(Path(sys.executable).parent / "airflow"), "db", "migrate"],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert migrated.returncode == 0, migrated.stdout + migrated.stderr
        stack.start(environment, "none", 0, AIRFLOW)
        # the workers start later and read it
        (config / "airflow_local_settings.py").write_text(SMALL_BATCHES.format(size=BATCH_SIZE))
        airflow = open_things.enter_context(closing(AirflowApi(stack.airflow_url, "admin", stack.password)))
        sandbox = open_things.enter_context(closing(SandboxApi(stack.sandbox_url)))
        airflow.await_dags(["measure", CAMPAIGN_DAG])
        # there is no dbt project behind this warehouse: nothing may follow the campaign
        airflow._client.patch("/api/v2/dags/measure", json={"is_paused": True}).raise_for_status()
        airflow.unpause(CAMPAIGN_DAG)
        airflow.create_pools(json.loads((ROOT / "include" / "pools.json").read_text()))
        yield CeleryStack(stack, environment, airflow, sandbox, RATES)
