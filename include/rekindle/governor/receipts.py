"""What the warehouse has to do with the governor: receipts feed the breaker, a held batch gets its decisions, and who
was held is free when a person closes the breaker.
"""

from __future__ import annotations

from datetime import datetime

from rekindle.governor.breaker import BreakerState, Receipts
from rekindle.governor.rate import Governor, HeldError
from rekindle.run import Run
from rekindle.vocabulary import Channel
from rekindle.warehouse.ports import Warehouse

#: What each account carries.
CHANNELS = {"sendgrid": Channel.EMAIL, "twilio": Channel.SMS}


def judge_receipts(warehouse: Warehouse, governor: Governor, provider: str, now: datetime) -> BreakerState:
    """Open or close the account's breaker by how its recent messages fared, as the ledger knows it; answers its
    state.
    """
    with warehouse.transaction() as transaction:
        (row,) = transaction.fetch("governor/count_receipts", provider=provider, since=governor.judge_since(), now=now)
    return governor.judge(Receipts(**{name: int(count) for name, count in row.items()}))


def defer_batch(warehouse: Warehouse, batch_id: str, held: HeldError, now: datetime, run: Run) -> int:
    """Write why each planned message of the batch waits and until when; nothing was tried. Answers how many."""
    with warehouse.transaction() as transaction:
        return transaction.execute(
            "governor/insert_hold_decisions",
            batch_id=batch_id,
            reason=str(held.reason),
            detail=str(held),
            next_due_at=held.until,
            now=now,
            run_id=run.run_id,
        )


def free_held_messages(warehouse: Warehouse, account: str, now: datetime) -> int:
    """Make everybody whom the account's breaker held back due now; answers how many decisions that were. Call it after
    closing the breaker, or they are held again.
    """
    with warehouse.transaction() as transaction:
        return transaction.execute("governor/free_held_messages", channel=str(CHANNELS[account]), now=now)
