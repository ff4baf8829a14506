"""One attempt at one batch.

    claim (re-checks) → compose → [commit attempting → call → record] per chunk

The warehouse is never held during a call. Between a call and its record nothing can fail but the record itself; a
process that dies there leaves `attempting` rows behind, which reconcile turns into `unknown`: never sent again. While a
chunk is on its way the next one is composed.
"""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

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
from rekindle.warehouse.ports import Row

LEASE = timedelta(minutes=30)  # longer than any batch takes at the slowest rate; a zombie past it may not begin a chunk
RETRY_REFUSED_AFTER = timedelta(minutes=5)
#: MB for an engine that runs in this process. A send task wants a few thousand rows; without a limit the engine keeps
#: every block it has looked through, and the task grows with the ledger. A hundred thousand leads need 96 to be joined.
ENGINE_MEMORY = 512


@dataclass
class Dispatched:
    """How a batch fared, by message status."""

    statuses: Counter[str] = field(default_factory=Counter)

    def as_counts(self) -> dict[str, int]:
        return dict(sorted(self.statuses.items()))


@runtime_checkable
class EmbeddedWarehouse(Protocol):
    """A warehouse whose engine runs in this process and takes of its memory."""

    def limit_memory(self, megabytes: int) -> None:
        """Read and join in so much memory and no more."""
        ...


def dispatch_batch(
    warehouse: Warehouse, batch_id: str, composer: Composer, sender: Sender, clock: Clock, run: Run
) -> Dispatched:
    """Send what is left of a batch, at most once each.

    A message whose template can not be filled is held with a decision, and the rest goes on. When the governor says no
    (breaker, allowance, rate) the rest is held with its reason. Raises `ConfigurationError` when the provider refused
    for our own fault; whatever was not sent is planned again and no lead changes.
    """
    if isinstance(warehouse, EmbeddedWarehouse):
        warehouse.limit_memory(ENGINE_MEMORY)
    attempt = _Attempt(warehouse, batch_id, sender, clock, run)
    rows = attempt.claim(composer.campaign)
    begun: set[str] = set()
    no: Outcome | None = None
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="composing") as pool:
            for chunk in _one_ahead(pool, _chunks(_composed(rows, composer, clock, attempt.held), sender.chunk_size)):
                begun.update(item.message_id for item in chunk)
                no = attempt.send(chunk)
                if no is not None:
                    break
        if no is not None:
            begun.update(one.row["message_id"] for one in attempt.held)
            attempt.hold((row for row in rows if row["message_id"] not in begun), no)
    finally:
        attempt.release()
    return attempt.dispatched


def _composed(rows: Sequence[Row], composer: Composer, clock: Clock, held: list[_Held]) -> Iterator[Composed]:
    """Render one by one, so that memory holds two chunks and not a batch; what can not be rendered is put aside."""
    for row in rows:
        try:
            yield composer.compose(row, clock.now())
        except RenderingError as error:
            held.append(_Held(row, DecisionReason.CONFIGURATION, str(error)))


def _chunks(composed: Iterator[Composed], size: int) -> Iterator[list[Composed]]:
    while chunk := list(itertools.islice(composed, size)):
        yield chunk


def _one_ahead(pool: Executor, chunks: Iterator[list[Composed]]) -> Iterator[list[Composed]]:
    """The same chunks, each made while the one before it is in use."""
    following = pool.submit(next, chunks, None)
    while (chunk := following.result()) is not None:
        following = pool.submit(next, chunks, None)
        yield chunk


