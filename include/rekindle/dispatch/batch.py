"""One attempt at one batch.

    claim (re-checks) → compose → [commit attempting → call → record] per chunk

The warehouse is never held during a call. Between a call and its record nothing can fail but the record itself; a
process that dies there leaves `attempting` rows behind, which reconcile turns into `unknown`: never sent again.
"""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rekindle.campaigns.models import Campaign
from rekindle.channels.ports import Outcome, OutcomeKind
from rekindle.clock import Clock
from rekindle.dispatch.composer import Composed, Composer
from rekindle.dispatch.sender import Sender
from rekindle.errors import ConfigurationError
from rekindle.rendering.render import RenderingError
from rekindle.run import Run
from rekindle.vocabulary import STATUS_RANK, DecisionReason, ErrorClass, MessageStatus
from rekindle.warehouse import Warehouse

LEASE = timedelta(minutes=30)  # longer than any batch takes at the slowest rate; a zombie past it may not begin a chunk
RETRY_REFUSED_AFTER = timedelta(minutes=5)


@dataclass
class Dispatched:
    """How a batch fared, by message status."""

    statuses: Counter[str] = field(default_factory=Counter)

    def as_counts(self) -> dict[str, int]:
        return dict(sorted(self.statuses.items()))


def dispatch_batch(
    warehouse: Warehouse, batch_id: str, composer: Composer, sender: Sender, clock: Clock, run: Run
) -> Dispatched:
    """Send what is left of a batch, at most once each.

    A message whose template can not be filled is held with a decision, and the rest goes on. Raises
    `ConfigurationError` when the provider refused for our own fault; whatever was not sent is planned again and no lead
    changes.
    """
    attempt_id = str(uuid.uuid4())
    dispatched = Dispatched()
    held: list[dict[str, Any]] = []
    rows = _claim(warehouse, batch_id, attempt_id, composer.campaign, clock.now(), run)
    try:
        for chunk in _chunks(_composed(rows, composer, clock, held), sender.chunk_size):
            _send_chunk(warehouse, chunk, attempt_id, sender, clock, run, dispatched)
    finally:
        dispatched.statuses["held"] += _release(warehouse, attempt_id, held, clock.now(), run)
    return dispatched


def _claim(
    warehouse: Warehouse, batch_id: str, attempt_id: str, campaign: Campaign, now: datetime, run: Run
) -> list[dict[str, Any]]:
    """Expire, re-check at the last moment and claim, in one transaction; returns only what this attempt holds."""
    with warehouse.transaction() as transaction:
        transaction.execute("dispatch/expire_messages", batch_id=batch_id, now=now)
        transaction.execute(
            "dispatch/insert_recheck_decisions",
            batch_id=batch_id,
            topic=campaign.topic,
            cap_since=now - timedelta(days=campaign.caps.per_days),
            cap_messages=campaign.caps.messages,
            now=now,
            run_id=run.run_id,
        )
        transaction.execute("dispatch/drop_refused_messages", batch_id=batch_id, now=now)
        transaction.execute(
            "dispatch/claim_messages", batch_id=batch_id, attempt_id=attempt_id, now=now, lease_expires_at=now + LEASE
        )
        return transaction.fetch("dispatch/list_claimed_messages", attempt_id=attempt_id)


def _composed(
    rows: Sequence[dict[str, Any]], composer: Composer, clock: Clock, held: list[dict[str, Any]]
) -> Iterator[Composed]:
    """Render one by one, so that memory holds a chunk and not a batch; what can not be rendered is put aside."""
    for row in rows:
        try:
            yield composer.compose(row, clock.now())
        except RenderingError as error:
            held.append(row | {"detail": str(error)})


def _release(warehouse: Warehouse, attempt_id: str, held: Sequence[dict[str, Any]], now: datetime, run: Run) -> int:
    """Give back what this attempt claimed and will not send, with the reason for each message that could not be
    rendered.
    """
    place = ("entry_id", "message_id", "campaign_id", "lead_id", "step_id", "channel", "detail")
    decisions = [
        {name: row[name] for name in place}
        | {"reason": str(DecisionReason.CONFIGURATION), "decided_at": now, "next_due_at": None, "run_id": run.run_id}
        for row in held
    ]
    with warehouse.transaction() as transaction:
        transaction.insert("rekindle_state.decisions", decisions)
        return transaction.execute("dispatch/release_claims", attempt_id=attempt_id)


