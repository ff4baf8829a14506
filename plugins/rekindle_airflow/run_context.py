"""Which logical instant a task acts as of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rekindle.clock import clock_from_environment
from rekindle.errors import BadInputError
from rekindle.run import Run

AS_OF = "as_of"
BETWEEN_DAYS = "between_days"
DRY_RUN = "dry_run"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def current_run() -> Run:
    """The run of the task that is executing, from Airflow's own context."""
    from airflow.sdk import get_current_context

    return run_of(get_current_context())


def run_of(context: Any) -> Run:
    """Resolve the logical instant: the trigger's `as_of`, else what the triggering assets carry, else the end of the
    data interval.

    Asset-triggered runs have no logical date of their own; the instant travels in the asset events' `extra`.
    """
    dag_run = context["dag_run"]
    as_of = (
        _parse((dag_run.conf or {}).get(AS_OF))
        or _newest(context)
        or context.get("data_interval_end")
        or context.get("logical_date")
        or dag_run.run_after
    )
    return Run(as_of=as_of.astimezone(UTC), run_id=dag_run.run_id, recorded_at=clock_from_environment().now())


def is_dry_run(context: Any) -> bool:
    """Whether this run only shows what it would do: a run that a person starts, unless they say otherwise."""
    # compared and not written out: the text of Airflow's enum is `DagRunType.MANUAL`
    if getattr(context["dag_run"], "run_type", None) != "manual":
        return False
    return bool((context.get("params") or {}).get(DRY_RUN, True))


def skip_if_dry(context: Any) -> None:
    """Skip the task in a dry run."""
    from airflow.sdk.exceptions import AirflowSkipException

    if is_dry_run(context):
        raise AirflowSkipException("a dry run: nothing was changed or sent")


def is_between_days(context: Any) -> bool:
    """Whether this run is a tick of the hourly campaigns alone: the newest of what started it was no day's."""
    newest = max(_events(context), key=lambda event: _parse(event.get(AS_OF)) or _LONG_AGO, default={})
    return bool(newest.get(BETWEEN_DAYS))


def has_a_day(context: Any) -> bool:
    """Whether a day is among what started this run, or a person did. Several events may have waited."""
    events = _events(context)
    return not events or not all(event.get(BETWEEN_DAYS) for event in events)


def announce(context: Any, run: Run, *, between_days: bool = False) -> None:
    """Hand the logical instant on to whatever the task's outlets trigger, and that it is no day's."""
    for outlet in context["task"].outlets:
        told = {AS_OF: run.as_of.isoformat()}
        context["outlet_events"][outlet].extra = told | ({BETWEEN_DAYS: True} if between_days else {})


def _events(context: Any) -> list[dict[str, Any]]:
    """What the events that started the run carry; nothing if its trigger says the instant."""
    if (context["dag_run"].conf or {}).get(AS_OF):
        return []
    events = context.get("triggering_asset_events") or {}
    return [event.extra or {} for asset_events in events.values() for event in asset_events]


def _newest(context: Any) -> datetime | None:
    return max((instant for event in _events(context) if (instant := _parse(event.get(AS_OF)))), default=None)


def _parse(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInputError(f"{AS_OF} is {text!r}; write an instant, for example 2026-03-02T18:00:00Z") from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
