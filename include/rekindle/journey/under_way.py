"""Since when anybody is under way: what bounds the reading of tables that only grow."""

from __future__ import annotations

from datetime import datetime

from rekindle.warehouse import Transaction


def oldest_entered_at(transaction: Transaction) -> datetime | None:
    """When the oldest entry that is still under way entered, whatever its campaign; None if nobody is under way."""
    (found,) = transaction.fetch("journey/fetch_oldest_entry")
    entered_at: datetime | None = found["oldest_entered_at"]
    return entered_at
