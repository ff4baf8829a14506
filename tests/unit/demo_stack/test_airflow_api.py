"""The client that drives Airflow, against a server that speaks the few words of its REST API."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from rekindle.demo import airflow_api
from rekindle.demo.airflow_api import AirflowApi, DagFailedError

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class FakeAirflow(ThreadingHTTPServer):
    """Answers from `answers` (method and path → list of bodies, the last one for good) and notes what it was asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {"POST /auth/token": [(201, {"access_token": "a-token"})]}
        self.asked = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def _answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        parts = urlsplit(self.path)
        self.server.asked.append((self.command, parts.path, parse_qs(parts.query), body, self.headers["Authorization"]))
        answers = self.server.answers[f"{self.command} {parts.path}"]
        status, content = answers.pop(0) if len(answers) > 1 else answers[0]
        told = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_POST = do_PATCH = _answer

    def log_message(self, *_):
        """Nothing: the tests look at `asked`."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(airflow_api, "_POLL", 0.01)
    server = FakeAirflow()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def airflow(server):
    api = AirflowApi(server.url, "admin", "a-password")
    yield api
    api._client.close()


def run_of(dag_id, state, queued_at=NOON + timedelta(seconds=1)):
    return {"dag_id": dag_id, "dag_run_id": f"{dag_id}__1", "state": state, "queued_at": airflow_api._zulu(queued_at)}


def test_it_logs_in_once_and_shows_its_token(server, airflow):
    server.answers["GET /api/v2/dags"] = [(200, {"dags": [{"dag_id": "ingest"}]})]
    airflow.await_dags(["ingest"])
    assert server.asked[0][3] == {"username": "admin", "password": "a-password"}
    assert server.asked[1][4] == "Bearer a-token"


def test_it_does_not_send_the_password_to_a_proxy(server, monkeypatch):
    # Given a machine whose traffic goes through a proxy that nobody answers at
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    # Then the stack on this machine is still spoken to directly
    AirflowApi(server.url, "admin", "a-password")._client.close()
    assert len(server.asked) == 1


def test_the_logical_time_travels_in_the_conf(server, airflow):
    server.answers["POST /api/v2/dags/ingest/dagRuns"] = [(200, {"dag_run_id": "manual__1"})]
    new_york = timezone(timedelta(hours=-5))
    assert airflow.trigger("ingest", datetime(1997, 6, 16, 15, tzinfo=new_york)) == "manual__1"
    body = server.asked[-1][3]
    assert body["conf"] == {"as_of": "1997-06-16T20:00:00.000000Z"}
    # Airflow allows one run per logical date, and gives one before the start date no tasks
    assert body["logical_date"] is None


def test_a_refused_trigger_says_why(server, airflow):
    server.answers["POST /api/v2/dags/ingest/dagRuns"] = [(409, {"detail": "already there"})]
    with pytest.raises(DagFailedError, match=r"refused to start ingest as of 2026-03-02: .*already there"):
        airflow.trigger("ingest", NOON)


def test_it_waits_until_every_expected_dag_is_done(server, airflow):
    path = "GET /api/v2/dags/~/dagRuns"
    server.answers[path] = [
        (200, {"dag_runs": []}),
        (200, {"dag_runs": [run_of("ingest", "running")]}),
        # done, but what follows has not begun
        (200, {"dag_runs": [run_of("ingest", "success")]}),
        (200, {"dag_runs": [run_of("ingest", "success"), run_of("score", "queued")]}),
        (200, {"dag_runs": [run_of("ingest", "success"), run_of("score", "success")]}),
    ]
    seen = []
    states = airflow.await_runs(["ingest", "score"], NOON, lambda states: seen.append(dict(states)))
    assert states == {"ingest": "success", "score": "success"}
    assert seen[0] == {"ingest": "running"}
    assert seen[-1] == states
    assert server.asked[-1][2]["run_after_gte"] == ["2026-03-02T12:00:00.000000Z"]


def test_runs_that_were_queued_before_do_not_count(server, airflow):
    earlier = run_of("ingest", "failed", NOON - timedelta(minutes=1))
    server.answers["GET /api/v2/dags/~/dagRuns"] = [(200, {"dag_runs": [earlier, run_of("ingest", "success")]})]
    assert airflow.await_runs(["ingest"], NOON, lambda _: None) == {"ingest": "success"}


def test_a_run_that_fails_is_named_with_its_failed_tasks_at_once(server, airflow):
    server.answers["GET /api/v2/dags/~/dagRuns"] = [
        (200, {"dag_runs": [run_of("ingest", "success"), run_of("score", "failed"), run_of("reconcile", "running")]})
    ]
    tasks = [{"task_id": "build_scores", "state": "failed"}, {"task_id": "other", "state": "success"}]
    server.answers["GET /api/v2/dags/score/dagRuns/score__1/taskInstances"] = [(200, {"task_instances": tasks})]
    with pytest.raises(DagFailedError) as failed:
        airflow.await_runs(["ingest", "score"], NOON, lambda _: None)
    assert "DAG score failed in build_scores" in str(failed.value)
    assert f"{server.url}/dags/score/runs/score__1" in str(failed.value)


def test_patience_ends(server, airflow):
    server.answers["GET /api/v2/dags/~/dagRuns"] = [(200, {"dag_runs": [run_of("ingest", "running")]})]
    with pytest.raises(DagFailedError, match="still not finished after 0 s"):
        airflow.await_runs(["ingest"], NOON, lambda _: None, patience=0.1)


def test_an_import_error_is_shown_instead_of_waited_for(server, airflow):
    server.answers["GET /api/v2/dags"] = [(200, {"dags": []})]
    broken = {"filename": "campaigns.py", "stack_trace": "spring.yaml:4: unknown word"}
    server.answers["GET /api/v2/importErrors"] = [(200, {"import_errors": [broken]})]
    with pytest.raises(DagFailedError, match=r"campaigns\.py: spring\.yaml:4: unknown word"):
        airflow.await_dags(["campaign__spring"])


def test_dags_that_never_come_are_named(server, airflow):
    server.answers["GET /api/v2/dags"] = [(200, {"dags": [{"dag_id": "ingest"}]})]
    server.answers["GET /api/v2/importErrors"] = [(200, {"import_errors": []})]
    with pytest.raises(DagFailedError, match=r"\['score'\]"):
        airflow.await_dags(["ingest", "score"], patience=0.1)


def test_a_campaign_is_let_run(server, airflow):
    server.answers["PATCH /api/v2/dags/campaign__spring"] = [(200, {"is_paused": False})]
    airflow.unpause("campaign__spring")
    method, path, query, body, _ = server.asked[-1]
    assert (method, path) == ("PATCH", "/api/v2/dags/campaign__spring")
    assert (query, body) == ({"update_mask": ["is_paused"]}, {"is_paused": False})


def test_pools_that_are_there_already_are_left_alone(server, airflow):
    server.answers["POST /api/v2/pools"] = [(409, {"detail": "exists"}), (201, {})]
    airflow.create_pools({"rekindle_warehouse": {"slots": 1}, "rekindle_twilio": {"slots": 2}})
    assert [asked[3] for asked in server.asked[-2:]] == [
        {"name": "rekindle_warehouse", "slots": 1},
        {"name": "rekindle_twilio", "slots": 2},
    ]
