"""docker-compose.yaml: nothing is reachable from elsewhere, everything tells its health, every secret is in .env."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
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


@pytest.fixture
def services(repository: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((repository / "docker-compose.yaml").read_text())
    return content["services"]


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


def test_docker_itself_takes_the_file(repository: Path, tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("`docker compose` is not installed")
    filled = re.sub(r"^(\w+)=$", r"\1=filled", (repository / ".env.example").read_text(), flags=re.MULTILINE)
    (tmp_path / "filled.env").write_text(filled)
    command = [
        docker,
        "compose",
        "--env-file",
        str(tmp_path / "filled.env"),
        "--profile",
        "sandbox",
        "config",
        "--quiet",
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("REKINDLE", "AIRFLOW"))}
    told = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
