"""Drives the running Airflow over its public REST API, as an operator would."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx

from rekindle.errors import RekindleError

_POLL = 0.4  # seconds
_TERMINAL = ("success", "failed")


class DagFailedError(RekindleError):
    """A DAG run failed; the message names the run, its failed tasks and where to read the log."""


class AirflowApi:
    """One logged-in user of one Airflow."""

    def __init__(self, base_url: str, user: str, password: str) -> None:
        self.base_url = base_url
        self._client = httpx.Client(base_url=base_url, timeout=60, trust_env=False)
        answer = self._client.post("/auth/token", json={"username": user, "password": password})
        if answer.is_error:
            raise DagFailedError(
                f"the Airflow at {base_url} does not know our user (HTTP {answer.status_code}): another Airflow took"
                " the port first; stop it and start again"
            )
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def await_dags(self, dag_ids: Sequence[str], patience: float = 180) -> None:
        """Wait until the DAG processor has seen every DAG; raises `DagFailedError` with the import errors otherwise."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            known = {dag["dag_id"] for dag in self._get("/api/v2/dags", limit=200)["dags"]}
            if set(dag_ids) <= known:
                return
            errors = self._get("/api/v2/importErrors", limit=10)["import_errors"]
            if errors:
                raise DagFailedError("\n".join(f"{error['filename']}: {error['stack_trace']}" for error in errors))
            time.sleep(1)
        raise DagFailedError(f"Airflow did not list these DAGs within {patience:.0f} s: {sorted(set(dag_ids) - known)}")

    def create_pools(self, pools: dict[str, dict[str, Any]]) -> None:
        """Create the pools of `include/pools.json`."""
        for name, pool in pools.items():
            answer = self._client.post("/api/v2/pools", json={"name": name, **pool})
            if answer.status_code != httpx.codes.CONFLICT:
                answer.raise_for_status()

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run: campaigns are born paused."""
        answer = self._client.patch(
            f"/api/v2/dags/{dag_id}", params={"update_mask": "is_paused"}, json={"is_paused": False}
        )
        answer.raise_for_status()

    def trigger(self, dag_id: str, as_of: datetime, **params: object) -> str:
        """Start a run at a logical time, perhaps with params of the DAG; returns its run id."""
        body = {"logical_date": None, "conf": {"as_of": _zulu(as_of), **params}}
        answer = self._client.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        if answer.is_error:
            raise DagFailedError(f"Airflow refused to start {dag_id} as of {as_of:%Y-%m-%d}: {answer.text}")
        return str(answer.json()["dag_run_id"])

    def clear(self, dag_id: str, run_id: str) -> None:
        """Run every task of a finished run again."""
        self._client.post(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/clear", json={"dry_run": False}).raise_for_status()

    def await_runs(
        self,
        expected: Sequence[str],
        since: datetime,
        on_change: Callable[[dict[str, str]], None],
        patience: float = 900,
    ) -> dict[str, str]:
        """Wait until each expected DAG has a run queued after `since` and every such run is finished; state per DAG.

        Raises `DagFailedError` as soon as one fails.
        """
        deadline = time.monotonic() + patience
        states: dict[str, str] = {}
        while time.monotonic() < deadline:
            runs = self._runs_since(since)
            newest = {run["dag_id"]: run["state"] for run in runs}
            if newest != states:
                states = newest
                on_change(states)
            for run in runs:
                if run["state"] == "failed":
                    raise DagFailedError(self._describe_failure(run))
            if set(expected) <= set(states) and all(run["state"] in _TERMINAL for run in runs):
                return states
            time.sleep(_POLL)
        raise DagFailedError(f"still not finished after {patience:.0f} s: {states}; see {self.base_url}")

    def _runs_since(self, since: datetime) -> list[dict[str, Any]]:
        runs = self._get("/api/v2/dags/~/dagRuns", run_after_gte=_zulu(since), limit=100, order_by="run_after")[
            "dag_runs"
        ]
        return [run for run in runs if run["queued_at"] is None or run["queued_at"] >= _zulu(since)]

    def _describe_failure(self, run: dict[str, Any]) -> str:
        path = f"/api/v2/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}/taskInstances"
        tasks = self._get(path, limit=200)["task_instances"]
        failed = [task["task_id"] for task in tasks if task["state"] == "failed"]
        return (
            f"DAG {run['dag_id']} failed in {', '.join(failed) or 'no task'};"
            f" read the log at {self.base_url}/dags/{run['dag_id']}/runs/{run['dag_run_id']}"
        )

    def _get(self, path: str, **parameters: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.get(path, params=parameters).raise_for_status().json()
        return answer


def _zulu(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
