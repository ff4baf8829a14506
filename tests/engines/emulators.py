"""Stand-ins for BigQuery and Snowflake on this machine: installed from PyPI, repaired, started, stopped.

Two servers speak the warehouses' own protocols, so that the real clients and the real dbt adapters can talk to them:
`local-bigquery` and `snowduck`, both on DuckDB. Each wants versions that exclude ours and the other's, so each gets an
environment of its own under `.rekindle/emulators/`. `repairs/` holds what they lack; it replaces functions of exactly
these versions, hence the pins. What they do not prove is in `docs/dialects.md`.

By hand: `python tests/engines/emulators.py` starts both and prints what a shell must export.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

import filelock
import pytest

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".rekindle" / "emulators"
REPAIRS = Path(__file__).parent / "repairs"

#: local-bigquery asks for DuckDB 2, whose extensions are not on PyPI: those of 1.5.5 are, and it runs with them.
BIGQUERY_DUCKDB = "1.5.5"
BIGQUERY_EXTENSIONS = ("ducklake", "icu", "spatial")
BIGQUERY_PARTS = (
    "local-bigquery==0.4.0",
    f"duckdb=={BIGQUERY_DUCKDB}",
    *(f"duckdb-extension-{name}=={BIGQUERY_DUCKDB}" for name in BIGQUERY_EXTENSIONS),
)
#: snowduck does not import with a newer sqlglot (`no attribute 'SortArray'`).
SNOWFLAKE_PARTS = (
    "snowduck[server]==0.3.0",
    "sqlglot==30.22.0",
    "sqlglotc==30.22.0",
    "snowflake-connector-python==4.8.0",
)
PATIENCE = 60  # seconds until a started server must answer
INSTALL_PATIENCE = 600  # seconds for one environment, downloads included


class NotAvailableError(Exception):
    """A part of an emulator can not be had on this machine; the message says which and why."""


@dataclasses.dataclass(frozen=True)
class BigQueryServer:
    """Where the stand-in for BigQuery listens."""

    host: str
    port: int
    grpc_port: int
    project: str = "rekindle-test"

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What the project's settings and dbt's profile read."""
        return {
            "REKINDLE_BIGQUERY_PROJECT": self.project,
            "REKINDLE_BIGQUERY_API_ENDPOINT": self.endpoint,
            "REKINDLE_BIGQUERY_TOKEN": "of-nobody",
        }


@dataclasses.dataclass(frozen=True)
class SnowflakeServer:
    """Where the stand-in for Snowflake listens."""

    host: str
    port: int
    database: str = "REKINDLE"

    @property
    def environment(self) -> dict[str, str]:
        """What the project's settings and dbt's profile read."""
        return {
            "REKINDLE_SNOWFLAKE_ACCOUNT": "emulator",
            "REKINDLE_SNOWFLAKE_HOST": self.host,
            "REKINDLE_SNOWFLAKE_PORT": str(self.port),
            "REKINDLE_SNOWFLAKE_PROTOCOL": "http",
            "REKINDLE_SNOWFLAKE_USER": "nobody",
            "REKINDLE_SNOWFLAKE_PASSWORD": "of-nobody",
            "REKINDLE_SNOWFLAKE_DATABASE": self.database,
            "REKINDLE_SNOWFLAKE_WAREHOUSE": "REKINDLE",
            "REKINDLE_SNOWFLAKE_ROLE": "REKINDLE",
        }


