"""docs/DAGs.md says what the DAGs are, and the command that writes it is honest about it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rekindle_airflow.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def document(tmp_path):
    """Runs `python -m tests.dag_docs` on a document and with a home of its own."""

    class Document:
        path = tmp_path / "DAGs.md"
        home = tmp_path / "home"

        def run(self, *arguments, **variables):
            self.home.mkdir(exist_ok=True)
            return subprocess.run(
                [sys.executable, "-m", "tests.dag_docs", "--document", str(self.path), *arguments],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "HOME": str(self.home), **variables},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )

    return Document()


def test_the_document_is_up_to_date(dag_docs):
    assert dag_docs.DOCUMENT.read_text() == dag_docs.generate(), "run `make docs`"


def test_it_says_of_every_dag_what_it_is(dag_docs, dags):
    text = dag_docs.generate()
    for dag_id, dag in dags.items():
        assert dag_id in text
        assert (f"\n## {dag_id}\n" in text) == (not dag_id.startswith(dag_docs.CAMPAIGN) or dag_id == dag_docs.EXAMPLE)
        assert dag.doc_md.strip() in text
        for task in dag.tasks:
            assert f"\n| `{task.task_id}`" in text
            assert f"`{task.pool}`" in text
            for following in task.downstream_task_ids:
                assert f"    {task.task_id} --> {following}\n" in text
    assert f"| `{Settings().daily_schedule}` UTC |" in text
    assert "`send_emails` (mapped) | Send one batch through SendGrid." in text
    assert "dbt build of `tag:daily_score`" in text
    # the DAGs come in the order of the day
    chapters = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert chapters == [
        *("migrate", "ingest", "listen", "provider_sync", "refresh", "reconcile", "score"),
        *("campaign__cold_lead_reengagement", "measure"),
    ]


def test_it_is_the_same_for_everybody_and_leaves_nothing_behind(document, dag_docs):
    # Given somebody with settings of their own and another hash seed
    done = document.run(PYTHONHASHSEED="7", REKINDLE_DAILY_SCHEDULE="1 1 * * *", AIRFLOW__CORE__LOAD_EXAMPLES="True")
    assert done.returncode == 0, done.stderr
    assert document.path.read_text() == dag_docs.generate()
    assert list(document.home.iterdir()) == []


def test_check_changes_nothing_and_shows_what_is_stale(document, dag_docs):
    document.path.write_text(dag_docs.generate().replace("rekindle_twilio", "rekindle_pigeons"))
    before = document.path.read_text()
    stale = document.run("--check")
    assert stale.returncode == 1
    assert any(line.startswith("-") and "rekindle_pigeons" in line for line in stale.stdout.splitlines())
    assert any(line.startswith("+") and "rekindle_twilio" in line for line in stale.stdout.splitlines())
    assert "make docs" in stale.stderr
    assert document.path.read_text() == before

    document.path.write_text(dag_docs.generate())
    fresh = document.run("--check")
    assert (fresh.returncode, fresh.stdout) == (0, "")


def test_check_of_a_missing_document_is_stale_too(document):
    assert document.run("--check").returncode == 1
    assert not document.path.exists()
