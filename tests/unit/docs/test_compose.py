"""docker-compose.yaml: nothing is reachable from elsewhere, everything tells its health, every secret is in .env."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from rekindle.governor.settings import GovernorSettings
from rekindle.receiver.settings import ReceiverSettings
from rekindle.warehouse.settings import BigQuerySettings, SnowflakeSettings, WarehouseSettings
from rekindle_airflow.listening import ListeningSettings
from rekindle_airflow.reply_notifier import ReplySettings
from rekindle_airflow.settings import Settings

VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)")
SET_IN_EXAMPLE = re.compile(r"^(?:# )?([A-Z][A-Z_]+)=", re.MULTILINE)


#: What the file uses of https://github.com/compose-spec/compose-spec/blob/main/schema/compose-spec.json. A mistyped key
#: stops compose; here it is seen without it.
TOP = {"name", "networks", "services", "volumes"}
SERVICE = {
    "build", "cap_drop", "command", "depends_on", "environment", "healthcheck", "image", "network_mode", "networks",
    "ports", "profiles", "read_only", "restart", "security_opt", "stop_grace_period", "tmpfs", "volumes",
}  # fmt: skip
HEALTHCHECK = {"interval", "retries", "start_period", "test", "timeout"}
CONDITIONS = {"service_completed_successfully", "service_healthy", "service_started"}


@pytest.fixture
def content(repository: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((repository / "docker-compose.yaml").read_text())
    return read


@pytest.fixture
def services(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["services"]
    return found


def test_every_key_is_one_that_compose_knows(content: dict[str, Any]) -> None:
    assert {key for key in content if not key.startswith("x-")} == TOP
    for name, service in content["services"].items():
        assert set(service) <= SERVICE, name
        assert set(service.get("healthcheck", {})) <= HEALTHCHECK, name
        assert set(service.get("build", {})) <= {"context", "dockerfile_inline"}, name


def test_whatever_is_named_is_there(content: dict[str, Any]) -> None:
    services = content["services"]
    for name, service in services.items():
        for awaited, how in service.get("depends_on", {}).items():
            assert how["condition"] in CONDITIONS, name
            assert awaited in services, name
            assert how["condition"] != "service_healthy" or "healthcheck" in services[awaited], name
        assert set(service.get("networks", [])) <= set(content["networks"]), name
        assert {volume.split(":")[0] for volume in service.get("volumes", [])} <= set(content["volumes"]), name
    used = {network for service in services.values() for network in service.get("networks", [])}
    assert used == set(content["networks"])


def test_what_the_image_copies_is_in_the_repository(repository: Path, services: dict[str, Any]) -> None:
    recipe = services["receiver"]["build"]["dockerfile_inline"]
    copied = re.findall(r"^COPY (\S+) \S+$", recipe, re.MULTILINE)
    assert len(copied) == 7
    for name in copied:
        assert (repository / name).exists(), name
    # the last user of the image is not root, and nothing of .env is in it
    assert re.findall(r"^USER (\w+)$", recipe, re.MULTILINE) == ["airflow"]


def test_only_the_worker_has_what_a_task_needs(services: dict[str, Any]) -> None:
    """Accounts, keys and the warehouse: neither who schedules nor who parses nor who serves the pages has them."""
    tasks_own = re.compile("AIRFLOW_CONN|TOKEN_KEYS|SNOWFLAKE|BIGQUERY|GOVERNOR|WAREHOUSE|WRITE_KEYS|AUTH_TOKEN")
    having = {
        name
        for name, service in services.items()
        if [variable for variable in service.get("environment", {}) if tasks_own.search(variable)]
    }
    assert having == {"airflow-worker", "receiver", "sandbox", "sandbox-receiver"}
    with_warehouse = {
        name for name, service in services.items() if "rekindle-data:/var/lib/rekindle" in service.get("volumes", [])
    }
    assert with_warehouse == {"airflow-worker", "sandbox"}
    read_only = "rekindle-landing:/var/lib/rekindle/landing:ro"
    assert read_only in services["airflow-triggerer"]["volumes"]


def test_database_and_broker_are_on_a_network_without_a_way_out(content: dict[str, Any]) -> None:
    assert content["networks"] == {"inner": {"internal": True}, "outer": None, "edge": None}
    attached = {name: service.get("networks") for name, service in content["services"].items()}
    assert attached["postgres"] == attached["redis"] == ["inner"]
    assert {name for name, networks in attached.items() if networks and "outer" in networks} == {
        "airflow-worker",  # calls the providers
        "airflow-apiserver",  # a port can be published on a network with a way out only
    }


def test_no_part_of_ours_has_a_right_of_roots(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if "build" in service:
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
    assert services["receiver"]["read_only"] is True


def test_only_loopback_is_published(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"airflow-apiserver": ["127.0.0.1:8080:8080"], "receiver": ["127.0.0.1:8290:8290"]}


def test_whatever_keeps_running_tells_its_health(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "healthcheck" not in service] == ["airflow-init"]


def test_the_example_sets_every_variable_that_is_used(repository: Path) -> None:
    used = set(VARIABLE.findall((repository / "docker-compose.yaml").read_text()))
    told = set(SET_IN_EXAMPLE.findall((repository / ".env.example").read_text()))
    assert used == told


def test_no_secret_has_a_default(repository: Path) -> None:
    text = (repository / ".env.example").read_text()
    for name in re.findall(r"^([A-Z_]*(?:PASSWORD|SECRET|KEY|KEYS|TOKEN))=(.*)$", text, re.MULTILINE):
        assert name[1] == "", f"{name[0]} ships with a value"


def test_the_sandbox_shares_the_workers_network(services: dict[str, Any]) -> None:
    in_profile = {name for name, service in services.items() if service.get("profiles") == ["sandbox"]}
    assert in_profile == {"sandbox", "sandbox-receiver"}
    assert {services[name]["network_mode"] for name in in_profile} == {"service:airflow-worker"}


def test_the_receiver_sees_neither_warehouse_nor_database(services: dict[str, Any]) -> None:
    receiver = services["receiver"]
    assert receiver["networks"] == ["edge"]
    assert receiver["volumes"] == ["rekindle-landing:/var/lib/rekindle/landing"]
    assert not [name for name in receiver["environment"] if name.startswith("AIRFLOW")]


def test_settings_are_those_the_code_reads(services: dict[str, Any]) -> None:
    """A mistyped REKINDLE_ variable would be ignored in silence."""
    read = (Settings, ReceiverSettings, GovernorSettings, ListeningSettings, ReplySettings)
    known = {f"REKINDLE_{name.upper()}" for settings in read for name in settings.model_fields}
    for settings in (WarehouseSettings, BigQuerySettings, SnowflakeSettings):
        known |= {f"{settings.model_config['env_prefix']}{name.upper()}" for name in settings.model_fields}
    of_dbt = {"REKINDLE_LOGIN_EVENTS", "REKINDLE_KEY_ACTION_EVENTS", "REKINDLE_PASSIVE_EVENTS"}
    of_dbt |= {"REKINDLE_COHORT_TIMES_USUAL", "REKINDLE_STALE_AFTER_HOURS"}
    known |= of_dbt | {"REKINDLE_PROJECT_ROOT"}
    for name in ("airflow-worker", "receiver"):
        given = {variable for variable in services[name]["environment"] if variable.startswith("REKINDLE_")}
        assert given <= known


def test_what_nobody_filled_in_is_understood(services: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose hands an empty text to a setting that .env leaves empty."""
    for variable, value in services["airflow-worker"]["environment"].items():
        if variable.startswith("REKINDLE_"):
            filled = re.sub(r"\$\{[A-Z_]+:?-([^}]*)\}", r"\1", str(value))
            monkeypatch.setenv(variable, re.sub(r"\$\{[^}]*\}", "", filled))
    assert Settings().segment_price is None
    assert GovernorSettings().sendgrid_daily_cap is None
    assert ListeningSettings().listen_on_arrival
    assert WarehouseSettings().engine == "duckdb"
    monkeypatch.setenv("REKINDLE_BIGQUERY_PROJECT", "leads")
    assert BigQuerySettings().keyfile is None
    for name in ("ACCOUNT", "USER", "DATABASE", "WAREHOUSE"):
        monkeypatch.setenv(f"REKINDLE_SNOWFLAKE_{name}", "leads")
    assert SnowflakeSettings().private_key_path is None


