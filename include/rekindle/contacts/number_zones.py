"""Where the owners of numbers may be, kept beside the state: what a send window and a wait for a time of day go by."""

from __future__ import annotations

from rekindle.contacts.checks import check_phone
from rekindle.run import Run
from rekindle.warehouse import Transaction


def store_number_zones(transaction: Transaction, campaign_id: str, step_id: str, run: Run) -> None:
    """Ask the numbering plan for those due at a step whose profile names no zone; it is local and free."""
    numbers = transaction.fetch(
        "plan/list_numbers_without_zones", campaign_id=campaign_id, step_id=step_id, as_of=run.as_of
    )
    rows = [
        {
            "phone_hash": row["phone_hash"],
            "time_zones": check_phone(row["phone"], row["country"], None).time_zones,
            "determined_at": run.recorded_at,
        }
        for row in numbers
    ]
    transaction.insert("rekindle_state.number_time_zones", rows)
