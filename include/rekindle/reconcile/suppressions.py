"""Keeps our suppressions and the providers' own lists alike, in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from rekindle.channels.suppressions import (
    CONSENTS_LIST,
    CONSENTS_SIZE,
    PUSH_SIZE,
    ListedSuppression,
    SendGridSuppressions,
    SuppressionList,
    TwilioRecords,
)
from rekindle.clock import Clock
from rekindle.events.rows import MessageEvent, event_key
from rekindle.reconcile.hearing import apply_events
from rekindle.run import Run, record_run
from rekindle.vocabulary import EventType
from rekindle.warehouse import Warehouse
from rekindle.warehouse.ports import Row

ACTIVITY = "sync_suppressions"
OVERLAP = timedelta(days=1)  # what was written down late at the provider is still seen the next day
#: An entry that came on the list within this time of our push is our own push.
ECHO_WITHIN = timedelta(hours=1)

#: What being on a list says, and the code in the table `provider_errors` that says what it suppresses.
MEANINGS: dict[SuppressionList, tuple[EventType, str | None]] = {
    SuppressionList.BOUNCES: (EventType.BOUNCED, None),
    SuppressionList.BLOCKS: (EventType.BLOCKED, None),  # SendGrid does not suppress blocks either
    SuppressionList.INVALID_EMAILS: (EventType.DROPPED, "dropped:Invalid"),
    SuppressionList.SPAM_REPORTS: (EventType.COMPLAINED, None),
    SuppressionList.UNSUBSCRIBES: (EventType.UNSUBSCRIBED, None),
}


def sync_suppressions(warehouse: Warehouse, provider: SendGridSuppressions, clock: Clock, run: Run) -> dict[str, int]:
    """Read every suppression list since the last finished run (a day overlapping) and suppress what it holds.

    All lists are read before anything is written: a list that can not be read is raised, and the next run reads from
    the same instant again.
    """
    with warehouse.transaction() as transaction:
        newest = transaction.fetch("audit/fetch_watermark", activity=ACTIVITY, campaign_id="")[0]["newest_as_of"]
        pushed = {
            row["address_hash"]: row["pushed_at"]
            for row in transaction.fetch(
                "sync/list_pushed_addresses", provider="sendgrid", provider_list=provider.provider_list
            )
        }
    since = None if newest is None else min(newest, run.as_of) - OVERLAP
    listed = [entry for name in SuppressionList for entry in provider.listed(name, since, clock.now())]
    heard = [entry for entry in listed if not _is_our_own_push(entry, pushed)]
    with warehouse.transaction() as transaction:
        counts = {"listed": len(listed), "our_own": len(listed) - len(heard)}
        counts |= apply_events(transaction, [_event(entry, run) for entry in heard], run)
        record_run(transaction, run, ACTIVITY, counts)
    return counts


def _is_our_own_push(entry: ListedSuppression, pushed: Mapping[str, datetime]) -> bool:
    pushed_at = pushed.get(entry.address_hash)
    return (
        entry.suppression_list is SuppressionList.UNSUBSCRIBES
        and pushed_at is not None
        and abs(entry.created_at - pushed_at) <= ECHO_WITHIN
    )


def _event(entry: ListedSuppression, run: Run) -> MessageEvent:
    event_type, error_code = MEANINGS[entry.suppression_list]
    name = f"list:{entry.suppression_list}"
    return MessageEvent(
        event_key=event_key("sendgrid", name, entry.address_hash, entry.created_at.isoformat()),
        message_id=None,
        provider="sendgrid",
        event_type=event_type,
        provider_event=name,
        occurred_at=entry.created_at,
        received_at=run.recorded_at,
        provider_message_id=None,
        error_code=error_code,
        address_hash=entry.address_hash,
        is_human=None,
        detail=None,
        landing_file=f"sync/sendgrid/{entry.suppression_list}",
    )


def push_email_opt_outs(warehouse: Warehouse, provider: SendGridSuppressions, clock: Clock, run: Run) -> dict[str, int]:
    """Tell SendGrid whose opt-out it has not heard of (our page, a STOP by text, any other channel), and take back what
    we told it of people who have asked for messages again since.

    Each request is written down as soon as it is answered. What dies in between is pushed once more by the next run,
    which changes nothing at SendGrid: its lists are sets.
    """
    withdrawn = _withdraw(warehouse, provider, clock)
    rows = _unpushed(warehouse, "sync/list_unpushed_emails", provider.provider_list)
    pushed = 0
    for chunk in _chunks(rows, PUSH_SIZE):
        provider.push_opt_outs([row["address"] for row in chunk])
        pushed += _note(warehouse, chunk, "email", "sendgrid", provider.provider_list, clock, run)
    return {"pushed_emails": pushed, "withdrawn_emails": withdrawn}


def _withdraw(warehouse: Warehouse, provider: SendGridSuppressions, clock: Clock) -> int:
    """Take off the list who asked for messages again: SendGrid would drop what we are allowed to send.

    Only what we put there: an opt-out that SendGrid heard itself stays there.
    """
    with warehouse.transaction() as transaction:
        rows = transaction.fetch("sync/list_withdrawable_emails", provider_list=provider.provider_list)
    for row in rows:
        provider.withdraw_opt_out(row["address"])
        with warehouse.transaction() as transaction:
            transaction.execute(
                "sync/mark_push_withdrawn",
                now=clock.now(),
                address_hash=row["address_hash"],
                provider_list=provider.provider_list,
            )
    return len(rows)


def push_text_opt_outs(warehouse: Warehouse, provider: TwilioRecords, clock: Clock, run: Run) -> dict[str, int]:
    """Tell Twilio's Compliance Toolkit whose opt-out it has not heard of; what it refuses is tried again next time."""
    rows = _unpushed(warehouse, "sync/list_unpushed_numbers", CONSENTS_LIST)
    pushed = 0
    for chunk in _chunks(rows, CONSENTS_SIZE):
        taken = set(provider.push_opt_outs([(row["address"], row["suppressed_at"]) for row in chunk]))
        pushed += _note(warehouse, _of(chunk, taken), "sms", "twilio", CONSENTS_LIST, clock, run)
    return {"pushed_numbers": pushed, "refused_numbers": len(rows) - pushed}


def _unpushed(warehouse: Warehouse, statement: str, provider_list: str) -> Sequence[Row]:
    with warehouse.transaction() as transaction:
        return transaction.fetch(statement, provider_list=provider_list)


def _chunks(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _of(rows: Iterable[Row], hashes: set[str]) -> Iterator[Row]:
    return (row for row in rows if row["address_hash"] in hashes)


def _note(
    warehouse: Warehouse,
    rows: Iterable[Row],
    channel: str,
    provider: str,
    provider_list: str,
    clock: Clock,
    run: Run,
) -> int:
    with warehouse.transaction() as transaction:
        return transaction.insert(
            "rekindle_state.opt_out_pushes",
            [
                {
                    "address_hash": row["address_hash"],
                    "channel": channel,
                    "provider": provider,
                    "provider_list": provider_list,
                    "reason": row["reason"],
                    "suppressed_at": row["suppressed_at"],
                    "pushed_at": clock.now(),
                    "run_id": run.run_id,
                }
                for row in rows
            ],
        )