class _Attempt:
    """What one attempt does to the ledger, under its own id."""

    def __init__(self, warehouse: Warehouse, batch_id: str, sender: Sender, clock: Clock, run: Run) -> None:
        self.dispatched = Dispatched()
        self.held: list[_Held] = []
        self._warehouse = warehouse
        self._batch_id = batch_id
        self._attempt_id = str(uuid.uuid4())
        self._sender = sender
        self._clock = clock
        self._run = run

    def claim(self, campaign: Campaign) -> list[Row]:
        """Expire, re-check at the last moment and claim, in one transaction; returns only what this attempt holds."""
        now = self._clock.now()
        with self._warehouse.transaction() as transaction:
            transaction.execute("dispatch/expire_messages", batch_id=self._batch_id, now=now)
            transaction.execute(
                "dispatch/insert_recheck_decisions",
                batch_id=self._batch_id,
                topic=campaign.topic,
                cap_since=now - timedelta(days=campaign.caps.per_days),
                cap_messages=campaign.caps.messages,
                now=now,
                run_id=self._run.run_id,
            )
            transaction.execute("dispatch/drop_refused_messages", batch_id=self._batch_id, now=now)
            transaction.execute(
                "dispatch/claim_messages",
                batch_id=self._batch_id,
                attempt_id=self._attempt_id,
                now=now,
                lease_expires_at=now + LEASE,
            )
            return transaction.fetch(
                "dispatch/list_claimed_messages", batch_id=self._batch_id, attempt_id=self._attempt_id
            )

    def send(self, chunk: Sequence[Composed]) -> Outcome | None:
        """Commit, call, record. Answers the outcome in which the governor said no, if it did; raises
        `ConfigurationError` after recording an answer that is ours to mend.
        """
        ours = self._commit_attempting(chunk)
        if not ours:
            return None
        outcomes = self._sender.send(ours, self._clock)
        now = self._clock.now()
        rows = [_outcome_row(outcome, self._attempt_id, now) for outcome in outcomes]
        self._record(rows, now)
        self.dispatched.statuses.update(row["status"] for row in rows)
        _stop_on_configuration_error(outcomes)
        return next((outcome for outcome in outcomes if outcome.held is not None), None)

    def hold(self, rows: Iterable[Row], no: Outcome) -> None:
        """What was claimed and not composed yet shares the fate of the message the governor said no to."""
        assert no.held is not None
        self.held += [_Held(row, no.held, no.error_code or no.detail, no.held_until) for row in rows]

    def release(self) -> None:
        """Give back what was claimed and will not be sent, with the reason where there is one."""
        now = self._clock.now()
        with self._warehouse.transaction() as transaction:
            transaction.insert("rekindle_state.decisions", [one.decision(now, self._run) for one in self.held])
            self.dispatched.statuses["held"] += transaction.execute(
                "dispatch/release_claims", batch_id=self._batch_id, attempt_id=self._attempt_id
            )

    def _commit_attempting(self, chunk: Sequence[Composed]) -> list[Composed]:
        """Commit before the first call; returns what is still this attempt's to send."""
        place = {"batch_id": self._batch_id, "attempt_id": self._attempt_id}
        with self._warehouse.transaction() as transaction:
            transaction.insert(
                "rekindle_state.attempt_chunks",
                [
                    {
                        "attempt_id": self._attempt_id,
                        "message_id": item.message_id,
                        "body_hash": item.body_hash,
                        "segments": item.segments,
                    }
                    for item in chunk
                ],
            )
            marked = transaction.execute(
                "dispatch/mark_attempting", now=self._clock.now(), provider=self._sender.provider, **place
            )
            ours = list(chunk)
            if marked < len(chunk):
                rows = transaction.fetch("dispatch/list_attempting_messages", **place)
                still = {row["message_id"] for row in rows}
                ours = [item for item in chunk if item.message_id in still]
            transaction.execute("dispatch/delete_attempt_chunk", attempt_id=self._attempt_id)
        return ours

    def _record(self, rows: list[dict[str, Any]], now: datetime) -> None:
        place = {"batch_id": self._batch_id, "attempt_id": self._attempt_id, "now": now}
        with self._warehouse.transaction() as transaction:
            transaction.insert("rekindle_state.attempt_outcomes", rows)
            if any(row["reason"] for row in rows):
                transaction.execute("dispatch/insert_outcome_decisions", run_id=self._run.run_id, **place)
            if any(row["suppression_reason"] for row in rows):
                transaction.execute("dispatch/insert_outcome_suppressions", **place)
            transaction.execute("dispatch/record_outcomes", **place)
            transaction.execute("dispatch/delete_attempt_outcomes", attempt_id=self._attempt_id)


@dataclass(frozen=True, slots=True)
class _Held:
    """A claimed message that goes back, and why."""

    row: Row
    reason: DecisionReason
    detail: str
    next_due_at: datetime | None = None

    def decision(self, decided_at: datetime, run: Run) -> Row:
        place = ("entry_id", "message_id", "campaign_id", "lead_id", "step_id", "channel")
        return {name: self.row[name] for name in place} | {
            "reason": str(self.reason),
            "detail": self.detail,
            "decided_at": decided_at,
            "next_due_at": self.next_due_at,
            "run_id": run.run_id,
        }


def _outcome_row(outcome: Outcome, attempt_id: str, now: datetime) -> dict[str, Any]:
    status, reason = _status_of(outcome)
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
        "next_due_at": _due_again(outcome, now) if reason else None,
    }


def _due_again(outcome: Outcome, now: datetime) -> datetime:
    """The governor's word, else the provider's, else ours."""
    if outcome.held_until is not None:
        return outcome.held_until
    if outcome.retry_after_seconds is not None:
        return now + timedelta(seconds=outcome.retry_after_seconds)
    return now + RETRY_REFUSED_AFTER


def _status_of(outcome: Outcome) -> tuple[MessageStatus, DecisionReason | None]:
    """Proved accepted, proved refused, or unknown: nothing in between."""
    if outcome.kind is OutcomeKind.ACCEPTED:
        return MessageStatus.ACCEPTED, None
    if outcome.kind is OutcomeKind.UNKNOWN:
        return MessageStatus.UNKNOWN, None
    if outcome.held is not None:
        return MessageStatus.PLANNED, outcome.held
    if outcome.error_class is ErrorClass.PERMANENT:
        return MessageStatus.FAILED, None
    if outcome.error_class is ErrorClass.CONFIGURATION:
        return MessageStatus.PLANNED, DecisionReason.CONFIGURATION
    return MessageStatus.PLANNED, DecisionReason.PROVIDER_BUSY


def _stop_on_configuration_error(outcomes: Sequence[Outcome]) -> None:
    ours_to_mend = [outcome for outcome in outcomes if outcome.error_class is ErrorClass.CONFIGURATION]
    if ours_to_mend:
        first = ours_to_mend[0]
        raise ConfigurationError(
            f"{first.provider} refused {len(ours_to_mend)} messages with {first.error_code}: {first.detail}."
            " This is ours to mend (credentials, sender, template); no lead was changed and nothing more was sent"
        )
