"""Arguments every DAG shares."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import Asset

from rekindle_airflow.defaults import DEFAULT_ARGS
from rekindle_airflow.settings import settings
from rekindle_airflow.tags import Tag


def dag_defaults(*tags: Tag) -> dict[str, Any]:
    """Everything but the id, the docs and the schedule."""
    return {
        "start_date": datetime(1970, 1, 1, tzinfo=UTC),
        "catchup": False,
        "max_active_runs": 1,
        "default_args": DEFAULT_ARGS,
        "tags": [Tag.REKINDLE, *tags],
    }


def daily_dag(*tags: Tag) -> dict[str, Any]:
    """A DAG that starts the daily cycle; the rest of the cycle follows by assets."""
    return {"schedule": settings().daily_schedule or None, **dag_defaults(*tags)}


def hourly_dag(*tags: Tag) -> dict[str, Any]:
    """A DAG that runs between two days, each hour unless told otherwise."""
    return {"schedule": settings().hourly_schedule, **dag_defaults(*tags)}


def following_dag(asset: Any, *tags: Tag) -> dict[str, Any]:
    """A DAG that runs when an asset, or either of two (`one | other`), was updated; the logical time travels in the
    asset event.
    """
    return {"schedule": [asset] if isinstance(asset, Asset) else asset, **dag_defaults(*tags)}
