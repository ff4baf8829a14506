"""The embedded stack on loopback: Airflow standalone, the provider sandbox, the receiver. Started and stopped as real
processes.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import httpx
import psutil

from rekindle.clock import CLOCK_FILE_VARIABLE, SteppedClock
from rekindle.errors import RekindleError
from rekindle.project import project_root
from rekindle.sandbox.keys import load_or_create_signing_key, public_key_base64

LOOPBACK = "127.0.0.1"
_LOCAL_SETTINGS = """from rekindle_airflow.exact_sqlite_clock import start_runs_at_once_in_scheduler
from rekindle_airflow.preload import preload_in_scheduler

start_runs_at_once_in_scheduler()
preload_in_scheduler()
"""
#: What the processes need of the user's environment; no token, no proxy and no PYTHONDONTWRITEBYTECODE gets in.
_INHERITED = frozenset(
    {"HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"}
)
_MARK = "embedded_stack"  # the file that tells a stack's folder from somebody's own
_START_PATIENCE = 180  # seconds; Airflow answers after 22–36 s on two cores
#: Name → arguments of `airflow`, for every process Airflow consists of; `airflow` is the one that answers its API.
STANDALONE: Mapping[str, Sequence[str]] = {"airflow": ("standalone",)}


class StackError(RekindleError):
    """A part of the embedded stack did not come up or died; the message names its log."""


@dataclass(frozen=True)
class Ports:
    """Where the parts listen, all on loopback."""

    airflow: int
    receiver: int
    sandbox: int
    task_logs: int
    trigger_logs: int

    @classmethod
    def find(cls) -> Ports:
        """The usual ports where they are free, else the next free ones."""
        taken: set[int] = set()

        def free(preferred: int) -> int:
            for port in range(preferred, preferred + 200):
                with socket.socket() as probe:
                    if port not in taken and probe.connect_ex((LOOPBACK, port)) != 0:
                        taken.add(port)
                        return port
            raise StackError(f"no free port between {preferred} and {preferred + 200} on {LOOPBACK}")

        return cls(
            airflow=free(8080), receiver=free(8290), sandbox=free(8390), task_logs=free(8793), trigger_logs=free(8894)
        )


@dataclass(frozen=True)
class Stack:
    """Paths, ports and secrets of one embedded stack. The secrets are drawn anew at each start and never leave the
    machine.
    """

    home: Path
    ports: Ports
    twilio_token: str
    sendgrid_key: str
    token_key: str
    write_key: str
    password: str
    fernet_key: str

    @classmethod
    def fresh(cls, home: Path) -> Stack:
        """Stop what runs in `home`, empty it, and draw ports and secrets."""
        refuse_foreign_folder(home)
        stop_stack(home)
        if home.is_dir():
            shutil.rmtree(home)
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o700)
        (home / _MARK).touch()
        from cryptography.fernet import Fernet

        return cls(
            home=home,
            ports=Ports.find(),
            twilio_token=secrets.token_hex(16),
            sendgrid_key=f"SG.{secrets.token_urlsafe(16)}.{secrets.token_urlsafe(32)}",
            token_key=secrets.token_urlsafe(32),
            write_key=secrets.token_urlsafe(16),
            password=secrets.token_urlsafe(9),
            fernet_key=Fernet.generate_key().decode(),
        )

    @property
    def airflow_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.airflow}"

    @property
    def receiver_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.receiver}"

    @property
    def sandbox_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.sandbox}"

    @property
    def warehouse_path(self) -> Path:
        return self.home / "warehouse.duckdb"

    @property
    def inbox(self) -> Path:
        return self.home / "inbox"

    @property
    def landing(self) -> Path:
        return self.home / "landing"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def clock(self) -> SteppedClock:
        return SteppedClock(self.home / "clock")

    @property
    def account_sid(self) -> str:
        return "AC" + "0" * 32

    def environment(self, kinds: EventKinds) -> dict[str, str]:
        """The environment of every process of the stack: Airflow's configuration, connections, and Rekindle's
        settings.
        """
        root = project_root()
        bin_folder = Path(sys.executable).parent
        public_key = public_key_base64(load_or_create_signing_key(self.home / "sendgrid_signing_key.pem"))
        passwords = self.home / "airflow_passwords.json"
        if not passwords.exists():
            passwords.write_text(json.dumps({"admin": self.password}))
            passwords.chmod(0o600)
        sendgrid = {"conn_type": "http", "host": self.sandbox_url, "password": self.sendgrid_key}
        twilio = {
            "conn_type": "http",
            "host": self.sandbox_url,
            "login": self.account_sid,
            "password": self.twilio_token,
            "extra": {
                "account_sid": self.account_sid,
                "messaging_service_sid": "MG" + "0" * 32,
                "lookup_host": self.sandbox_url,
            },
        }
        inherited = {name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith("LC_")}
        return inherited | {
            "PATH": f"{bin_folder}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONPATH": f"{root / 'include'}{os.pathsep}{root / 'plugins'}",
            "PYTHONUNBUFFERED": "1",
            "AIRFLOW_HOME": str(self.home / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(root / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(root / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__FERNET_KEY": self.fernet_key,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__API__HOST": LOOPBACK,
            "AIRFLOW__API__PORT": str(self.ports.airflow),
            "AIRFLOW__API__BASE_URL": self.airflow_url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.airflow_url}/execution/",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(self.ports.task_logs),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(self.ports.trigger_logs),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3600",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
            "AIRFLOW_CONN_SENDGRID_DEFAULT": json.dumps(sendgrid),
            "AIRFLOW_CONN_TWILIO_DEFAULT": json.dumps(twilio),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "False",
            "DO_NOT_TRACK": "1",
            CLOCK_FILE_VARIABLE: str(self.clock.path),
            "REKINDLE_PROJECT_ROOT": str(root),
            "REKINDLE_WAREHOUSE_PATH": str(self.warehouse_path),
            "REKINDLE_INBOX_ROOT": str(self.inbox),
            "REKINDLE_LANDING_ROOT": str(self.landing),
            "REKINDLE_GOVERNOR_ROOT": str(self.home / "governor"),
            "REKINDLE_DBT_CACHE_ROOT": str(self.home / "dbt_cache"),
            "REKINDLE_PUBLIC_BASE_URL": self.receiver_url,
            "REKINDLE_APP_URL": f"{self.sandbox_url}/",
            "REKINDLE_TOKEN_KEYS": self.token_key,
            "REKINDLE_SENDGRID_WEBHOOK_PUBLIC_KEY": public_key,
            "REKINDLE_TWILIO_AUTH_TOKEN": self.twilio_token,
            "REKINDLE_SEGMENT_WRITE_KEYS": self.write_key,
            "REKINDLE_SENDER_NAME": "Example Records",
            "REKINDLE_DAILY_SCHEDULE": "",  # the demonstration steps the days itself
            "REKINDLE_INGEST_SCHEDULE": "",
            "REKINDLE_REFRESH_SCHEDULE": "",
            "REKINDLE_TWILIO_RATE": "1000",  # segments a second: nobody's carrier waits behind the sandbox
            "REKINDLE_LOGIN_EVENTS": ",".join(kinds.login),
            "REKINDLE_KEY_ACTION_EVENTS": ",".join(kinds.key_action),
            "REKINDLE_PASSIVE_EVENTS": ",".join(kinds.passive),
        }

    def start(
        self,
        environment: dict[str, str],
        reactions: str,
        seed: int,
        airflow: Mapping[str, Sequence[str]] = STANDALONE,
    ) -> None:
        """Start sandbox, receiver and Airflow, and wait until each answers. Raises `StackError` naming the log of what
        did not.
        """
        self.logs.mkdir(exist_ok=True)
        local_settings = self.home / "airflow" / "config" / "airflow_local_settings.py"
        local_settings.parent.mkdir(parents=True, exist_ok=True)
        local_settings.write_text(_LOCAL_SETTINGS)
        rekindle = [sys.executable, "-m", "rekindle.cli"]
        sandbox = {
            "REKINDLE_SANDBOX_SENDGRID_API_KEY": self.sendgrid_key,
            "REKINDLE_SANDBOX_SENDGRID_SIGNING_KEY_PATH": str(self.home / "sendgrid_signing_key.pem"),
            "REKINDLE_SANDBOX_TWILIO_ACCOUNT_SID": self.account_sid,
            "REKINDLE_SANDBOX_TWILIO_AUTH_TOKEN": self.twilio_token,
            "REKINDLE_SANDBOX_SEGMENT_WRITE_KEY": self.write_key,
        }
        commands = {
            "receiver": ([*rekindle, "receiver", "--port", str(self.ports.receiver)], environment),
            "sandbox": (
                [
                    *(*rekindle, "sandbox", "--port", str(self.ports.sandbox)),
                    *("--receiver-base-url", self.receiver_url, "--reactions", reactions, "--seed", str(seed)),
                    *("--record", str(self.home / "sandbox_messages.jsonl")),
                ],
                environment | sandbox,
            ),
        }
        for name, (command, variables) in commands.items():
            self._launch(name, command, variables)
        for name, arguments in airflow.items():
            self.launch_airflow(name, arguments, environment)
        (self.home / "ports.json").write_text(json.dumps(asdict(self.ports)))
        self._await("receiver", f"{self.receiver_url}/healthz", lambda answer: answer.is_success)
        self._await("sandbox", f"{self.sandbox_url}/_sandbox/healthz", lambda answer: answer.is_success)
        self._await("airflow", f"{self.airflow_url}/api/v2/monitor/health", _all_healthy, airflow)

    def launch_airflow(self, name: str, arguments: Sequence[str], environment: dict[str, str]) -> None:
        """Start one process of Airflow under a name; it ends with the stack. Its log is `logs/<name>.log`."""
        self._launch(name, [str(Path(sys.executable).parent / "airflow"), *arguments], environment)

    def _launch(self, name: str, command: Sequence[str], environment: dict[str, str]) -> None:
        with (self.logs / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own commands
                command,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=project_root(),
                start_new_session=True,
            )
        _remember_process(self.home, name, process.pid)

    def _await(
        self, name: str, url: str, is_up: Callable[[httpx.Response], bool], processes: Iterable[str] = ()
    ) -> None:
        deadline = time.monotonic() + _START_PATIENCE
        log = self.logs / f"{name}.log"
        while time.monotonic() < deadline:
            for process in (name, *processes):
                if not _is_running(self.home, process):
                    log = self.logs / f"{process}.log"
                    raise StackError(f"{process} stopped while starting; the end of {log}:\n{_tail(log)}")
            try:
                if is_up(httpx.get(url, timeout=5, trust_env=False)):
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.25)
        raise StackError(f"{name} did not answer at {url} within {_START_PATIENCE} s; the end of {log}:\n{_tail(log)}")


@dataclass(frozen=True)
class EventKinds:
    """Which event types of the log mean what."""

    login: tuple[str, ...]
    key_action: tuple[str, ...]
    passive: tuple[str, ...]


def refuse_foreign_folder(home: Path) -> None:
    """Raise `StackError` if the folder holds something that is not an embedded stack's."""
    is_ours = (home / _MARK).exists() or home == project_root() / ".rekindle"
    if home.is_dir() and any(home.iterdir()) and not is_ours:
        raise StackError(f"{home} is not empty and was not made by `rekindle demo`; name another with --home")


