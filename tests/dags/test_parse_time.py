"""What happens while Airflow parses `dags/`, every few seconds, on every scheduler: nothing."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DAG_FILES = sorted((ROOT / "dags").glob("*.py"))

#: What a DAG file may import: Airflow's own words, and the parts it wires.
ALLOWED = ("airflow.sdk", "rekindle_airflow")
#: Takes long to import or talks to somebody; tasks import these when they run.
HEAVY = {
    *("dbt", "duckdb", "fastapi", "httpx", "numpy", "pandas", "phonenumbers", "psutil", "pyarrow", "requests"),
    *("rich", "sendgrid", "sqlalchemy", "statsmodels", "twilio", "typer", "uvicorn"),
}
SQL = re.compile(r"\b(select\s+.+\s+from|insert\s+into|update\s+\w+\s+set|delete\s+from|create\s+table)\b", re.I | re.S)


@pytest.fixture(scope="module")
def parsed(probe):
    return probe("parse")


def test_nothing_is_connected_to_asked_or_started(parsed):
    assert parsed["import_errors"] == {}
    # one DAG a file, and one a campaign in `campaigns.py`
    campaigns = {f"campaign__{file.stem}" for file in (ROOT / "include" / "campaigns").glob("*.yaml")}
    assert len(campaigns) >= 12
    assert set(parsed["dag_ids"]) == campaigns | {file.stem for file in DAG_FILES} - {"campaigns"}
    assert parsed["touched"] == []
    assert parsed["left_behind"] == []


def test_nothing_heavy_is_imported(parsed):
    # beyond what Airflow itself had imported before
    packages = {name.partition(".")[0] for name in parsed["imported"]}
    assert packages >= {"rekindle", "rekindle_airflow", "cosmos"}
    assert sorted(packages & HEAVY) == []


def test_the_probe_would_see_a_connection(probe, tmp_path):
    # Given a DAG file that does what none may
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "greedy.py").write_text(
        "import socket, sqlite3, subprocess\n"
        "from airflow.sdk import DAG, Connection\n"
        "sqlite3.connect(':memory:').close()\n"
        "subprocess.run(['true'], check=True)\n"
        "try:\n"
        "    socket.create_connection(('127.0.0.1', 1), timeout=1)\n"
        "except OSError:\n"
        "    pass\n"
        "import pandas\n"
        "Connection.get('twilio_default')\n"
    )
    # When it is parsed
    found = probe("parse", AIRFLOW__CORE__DAGS_FOLDER=str(dags))
    # Then each act is seen
    words = " ".join(found["touched"])
    for act in ("sqlite3.connect", "subprocess.Popen", "socket.connect", "Connection.get"):
        assert act in words
    assert "pandas" in found["imported"]
    assert found["dag_ids"] == []


def test_a_callers_own_settings_do_not_change_the_dags(probe):
    found = probe("parse", outer={"PATH": "/usr/bin:/bin", "REKINDLE_DAILY_SCHEDULE": "nonsense", "AIRFLOW_HOME": "/"})
    assert found["import_errors"] == {}


@pytest.fixture
def project(tmp_path):
    """A project whose campaigns may be spoilt; the rest is this repository's."""
    shutil.copytree(ROOT / "include" / "campaigns", tmp_path / "include" / "campaigns")
    shutil.copytree(ROOT / "include" / "templates", tmp_path / "include" / "templates")
    (tmp_path / "dbt_project").symlink_to(ROOT / "dbt_project")
    return tmp_path


def test_a_broken_campaign_keeps_its_dag_and_stops_no_other(probe, project):
    # Given a good campaign, and one with a word that nobody knows
    campaigns, templates = project / "include" / "campaigns", project / "include" / "templates"
    file = campaigns / "cold_lead_reengagement.yaml"
    (campaigns / "spring.yaml").write_text(file.read_text())
    shutil.copytree(templates / "cold_lead_reengagement", templates / "spring")
    file.write_text(file.read_text().replace("  re_entry:", "  reentry:"))
    (campaigns / "Summer Sale.yml").write_text("name: not even a campaign")
    # When the DAGs are parsed
    found = probe("parse", REKINDLE_PROJECT_ROOT=str(project))
    # Then all are there: the broken ones fail when they run, see test_campaign_files.py
    assert found["import_errors"] == {}
    shipped = {f"campaign__{file.stem}" for file in (ROOT / "include" / "campaigns").glob("*.yaml")}
    assert {name for name in found["dag_ids"] if name.startswith("campaign__")} == shipped | {
        "campaign__spring",
        "campaign__summer_sale_yml",
    }


def test_every_campaign_file_is_a_dag_of_its_own(probe, project):
    # Given a second campaign
    campaigns, templates = project / "include" / "campaigns", project / "include" / "templates"
    text = (campaigns / "cold_lead_reengagement.yaml").read_text()
    (campaigns / "spring.yaml").write_text(text)
    shutil.copytree(templates / "cold_lead_reengagement", templates / "spring")
    # Then it has a DAG without a line of Python
    found = probe("parse", REKINDLE_PROJECT_ROOT=str(project))
    assert found["import_errors"] == {}
    assert {"campaign__cold_lead_reengagement", "campaign__spring"} <= set(found["dag_ids"])


@pytest.mark.parametrize("file", DAG_FILES, ids=lambda file: file.stem)
def test_a_dag_file_only_wires(file):
    tree = ast.parse(file.read_text())
    imported = [
        name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module])
    ]
    assert [name for name in imported if not name.startswith(ALLOWED)] == []

    words = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert ast.get_docstring(tree) in [word.strip() for word in words]
    words.remove(tree.body[0].value.value)
    assert [word for word in words if SQL.search(word) or re.match(r"https?://", word)] == []

    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & {"open", "eval", "exec", "print", "os.getenv", "Variable.get", "Connection.get"}
    decorated = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    # no task bodies here: they are plain functions of their own, tested as such
    assert all(
        any("dag" in ast.unparse(decorator) for decorator in node.decorator_list) or node.name == "campaign_dag"
        for node in decorated
    )


def test_the_sql_that_is_looked_for_would_be_found():
    assert SQL.search("SELECT lead_id\nFROM rekindle_state.messages")
    assert SQL.search("delete from t")
    assert not SQL.search("select your hero, update us, insert coin")
