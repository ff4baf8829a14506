"""Migrations and reconciliation."""

from __future__ import annotations

from typing import Any


def apply_migrations() -> list[str]:
    """Bring raw and state tables to this version; returns what was applied."""
    from rekindle.clock import clock_from_environment
    from rekindle.warehouse.migrate import migrate
    from rekindle_airflow.warehouses import open_warehouse

    return migrate(open_warehouse(), clock_from_environment()).applied


def reconcile_ledger(**context: Any) -> dict[str, int]:
    """Settle stale claims, dead attempts and unknown outcomes; unknown is never sent again."""
    from rekindle.channels.twilio import TwilioChannel
    from rekindle.clock import clock_from_environment
    from rekindle.reconcile import reconcile_ledger as reconcile
    from rekindle_airflow.connections import twilio_account
    from rekindle_airflow.run_context import announce, run_of
    from rekindle_airflow.senders import provider_errors
    from rekindle_airflow.warehouses import open_warehouse

    run = run_of(context)
    channel = TwilioChannel(twilio_account(), provider_errors())
    counts = reconcile(open_warehouse(), channel.find_messages, clock_from_environment(), run)
    announce(context, run)
    return counts
