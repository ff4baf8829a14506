"""docker-compose.yaml: nothing is reachable from elsewhere, everything tells its health, every secret is in .env."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rekindle.governor.settings import GovernorSettings
from rekindle.receiver.settings import ReceiverSettings
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
    of_dbt = {"REKINDLE_LOGIN_EVENTS", "REKINDLE_KEY_ACTION_EVENTS", "REKINDLE_PASSIVE_EVENTS"}
    known |= of_dbt | {"REKINDLE_WAREHOUSE_PATH", "REKINDLE_WAREHOUSE_MEMORY_MEGABYTES", "REKINDLE_PROJECT_ROOT"}
    for name in ("airflow-worker", "receiver"):
        given = {variable for variable in services[name]["environment"] if variable.startswith("REKINDLE_")}
        assert given <= known


def test_the_connections_of_the_example_are_json(repository: Path) -> None:
    text = (repository / ".env.example").read_text()
    connections = [json.loads(found) for found in re.findall(r"AIRFLOW_CONN_\w+='(.*)'", text)]
    assert {connection["host"] for connection in connections} == {
        "https://api.sendgrid.com",
        "https://api.twilio.com",
        "http://127.0.0.1:8390",
    }
