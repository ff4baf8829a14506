"""Sending while the provider refuses us: the run fails and pages, then the breaker makes it wait, then it goes on."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.context import set_current_context

from rekindle.errors import ConfigurationError
from rekindle_airflow.settings import settings
from rekindle_airflow.tasks import campaign

CAMPAIGN = "cold_lead_reengagement"


class MoodyProvider(BaseHTTPRequestHandler):
    """Refuses the key, or accepts, and counts its calls."""

    status = 401
    calls = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).calls += 1
        body = b"" if self.status == 202 else b'{"errors": [{"message": "bad key", "field": null, "help": null}]}'
        self.send_response(self.status)
        self.send_header("X-Message-Id", "made-up")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def provider(monkeypatch):
    """A SendGrid of one's own, named by the connection."""
    monkeypatch.setattr(MoodyProvider, "status", 401)
    monkeypatch.setattr(MoodyProvider, "calls", 0)
    with HTTPServer(("127.0.0.1", 0), MoodyProvider) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        host = f"http://127.0.0.1:{server.server_address[1]}"
        connection = {"conn_type": "http", "host": host, "password": "SG.key"}
        monkeypatch.setenv("AIRFLOW_CONN_SENDGRID_DEFAULT", json.dumps(connection))
        yield MoodyProvider
        server.shutdown()


@pytest.fixture
def send(world, monkeypatch):
    """Runs `send_emails` for a batch on a day of the world, inside Airflow's own context."""
    for name, value in {
        "WAREHOUSE_PATH": world.path,
        "GOVERNOR_ROOT": world.folder / "governor",
        "CLOCK_FILE": world.clock.path,
        "TOKEN_KEYS": "a-key-of-the-test",
        "BREAKER_CONFIGURATION_ERRORS": "3",
    }.items():
        monkeypatch.setenv(f"REKINDLE_{name}", str(value))
    settings.cache_clear()

    def run(batch, day):
        as_of = world.now(day)
        context = {
            "dag_run": SimpleNamespace(conf={"as_of": as_of.isoformat()}, run_id=f"manual__{day}", run_after=as_of)
        }
        with set_current_context(context):
            return campaign.send_emails(CAMPAIGN, {"batch_id": batch.batch_id, "message_count": batch.message_count})

    yield run
    settings.cache_clear()


def test_a_wrong_key_fails_its_run_then_the_breaker_makes_sending_wait_and_a_probe_brings_it_back(
    world, send, provider
):
    leads = world.leads([{} for _ in range(3)])
    world.freeze(0)
    (batch,) = world.plan(0)
    # Given a key that is refused: every run fails and pages, for a person must mend it
    for day in (0, 0.001, 0.002):
        with pytest.raises(ConfigurationError, match="401"):
            send(batch, day)
    assert provider.calls == 3
    # Then the breaker is open: the task skips, calls nobody, and says of each message why and until when
    with pytest.raises(AirflowSkipException, match="3 messages wait: the breaker of sendgrid is open") as skipped:
        send(batch, 0.01)
    assert "3 configuration errors in a row" in str(skipped.value)
    assert provider.calls == 3
    decided = world.query("select next_due_at from rekindle_state.decisions where reason = 'breaker_open'")
    assert {row["next_due_at"] for row in decided} == {world.at(0.002) + timedelta(minutes=30)}
    assert len(decided) == 3
    assert {world.message(lead)["status"] for lead in leads} == {"planned"}
    # and after the cool-down one refused probe doubles it, without a second page for the rest of the day
    with pytest.raises(ConfigurationError):
        send(batch, 0.03)
    with pytest.raises(AirflowSkipException):
        send(batch, 0.04)
    assert provider.calls == 4
    # When the key is mended, the next probe leaves and everything goes on
    provider.status = 202
    assert send(batch, 0.09)["accepted"] == 3
    assert {world.message(lead)["status"] for lead in leads} == {"accepted"}
    assert world.broken() == {}
