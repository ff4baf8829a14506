"""Loads what arrived: the company's tables, then everything providers, people and the product said."""

from __future__ import annotations

from typing import Any


def load_tables() -> dict[str, int]:
    """Load the inbox folders that were complete before this run's logical time. Skips if a later day is finished."""
    from rekindle.ingest import load_inbox
    from rekindle.run import refuse_older_day
    from rekindle_airflow.guards import skip_if_refused
    from rekindle_airflow.run_context import current_run
    from rekindle_airflow.settings import settings
    from rekindle_airflow.warehouses import open_warehouse

    run, warehouse = current_run(), open_warehouse()
    with skip_if_refused():
        with warehouse.transaction() as transaction:
            refuse_older_day(transaction, run, "ingest")
        return load_inbox(warehouse, settings().inbox_root, run)


def load_landing_files(**context: Any) -> dict[str, int]:
    """Load webhooks, clicks, opt-outs and tracked events; settle messages and end the journeys they end."""
    from rekindle.ingest import load_landing_zone
    from rekindle_airflow.guards import skip_if_refused
    from rekindle_airflow.listening import landing_zone
    from rekindle_airflow.run_context import announce, run_of
    from rekindle_airflow.warehouses import open_warehouse

    run = run_of(context)
    with skip_if_refused():
        counts = load_landing_zone(open_warehouse(), landing_zone(), run)
    announce(context, run)
    return counts


def load_arrivals() -> dict[str, int]:
    """Load what arrived since the last tick, apply opt-outs and end journeys; starts no scoring."""
    from rekindle.ingest import listen
    from rekindle_airflow.listening import landing_zone
    from rekindle_airflow.run_context import current_run
    from rekindle_airflow.warehouses import open_warehouse

    return listen(open_warehouse(), landing_zone(), current_run())