def give_up(error: NotAvailableError) -> NoReturn:
    """Skip the test that needs the part; under `CI=true` fail instead: nobody looks at skips there."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"an emulator is missing: {error}")
    pytest.skip(f"an emulator is missing: {error}")


# --- installing


def install_bigquery() -> Path:
    """The folder of a ready environment; raises `NotAvailableError`."""

    def fill(folder: Path) -> None:
        interpreter = _interpreter("3.13")
        override = folder / "override.txt"
        override.write_text(f"duckdb=={BIGQUERY_DUCKDB}\n")
        python = _environment(folder, interpreter, BIGQUERY_PARTS, "--override", str(override))
        # DuckDB looks below $HOME and would download what it does not find there.
        platform = _run(
            [str(python), "-c", "import duckdb; print(duckdb.sql('pragma platform').fetchone()[0])"]
        ).strip()
        extensions = folder / "home" / ".duckdb" / "extensions" / f"v{BIGQUERY_DUCKDB}" / platform
        extensions.mkdir(parents=True)
        for file in (folder / "venv").rglob("*.duckdb_extension"):
            shutil.copy(file, extensions)
        missing = {f"{name}.duckdb_extension" for name in BIGQUERY_EXTENSIONS} - {
            file.name for file in extensions.iterdir()
        }
        if missing:
            raise NotAvailableError(f"PyPI's wheels for {platform} lack {', '.join(sorted(missing))}")

    return _installed("bigquery", BIGQUERY_PARTS, fill)


def install_snowflake() -> Path:
    """The folder of a ready environment; raises `NotAvailableError`."""

    def fill(folder: Path) -> None:
        _environment(folder, _interpreter("3.11"), SNOWFLAKE_PARTS)

    return _installed("snowflake", SNOWFLAKE_PARTS, fill)


def _installed(name: str, parts: Sequence[str], fill: Callable[[Path], None]) -> Path:
    """One environment per set of pins; whoever comes second waits for the first."""
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    folder = HOME / f"{name}-{digest}"
    HOME.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(HOME / f"{name}.lock", timeout=INSTALL_PATIENCE):
        ready = folder / "ready"
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            fill(folder)
            ready.write_text("\n".join(parts) + "\n")
    return folder


def _environment(folder: Path, interpreter: Path, parts: Sequence[str], *options: str) -> Path:
    uv = _uv()
    _run([uv, "venv", "--quiet", "--python", str(interpreter), str(folder / "venv")])
    python = folder / "venv" / "bin" / "python"
    _run([uv, "pip", "install", "--quiet", *options, "--python", str(python), *parts])
    return python


def _uv() -> str:
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if not found:
        raise NotAvailableError("uv is not there; `make setup` installs it into .venv")
    return found


def _interpreter(version: str) -> Path:
    """An interpreter of this version. pyenv's own folders come before PATH: its shims refuse an unchosen version."""
    if sys.version_info[:2] == tuple(int(part) for part in version.split(".")):
        return Path(sys.executable)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for candidate in sorted(pyenv.glob(f"{version}.*/bin/python{version}"), reverse=True):
        return candidate
    found = shutil.which(f"python{version}")
    if found and ".pyenv/shims" not in found:
        return Path(found)
    raise NotAvailableError(f"Python {version} is not on this machine (pyenv install {version})")


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_PATIENCE)
    except subprocess.CalledProcessError as error:
        told = (error.stderr or error.stdout).strip()[-1_000:]
        raise NotAvailableError(f"{' '.join(command[:4])} … failed: {told}") from None
    except subprocess.TimeoutExpired:
        raise NotAvailableError(f"{' '.join(command[:4])} … took more than {INSTALL_PATIENCE} s") from None
    return done.stdout


# --- running


@contextmanager
def bigquery_server() -> Iterator[BigQueryServer]:
    """A started stand-in for BigQuery with nothing in it; stopped at the end."""
    environment = install_bigquery()
    port, grpc_port = _free_ports(2)
    server = BigQueryServer("127.0.0.1", port, grpc_port)
    # in memory where that is to be had: it writes to its files with every statement, and waits for the disk
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="rekindle-bigquery-", dir=memory if os.access(memory, os.W_OK) else None
    ) as folder:
        command = [
            str(environment / "venv/bin/python"),
            str(REPAIRS / "bigquery_server.py"),
            *("--host", server.host, "--port", str(port), "--grpc-port", str(grpc_port)),
            *("--project", server.project, "--dataset", "unused", "--data-dir", folder),
        ]
        with _running(command, server.port, Path(folder) / "log", {"HOME": str(environment / "home")}):
            yield server


@contextmanager
def snowflake_server() -> Iterator[SnowflakeServer]:
    """A started stand-in for Snowflake with nothing in it; stopped at the end."""
    environment = install_snowflake()
    (port,) = _free_ports(1)
    server = SnowflakeServer("127.0.0.1", port)
    with tempfile.TemporaryDirectory(prefix="rekindle-snowflake-") as folder:
        command = [
            str(environment / "venv/bin/python"),
            str(REPAIRS / "snowflake_server.py"),
            *("--host", server.host, "--port", str(port)),
        ]
        with _running(command, server.port, Path(folder) / "log", {"TMPDIR": folder}):
            yield server


def create_database(server: SnowflakeServer) -> None:
    """An account has a database before it has anything else; the stand-in starts with none."""
    from rekindle.warehouse.snowflake import connect

    with connect(
        account="emulator", user="nobody", password="of-nobody", host=server.host, port=server.port, protocol="http"
    ) as connection:
        connection.cursor().execute(f"create database if not exists {server.database}")


@contextmanager
def _running(command: Sequence[str], port: int, log: Path, variables: dict[str, str]) -> Iterator[None]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SNOW", "GOOGLE_"))}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # held, so that the server ends with us
            stdout=output,
            stderr=subprocess.STDOUT,
            env=kept | variables,
            start_new_session=True,
        )
    try:
        _wait_until_it_listens(process, port, log)
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NotAvailableError(f"the emulator ended with {process.returncode}: {log.read_text()[-1_000:]}")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise NotAvailableError(f"the emulator did not listen within {PATIENCE} s: {log.read_text()[-1_000:]}")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def main() -> None:
    """Start both and keep them until interrupted."""
    with bigquery_server() as bigquery, snowflake_server() as snowflake:
        create_database(snowflake)
        for name, value in (bigquery.environment | snowflake.environment).items():
            print(f"export {name}={json.dumps(value)}", flush=True)
        print("# running; interrupt to stop", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
