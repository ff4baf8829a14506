"""Since when anybody is under way: what bounds the reading of tables that only grow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rekindle.run import Run
from rekindle.warehouse import Transaction

#: How far back the oldest is looked for, the likeliest first: to look through all years would cost each tick more than
#: its due entries do.
_LOOK_BACK = (timedelta(days=16), timedelta(days=128))
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


def oldest_entered_at(transaction: Transaction, run: Run) -> datetime | None:
    """When the oldest entry that is still under way entered, whatever its campaign; None if nobody is under way."""
    for since in (*(run.as_of - back for back in _LOOK_BACK), _EVER):
        (found,) = transaction.fetch("journey/fetch_oldest_entry", since=since)
        if found["entered_since"] == found["under_way"]:
            break
    entered_at: datetime | None = found["oldest_entered_at"]
    return entered_at


def oldest_recorded_at(transaction: Transaction, oldest: datetime) -> datetime:
    """Since when, by the clock, anything is on record of those who entered since `oldest`: a receipt for a message of
    theirs was recorded later.
    """
    (found,) = transaction.fetch("journey/fetch_oldest_record", oldest_entered_at=oldest)
    recorded_at: datetime | None = found["oldest_recorded_at"]
    return min(oldest, recorded_at) if recorded_at is not None else oldest
