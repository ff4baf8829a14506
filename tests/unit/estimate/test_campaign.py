"""`rekindle estimate CAMPAIGN`: the numbers are those of the run that `rekindle plan` foresees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rekindle.cli import app
from rekindle.commands.estimate import planned_counts
from rekindle.estimate import Builds, MeasuredDay
from rekindle.estimate.day import AT, CAMPAIGN_ID, campaign_without_holdout, populate
from rekindle.simulate.warehouse import build_warehouse
from rekindle.vocabulary import Channel
from rekindle.warehouse.duckdb import DuckDbWarehouse

WRITTEN_AT = AT.strftime("%Y-%m-%dT%H:%M")


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty people whom the reference campaign would write to by e-mail."""
    path = tmp_path_factory.mktemp("estimate") / "warehouse.duckdb"
    build_warehouse(path, AT)
    populate(DuckDbWarehouse(path), Channel.EMAIL, 20)
    return path


def test_leads_emails_and_texts_are_counted_and_nothing_is_written(offered: Path) -> None:
    warehouse = DuckDbWarehouse(offered)
    counted = planned_counts(warehouse, campaign_without_holdout(), "US", AT.replace(tzinfo=None))
    assert counted == (20, 20, 0)
    with warehouse.transaction() as transaction:
        assert transaction.fetch("chaos/list_ledger") == []


def test_who_is_held_out_costs_nothing_and_the_instant_is_asked_for(
    offered: Path, measured_day: MeasuredDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REKINDLE_WAREHOUSE_PATH", str(offered))
    monkeypatch.setattr("rekindle.estimate.measure_day", lambda: measured_day)
    monkeypatch.setattr("rekindle.estimate.read_builds", lambda: Builds({}, frozenset()))

    def workload(at: str) -> dict[str, int]:
        asked = CliRunner().invoke(app, ["estimate", CAMPAIGN_ID, "--as-of", at, "--json"], catch_exceptions=False)
        told: dict[str, int] = json.loads(asked.stdout)["workload"]
        return told

    written = workload(WRITTEN_AT)
    assert written["leads"] == 20
    assert 10 <= written["emails"] < 20  # the holdout of the reference campaign
    assert workload("2026-01-12T06:00")["emails"] == 0  # one in the morning in New York
