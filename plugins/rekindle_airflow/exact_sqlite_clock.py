"""Lets Airflow on SQLite start a queued DAG run at once instead of at the next whole second.

Airflow asks the database for runs with `run_after <= CURRENT_TIMESTAMP`. SQLite's CURRENT_TIMESTAMP has whole seconds
and `run_after` has microseconds, so each run waits for the second to end: half a second on average, for every DAG of a
chain. Databases with a finer clock gain nothing. Call it from Airflow's `airflow_local_settings.py`.
"""

from __future__ import annotations

import sqlite3
import sys
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine


def start_runs_at_once_in_scheduler() -> None:
    """Give every SQLite connection of the scheduler a CURRENT_TIMESTAMP with microseconds; elsewhere do nothing."""
    if "scheduler" in sys.argv[1:2]:
        event.listen(Engine, "connect", give_microseconds)


def give_microseconds(connection: Any, _: object) -> None:
    """Replace CURRENT_TIMESTAMP on one connection, in the form that SQLAlchemy stores times in; SQLite only."""
    if isinstance(connection, sqlite3.Connection):
        connection.create_function("current_timestamp", 0, _utc_now)


def _utc_now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