def test_the_connections_of_the_example_are_json(repository: Path) -> None:
    text = (repository / ".env.example").read_text()
    connections = [json.loads(found) for found in re.findall(r"AIRFLOW_CONN_\w+='(.*)'", text)]
    assert {connection["host"] for connection in connections} == {
        "https://api.sendgrid.com",
        "https://api.twilio.com",
        "http://127.0.0.1:8390",
    }


def test_every_part_of_airflow_runs_once_and_after_the_database_is_ready(services: dict[str, Any]) -> None:
    """What Airflow 3 consists of: its tasks talk to the API server, its files are parsed by a process of their own."""
    parts = {name: service["command"] for name, service in services.items() if name.startswith("airflow-")}
    parts.pop("airflow-init")
    assert {name: tuple(command[1:3]) for name, command in parts.items()} == {
        "airflow-apiserver": ("api-server",),
        "airflow-scheduler": ("scheduler",),
        "airflow-dag-processor": ("dag-processor",),
        "airflow-triggerer": ("triggerer",),
        "airflow-worker": ("celery", "worker"),
    }
    for name in parts:
        waits_for = services[name]["depends_on"]
        assert waits_for["airflow-init"] == {"condition": "service_completed_successfully"}
        assert waits_for["postgres"] == waits_for["redis"] == {"condition": "service_healthy"}
        assert services[name]["environment"]["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"


def test_no_secret_stands_in_the_file(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for variable, value in (service.get("environment") or {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|_KEYS?$|SQL_ALCHEMY|RESULT_BACKEND|AIRFLOW_CONN", variable):
                without_names = re.sub(r"\$\{[^}]*\}", "", str(value))
                assert not re.search(r"://\w+:\w", without_names), f"{name}: {variable}"
                assert "${" in str(value) or "PATH" in variable, f"{name}: {variable}"


def test_the_drivers_are_pinned(repository: Path, services: dict[str, Any]) -> None:
    pinned = set(re.findall(r"^([\w.-]+)==", (repository / "requirements.txt").read_text(), re.MULTILINE))
    environment = services["airflow-worker"]["environment"]
    schemes = {
        value.split("://")[0] for value in environment.values() if isinstance(value, str) and "@postgres" in value
    }
    assert schemes == {"postgresql+psycopg", "db+postgresql+psycopg"}
    assert {"psycopg", "psycopg-binary", "redis"} <= pinned
    assert "pip install --no-cache-dir -r requirements.txt\n" in (repository / "docker-compose.yaml").read_text()


@cache
def compose_client() -> list[str]:
    """`docker compose`, or its binary under the old name; the Python program of that name (1.x) does not know
    `dockerfile_inline`.
    """
    for client in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(client[0]):
            told = subprocess.run([*client, "version", "--short"], capture_output=True, text=True, check=False)
            if told.returncode == 0 and int(told.stdout.strip().removeprefix("v").split(".")[0]) >= 2:
                return client
    return []


def told_by_compose(repository: Path, env_file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    if not compose_client():
        pytest.skip("no `docker compose` of version 2 or later is installed (Debian: docker-compose from trixie on)")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("REKINDLE", "AIRFLOW"))}
    command = [*compose_client(), "--env-file", str(env_file), *arguments]
    return subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def filled(repository: Path, tmp_path: Path) -> Path:
    """The example with something in every blank."""
    path = tmp_path / "filled.env"
    text = (repository / ".env.example").read_text()
    path.write_text(re.sub(r"^(\w+)=$", r"\1=filled", text, flags=re.MULTILINE))
    return path


@pytest.mark.parametrize(
    ("profiles", "sandbox"), [((), set()), (("--profile", "sandbox"), {"sandbox", "sandbox-receiver"})]
)
def test_docker_itself_takes_the_file(
    repository: Path, services: dict[str, Any], filled: Path, profiles: tuple[str, ...], sandbox: set[str]
) -> None:
    told = told_by_compose(repository, filled, *profiles, "config", "--format", "json")
    assert told.returncode == 0, told.stderr
    resolved = json.loads(told.stdout)
    assert resolved["name"] == "rekindle"
    assert set(resolved["services"]) == {name for name in services if "profiles" not in services[name]} | sandbox
    published = [port for service in resolved["services"].values() for port in service.get("ports", [])]
    assert {(port["host_ip"], port["published"]) for port in published} == {
        ("127.0.0.1", "8080"),
        ("127.0.0.1", "8290"),
    }
    connection = json.loads(resolved["services"]["airflow-worker"]["environment"]["AIRFLOW_CONN_TWILIO_DEFAULT"])
    assert connection["host"] == "https://api.twilio.com"  # .env's quotes are read as they are meant
    assert resolved["services"]["airflow-worker"]["environment"]["REKINDLE_INGEST_SCHEDULE"] == "*/5 * * * *"


def test_docker_itself_refuses_a_file_that_nobody_filled_in(repository: Path) -> None:
    told = told_by_compose(repository, repository / ".env.example", "config", "--quiet")
    assert told.returncode != 0
    assert "is missing a value: set it in .env" in told.stderr
