"""Texts in people's own words wait in `rekindle_state.reply_queue` until a person has answered them.

The queue holds no words and no number: `event_key` names the raw element, which only whoever answers reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from rekindle.clock import Clock
from rekindle.run import Run
from rekindle.warehouse import Transaction, Warehouse


@dataclass(frozen=True, slots=True)
class WaitingReplies:
    """What a notifier may say about the queue: how many, since when, of which campaigns; nobody's name."""

    count: int
    oldest_at: datetime
    campaigns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WaitingReply:
    """One reply with its words and number: for whoever answers, never for a log."""

    event_key: str
    replied_at: datetime
    lead_id: str | None
    campaign_id: str | None
    number: str = field(repr=False)
    words: str = field(repr=False)


def waiting_replies(warehouse: Warehouse) -> list[WaitingReply]:
    """What waits for a person, oldest first."""
    with warehouse.transaction() as transaction:
        rows = transaction.fetch("replies/list_waiting_replies")
    texts = [json.loads(row["payload"]) if row["payload"] else {} for row in rows]
    return [
        WaitingReply(
            event_key=row["event_key"],
            replied_at=row["replied_at"],
            lead_id=row["lead_id"],
            campaign_id=row["campaign_id"],
            number=str(text.get("From", "")),
            words=str(text.get("Body", "")),
        )
        for row, text in zip(rows, texts, strict=True)
    ]


def queue_replies(transaction: Transaction, run: Run) -> int:
    """Put every reply that is not in the queue into it; how many were put."""
    return transaction.execute("replies/insert_waiting_replies", recorded_at=run.recorded_at, run_id=run.run_id)


def tell_waiting_replies(warehouse: Warehouse, tell: Callable[[WaitingReplies], None], clock: Clock) -> int:
    """Tell about the replies nobody was told of, if there are any, then note that it was told; how many.

    If `tell` raises, nothing is noted and the next run tells again: better twice than never.
    """
    with warehouse.transaction() as transaction:
        rows = transaction.fetch("replies/list_untold_replies")
    if not rows:
        return 0
    campaigns = sorted({row["campaign_id"] for row in rows if row["campaign_id"]})
    tell(WaitingReplies(len(rows), rows[0]["replied_at"], tuple(campaigns)))
    with warehouse.transaction() as transaction:
        for row in rows:
            transaction.execute("replies/mark_reply_told", now=clock.now(), event_key=row["event_key"])
    return len(rows)


def mark_reply_handled(warehouse: Warehouse, event_key: str, handled_by: str, clock: Clock) -> bool:
    """Note that a person has answered; False if it was not waiting (any more)."""
    with warehouse.transaction() as transaction:
        return (
            transaction.execute(
                "replies/mark_reply_handled", now=clock.now(), event_key=event_key, handled_by=handled_by
            )
            == 1
        )
