"""Asks Twilio about texts whose end nobody told: a status callback that was lost is lost for good.

By default Twilio repeats a callback once, and only after a connect timeout
(https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from rekindle.channels.suppressions import FetchedText
from rekindle.clock import Clock
from rekindle.events.rows import MessageEvent, event_key
from rekindle.events.twilio import EVENT_TYPES, PROVIDER
from rekindle.reconcile.hearing import apply_events
from rekindle.run import Run, record_run
from rekindle.vocabulary import EventType
from rekindle.warehouse import Warehouse

ACTIVITY = "poll_open_texts"
OPEN_FOR = timedelta(hours=24)  # before that a callback may still be on its way
GIVEN_UP_AFTER = timedelta(days=4)  # `sent` may be the last word: carriers keep receipts for at most three days
AT_MOST = 5_000  # questions of one run, one request each

FetchText = Callable[[str], FetchedText | None]
"""Twilio's sid → where the text stands, None if Twilio keeps no such message."""


def poll_open_texts(warehouse: Warehouse, fetch_text: FetchText, clock: Clock, run: Run) -> dict[str, int]:
    """Fetch every text that is still open after a day by its sid and settle it by monotone ranks.

    What was heard is written down even if a later question is not answered; the first error is raised afterwards.
    """
    now = clock.now()
    with warehouse.transaction() as transaction:
        rows = transaction.fetch(
            "sync/list_open_texts",
            accepted_before=now - OPEN_FOR,
            accepted_after=now - GIVEN_UP_AFTER,
            at_most=AT_MOST,
        )
    events: list[MessageEvent] = []
    counts = {"open": len(rows)}
    try:
        for row in rows:
            found = fetch_text(row["provider_message_id"])
            if found is not None:
                events.append(_event(row["message_id"], found, run))
    finally:
        with warehouse.transaction() as transaction:
            counts |= {"fetched": len(events)} | apply_events(transaction, events, run)
            record_run(transaction, run, ACTIVITY, counts)
    return counts


def _event(message_id: str, found: FetchedText, run: Run) -> MessageEvent:
    """The same event, under the same natural key, as the callback that did not come."""
    return MessageEvent(
        event_key=event_key(PROVIDER, "status", found.provider_message_id, found.status, found.error_code),
        message_id=message_id,
        provider=PROVIDER,
        event_type=EVENT_TYPES.get(found.status, EventType.OTHER),
        provider_event=found.status,
        occurred_at=found.updated_at,
        received_at=run.recorded_at,
        provider_message_id=found.provider_message_id,
        error_code=found.error_code,
        address_hash=found.to_hash,
        is_human=None,
        detail=None,
        landing_file="sync/twilio/messages",
    )
