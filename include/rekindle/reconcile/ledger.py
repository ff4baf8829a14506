"""Proof is looked for in the provider's own list; what can not be proved ages out, visibly, and is never sent again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from rekindle.channels.twilio import ListedMessage
from rekindle.clock import Clock
from rekindle.replies import queue_replies
from rekindle.run import Run, record_run
from rekindle.warehouse import Warehouse
from rekindle.warehouse.ports import Row

AGE_OUT_AFTER = timedelta(hours=72)  # SendGrid retries a deferred mail for 72 h; after that no event comes any more

FindMessages = Callable[[str, datetime], Sequence[ListedMessage]]
"""E.164 number, since → what the provider's list holds for it."""


def reconcile_ledger(warehouse: Warehouse, find_texts: FindMessages, clock: Clock, run: Run) -> dict[str, int]:
    """Release stale claims, mark dead attempts unknown, adopt unknown texts the provider lists, age out the rest.

    Texts in people's own words, which the ingest run just before brought, are queued for a person in the same go.
    A provider's list that can not be read is raised, after everything else was done.
    """
    now = clock.now()
    with warehouse.transaction() as transaction:
        counts = {
            "released": transaction.execute("reconcile/release_stale_claims", now=now),
            "unknown": transaction.execute("reconcile/mark_stale_attempts_unknown", now=now),
            "replies": queue_replies(transaction, run),
        }
        unknown_texts = transaction.fetch("reconcile/list_unknown_texts")
    proofs: list[tuple[str, str]] = []
    try:
        proofs += _proofs(unknown_texts, find_texts)
    finally:
        counts |= _settle(warehouse, proofs, now, run, counts)
    return counts


def _proofs(unknown_texts: Sequence[Row], find_texts: FindMessages) -> Iterator[tuple[str, str]]:
    """Message id and provider id of every unknown text whose very body the provider lists for the number."""
    for row in unknown_texts:
        for found in find_texts(row["phone"], row["attempting_at"] - timedelta(days=1)):
            if found.body_hash == row["body_hash"]:
                yield row["message_id"], found.provider_message_id


def _settle(
    warehouse: Warehouse, proofs: Sequence[tuple[str, str]], now: datetime, run: Run, counts: Mapping[str, int]
) -> dict[str, int]:
    with warehouse.transaction() as transaction:
        found = sum(
            transaction.execute(
                "reconcile/settle_found_text", message_id=message_id, provider_message_id=provider_message_id, now=now
            )
            for message_id, provider_message_id in proofs
        )
        aged_out = transaction.execute("reconcile/age_out_unknown_messages", now=now, unknown_since=now - AGE_OUT_AFTER)
        settled = {"found": found, "aged_out": aged_out}
        record_run(transaction, run, "reconcile", {**counts, **settled})
    return settled
