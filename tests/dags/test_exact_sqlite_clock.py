from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine

from rekindle_airflow.exact_sqlite_clock import give_microseconds, start_runs_at_once_in_scheduler


def test_a_run_due_this_very_moment_is_due_for_sqlite_too():
    engine = create_engine("sqlite://")
    event.listen(engine, "connect", give_microseconds)
    before = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    with engine.connect() as connection:
        now, is_due = connection.execute(
            text("select current_timestamp, :run_after <= current_timestamp"), {"run_after": before}
        ).one()
    engine.dispose()
    assert is_due == 1
    assert before <= now <= datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def test_only_the_scheduler_gets_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.argv", ["airflow", "api-server"])
    start_runs_at_once_in_scheduler()
    assert not event.contains(Engine, "connect", give_microseconds)
    monkeypatch.setattr("sys.argv", ["airflow", "scheduler"])
    start_runs_at_once_in_scheduler()
    try:
        assert event.contains(Engine, "connect", give_microseconds)
    finally:
        event.remove(Engine, "connect", give_microseconds)
