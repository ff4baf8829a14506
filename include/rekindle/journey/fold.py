"""Brings `journey_state` to the transitions that were just appended."""

from __future__ import annotations

from rekindle.run import Run
from rekindle.warehouse import Transaction


def fold(transaction: Transaction, run: Run) -> None:
    """Apply the newest transition of each entry this run has moved, one at a time."""
    transaction.execute("journey/fold_transitions", recorded_at=run.recorded_at, run_id=run.run_id)
