"""The real warehouses, for whoever has an account: opt-in by `REKINDLE_LIVE`, credentials from the environment.

    REKINDLE_LIVE=bigquery REKINDLE_BIGQUERY_PROJECT=… REKINDLE_BIGQUERY_KEYFILE=… pytest tests/live
    REKINDLE_LIVE=snowflake REKINDLE_SNOWFLAKE_ACCOUNT=… (and the others of docs/dialects.md) pytest tests/live

They write into `rekindle_state`: use a project or database of their own. Everything written is deleted.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_socket

from rekindle.clock import SteppedClock
from rekindle.identity import stable_id
from rekindle.warehouse import Warehouse, WarehouseSettings, open_warehouse
from rekindle.warehouse.migrate import migrate
from rekindle.warehouse.settings import Engine

NOW = datetime(2026, 1, 12, 18, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture(params=[Engine.BIGQUERY, Engine.SNOWFLAKE])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    """The engine that `REKINDLE_LIVE` names, migrated."""
    if request.param not in os.environ.get("REKINDLE_LIVE", "").split(","):
        pytest.skip(
            f"REKINDLE_LIVE does not name {request.param}; set it, and its credentials, to talk to the real one"
        )
    pytest_socket._remove_restrictions()
    opened = open_warehouse(WarehouseSettings(engine=request.param))
    clock = SteppedClock(tmp_path / "clock")
    clock.step_to(NOW)
    migrate(opened, clock)
    yield opened


def test_the_real_engine_writes_reads_and_takes_back(warehouse: Warehouse) -> None:
    mark = f"live-{uuid.uuid4().hex}"
    row = {"lead_id": "it's ü", "requested_at": NOW, "erased_at": None, "requested_by": mark}
    asked = "select * from rekindle_state.erasures where requested_by = $requested_by"
    try:
        with pytest.raises(ZeroDivisionError), warehouse.transaction() as transaction:
            transaction.insert("rekindle_state.erasures", [row])
            1 / 0  # noqa: B018 - the failure
        with warehouse.transaction() as transaction:
            assert transaction.query(asked, requested_by=mark) == []
            assert transaction.insert("rekindle_state.erasures", [row]) == 1
        with warehouse.transaction() as transaction:
            assert transaction.query(asked, requested_by=mark) == [row]
    finally:
        warehouse.run_script(f"delete from rekindle_state.erasures where requested_by = '{mark}'")


def test_the_real_engine_computes_our_ids(warehouse: Warehouse) -> None:
    words = warehouse.dialect.context()
    digest = words["stable_id_digest"]("$campaign_id", "$lead_id")
    with warehouse.transaction() as transaction:
        (row,) = transaction.query(
            f"select {words['uuid_of_digest']('digest')} as id from (select {digest} as digest) as made",
            campaign_id="a",
            lead_id="ü",
        )
    assert row["id"] == stable_id("a", "ü")
