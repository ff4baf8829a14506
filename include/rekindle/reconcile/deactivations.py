"""Numbers that were given up: the next to have them is a stranger, who agreed to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

from rekindle.events.rows import event_key
from rekindle.reconcile.hearing import apply_events
from rekindle.run import Run, record_run
from rekindle.warehouse import Warehouse

ACTIVITY = "sync_deactivations"
FIRST_LOOK_BACK = timedelta(days=7)
LONGEST_CATCH_UP = timedelta(days=30)

NumbersOfDay = Callable[[date], Sequence[str] | None]
"""Day → hashes of the numbers given up on it, None while there is no file for it."""


def sync_deactivations(warehouse: Warehouse, numbers_of: NumbersOfDay, run: Run) -> dict[str, int]:
    """Suppress the texts to every number of ours that was given up since the last finished run.

    A run is finished, and the next one begins where it ended, once yesterday's file was there: an older one that is
    missing then does not come any more.
    """
    with warehouse.transaction() as transaction:
        newest = transaction.fetch("audit/fetch_watermark", activity=ACTIVITY, campaign_id="")[0]["newest_as_of"]
    files = [(day, numbers_of(day)) for day in _days(newest, run)]
    told = [
        {
            "event_key": event_key("twilio", "deactivated", hashed, day.isoformat()),
            "phone_hash": hashed,
            "deactivated_at": datetime.combine(day, time(), UTC),
            "landing_file": f"sync/twilio/deactivations/{day.isoformat()}",
        }
        for day, hashes in files
        for hashed in hashes or ()
    ]
    with warehouse.transaction() as transaction:
        counts = {"files": sum(hashes is not None for _, hashes in files), "numbers": len(told)}
        transaction.insert("rekindle_state.deactivated_numbers", told)
        transaction.execute("sync/insert_incoming_deactivations", recorded_at=run.recorded_at)
        counts |= apply_events(transaction, [], run)
        transaction.execute("sync/delete_deactivated_numbers")
        if files and files[-1][1] is not None:
            record_run(transaction, run, ACTIVITY, counts)
    return counts


def _days(newest: datetime | None, run: Run) -> Iterator[date]:
    """The days whose files are complete: from the last finished run's own day up to the day before this run."""
    today = run.as_of.date()
    first = today - FIRST_LOOK_BACK if newest is None else max(newest.date(), today - LONGEST_CATCH_UP)
    return (first + timedelta(days=number) for number in range((today - first).days))