def _chunks(composed: Iterator[Composed], size: int) -> Iterator[list[Composed]]:
    while chunk := list(itertools.islice(composed, size)):
        yield chunk


def _send_chunk(
    warehouse: Warehouse,
    chunk: Sequence[Composed],
    attempt_id: str,
    sender: Sender,
    clock: Clock,
    run: Run,
    dispatched: Dispatched,
) -> None:
    ours = _commit_attempting(warehouse, chunk, attempt_id, sender.provider, clock.now())
    if not ours:
        return
    outcomes = sender.send([item for item in chunk if item.message_id in ours], clock)
    rows = [_outcome_row(outcome, attempt_id, clock.now()) for outcome in outcomes]
    _record(warehouse, rows, attempt_id, clock.now(), run)
    dispatched.statuses.update(row["status"] for row in rows)
    _stop_on_configuration_error(outcomes)


def _commit_attempting(
    warehouse: Warehouse, chunk: Sequence[Composed], attempt_id: str, provider: str, now: datetime
) -> set[str]:
    """Commit before the first call; returns the ids that are still this attempt's to send."""
    with warehouse.transaction() as transaction:
        transaction.insert(
            "rekindle_state.attempt_chunks",
            [
                {
                    "attempt_id": attempt_id,
                    "message_id": item.message_id,
                    "body_hash": item.body_hash,
                    "segments": item.segments,
                }
                for item in chunk
            ],
        )
        transaction.execute("dispatch/mark_attempting", attempt_id=attempt_id, now=now, provider=provider)
        ours = transaction.fetch("dispatch/list_attempting_messages", attempt_id=attempt_id)
        transaction.execute("dispatch/delete_attempt_chunk", attempt_id=attempt_id)
    return {row["message_id"] for row in ours}


def _outcome_row(outcome: Outcome, attempt_id: str, now: datetime) -> dict[str, Any]:
    status, reason = _status_of(outcome)
    delay = timedelta(seconds=outcome.retry_after_seconds) if outcome.retry_after_seconds else RETRY_REFUSED_AFTER
    return {
        "attempt_id": attempt_id,
        "message_id": outcome.message_id,
        "status": str(status),
        "status_rank": STATUS_RANK[status],
        "provider_message_id": outcome.provider_message_id,
        "error_code": outcome.error_code,
        "error_class": str(outcome.error_class) if outcome.error_class else None,
        "suppression_reason": str(outcome.suppression) if outcome.suppression else None,
        "reason": str(reason) if reason else None,
        "next_due_at": now + delay if reason else None,
    }


def _status_of(outcome: Outcome) -> tuple[MessageStatus, DecisionReason | None]:
    """Proved accepted, proved refused, or unknown: nothing in between."""
    if outcome.kind is OutcomeKind.ACCEPTED:
        return MessageStatus.ACCEPTED, None
    if outcome.kind is OutcomeKind.UNKNOWN:
        return MessageStatus.UNKNOWN, None
    if outcome.error_class is ErrorClass.PERMANENT:
        return MessageStatus.FAILED, None
    if outcome.error_class is ErrorClass.CONFIGURATION:
        return MessageStatus.PLANNED, DecisionReason.CONFIGURATION
    return MessageStatus.PLANNED, DecisionReason.PROVIDER_BUSY


def _record(warehouse: Warehouse, rows: list[dict[str, Any]], attempt_id: str, now: datetime, run: Run) -> None:
    with warehouse.transaction() as transaction:
        transaction.insert("rekindle_state.attempt_outcomes", rows)
        transaction.execute("dispatch/insert_outcome_decisions", attempt_id=attempt_id, now=now, run_id=run.run_id)
        transaction.execute("dispatch/insert_outcome_suppressions", attempt_id=attempt_id, now=now)
        transaction.execute("dispatch/record_outcomes", attempt_id=attempt_id, now=now)
        transaction.execute("dispatch/delete_attempt_outcomes", attempt_id=attempt_id)


def _stop_on_configuration_error(outcomes: Sequence[Outcome]) -> None:
    ours_to_mend = [outcome for outcome in outcomes if outcome.error_class is ErrorClass.CONFIGURATION]
    if ours_to_mend:
        first = ours_to_mend[0]
        raise ConfigurationError(
            f"{first.provider} refused {len(ours_to_mend)} messages with {first.error_code}: {first.detail}."
            " This is ours to mend (credentials, sender, template); no lead was changed and nothing more was sent"
        )