def stop_stack(home: Path, names: Collection[str] | None = None) -> list[str]:
    """Stop every process of the stack in `home` and its children, or only the named ones; returns the names of what was
    running.
    """
    stopped, family = [], []
    for name, (pid, created) in _remembered_processes(home).items():
        if names is not None and name not in names:
            continue
        try:
            process = psutil.Process(pid)
            if abs(process.create_time() - created) > 2:  # the number was given to somebody else since
                continue
            family += [*process.children(recursive=True), process]
        except psutil.NoSuchProcess:
            continue
        stopped.append(name)
    for member in family:
        _signal(member, psutil.Process.terminate)
    _, alive = psutil.wait_procs(family, timeout=10)
    for member in alive:
        _signal(member, psutil.Process.kill)
    psutil.wait_procs(alive, timeout=5)
    if names is None:
        (home / "processes.json").unlink(missing_ok=True)
    return stopped


def _signal(process: psutil.Process, send: Callable[[psutil.Process], None]) -> None:
    try:
        send(process)
    except psutil.NoSuchProcess:
        return


def _remember_process(home: Path, name: str, pid: int) -> None:
    remembered = _remembered_processes(home) | {name: (pid, psutil.Process(pid).create_time())}
    (home / "processes.json").write_text(json.dumps(remembered))


def _remembered_processes(home: Path) -> dict[str, tuple[int, float]]:
    file = home / "processes.json"
    return (
        {name: (pid, created) for name, (pid, created) in json.loads(file.read_text()).items()} if file.exists() else {}
    )


def _is_running(home: Path, name: str) -> bool:
    pid, _ = _remembered_processes(home)[name]
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _all_healthy(answer: httpx.Response) -> bool:
    if not answer.is_success:
        return False
    parts = answer.json()
    return all(parts[name]["status"] == "healthy" for name in ("metadatabase", "scheduler", "dag_processor"))


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def describe_instant(instant: datetime) -> str:
    """As people read it on the progress bar."""
    return f"{instant:%a %Y-%m-%d}"
