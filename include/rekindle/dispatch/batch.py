"""One attempt at one batch.

    claim (re-checks) → commit attempting → call → [record, and commit the next chunk attempting → call] … → record

The warehouse is never held during a call. Between a call and its record nothing can fail but the record itself; a
process that dies there leaves `attempting` rows behind, which reconcile turns into `unknown`: never sent again. While a
chunk is on its way the next one is composed.
"""

from __future__ import annotations

import sys
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any, Protocol, runtime_checkable

from rekindle.campaigns.models import Campaign
from rekindle.channels.ports import Outcome, OutcomeKind
from rekindle.clock import Clock
from rekindle.dispatch.composer import Composed, Composer
from rekindle.dispatch.sender import Sender
from rekindle.errors import ConfigurationError, WarehouseMemoryError
from rekindle.governor.receipts import CHANNELS
from rekindle.journey.exits import end_by_exits
from rekindle.rendering.render import RenderingError
from rekindle.rendering.uses import needs_lead_context
from rekindle.run import Run
from rekindle.vocabulary import STATUS_RANK, DecisionReason, ErrorClass, MessageStatus
from rekindle.warehouse import Warehouse
from rekindle.warehouse.ports import Row, Transaction
from rekindle.warehouse.statements import with_words

LEASE = timedelta(minutes=30)  # longer than any batch takes at the slowest rate; a zombie past it may not begin a chunk
RETRY_REFUSED_AFTER = timedelta(minutes=5)
#: Seconds that an answer waits for the next chunk to be composed, to be recorded in one transaction with its marking.
PATIENCE_FOR_THE_NEXT = 0.1
#: Seconds for which a thread that composes keeps the interpreter's lock from the others; the usual is 0.005.
SWITCH_INTERVAL = 0.0002
_USUAL_SWITCH_INTERVAL = sys.getswitchinterval()
#: Up to so many requests of a chunk are recorded as ranges of messages.
FEW_REQUESTS = 5
#: MB for an engine that runs in this process. A send task wants a few thousand rows; without a limit the engine keeps
#: every block it has looked through, and the task grows with the ledger. Each of its threads holds blocks besides.
ENGINE_MEMORY = 80
ENGINE_THREADS = 1
#: MB for a claim that can not be made in less: what it reads is computed from the whole log.
ENOUGH_ENGINE_MEMORY = 512


@dataclass
class Dispatched:
    """How a batch fared, by message status."""

    statuses: Counter[str] = field(default_factory=Counter)

    def as_counts(self) -> dict[str, int]:
        return {str(status): count for status, count in sorted(self.statuses.items())}


@runtime_checkable
class EmbeddedWarehouse(Protocol):
    """A warehouse whose engine runs in this process and takes of its memory."""

    def limited(self, megabytes: int, threads: int) -> AbstractContextManager[None]:
        """Read and join in so much memory and no more in this block, with so many threads."""
        ...

    def kept_open(self) -> AbstractContextManager[None]:
        """Stay open between transactions of this block that follow each other quickly."""
        ...


def dispatch_batch(
    warehouse: Warehouse, batch_id: str, composer: Composer, sender: Sender, clock: Clock, run: Run
) -> Dispatched:
    """Send what is left of a batch, at most once each.

    A message whose template can not be filled is held with a decision, and the rest goes on. When the governor says no
    (breaker, allowance, rate) the rest is held with its reason. Raises `ConfigurationError` when the provider refused
    for our own fault; whatever was not sent is planned again and no lead changes.
    """
    if not isinstance(warehouse, EmbeddedWarehouse):
        return _dispatch_batch(warehouse, batch_id, composer, sender, clock, run)
    with warehouse.limited(ENGINE_MEMORY, ENGINE_THREADS), warehouse.kept_open():
        return _dispatch_batch(warehouse, batch_id, composer, sender, clock, run)


def _dispatch_batch(
    warehouse: Warehouse, batch_id: str, composer: Composer, sender: Sender, clock: Clock, run: Run
) -> Dispatched:
    attempt = _Attempt(warehouse, batch_id, composer.campaign, sender, clock, run)
    composing = _Composing(composer, clock, sender.chunk_size)
    rows: list[Row] = []
    begun: set[str] = set()
    no: Outcome | None = None
    try:
        with composing:
            rows = attempt.claim(composing)
            chunk = composing.take()
            ours = attempt.commit([], chunk)
            while chunk and attempt.stop is None:
                begun.update(item.message_id for item in chunk)
                outcomes = attempt.call(ours)
                no = next((outcome for outcome in outcomes if outcome.held is not None), None)
                goes_on = no is None and not _are_ours_to_mend(outcomes)
                chunk = composing.take(within=PATIENCE_FOR_THE_NEXT) if goes_on else []
                ours = attempt.commit(outcomes, chunk)
                _stop_on_configuration_error(outcomes)
                if goes_on and not chunk:
                    chunk = composing.take()
                    ours = attempt.commit([], chunk)
        if no is not None:
            begun.update(one.row["message_id"] for one in composing.held)
            attempt.hold((row for row in rows if row["message_id"] not in begun), no)
    finally:
        attempt.release(composing.held)
    return attempt.dispatched


class _Composing:
    """Composes in the order of the rows, a chunk ahead of its use: memory holds two chunks and not a batch.

    It does so while the warehouse and the provider work, and often is asked for the interpreter's lock meanwhile: the
    engine wants it at every turn, and at the usual interval would wait for it longer than it works.
    """

    def __init__(self, composer: Composer, clock: Clock, size: int) -> None:
        self._held: list[_Held] = []
        self._composer = composer
        self._clock = clock
        self._size = size
        self._rows: Iterator[Row] = iter(())
        self._kept: Set[str] | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="composing")
        self._following: Future[list[Composed]] | None = None

    def __enter__(self) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL)

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        sys.setswitchinterval(_USUAL_SWITCH_INTERVAL)

    def begin(self, rows: Iterable[Row]) -> None:
        """Compose these, and nothing that was begun before."""
        if self._following is not None:
            self._following.cancel()
            wait([self._following])
        self._held.clear()
        self._rows, self._kept = iter(rows), None
        self._following = self._pool.submit(self._chunk)

    def keep(self, message_ids: Set[str]) -> None:
        """Of what was begun, only these are still wanted."""
        self._kept = message_ids

    def take(self, within: float | None = None) -> list[Composed]:
        """The next chunk, empty after the last. With `within` (seconds) also empty when it is not composed by then, or
        can not be: asked again without, this waits for it, or raises what went wrong.
        """
        while self._following is not None:
            if within is not None:
                wait([self._following], timeout=within)
                if not self._following.done() or self._following.exception() is not None:
                    return []
            composed = self._following.result()
            self._following = self._pool.submit(self._chunk) if composed else None
            chunk = [item for item in composed if self._wants(item.message_id)]
            if chunk:
                return chunk
        return []

    @property
    def held(self) -> list[_Held]:
        """What could not be composed; complete once this is left."""
        return [one for one in self._held if self._wants(one.row["message_id"])]

    def _wants(self, message_id: str) -> bool:
        return self._kept is None or message_id in self._kept

    def _chunk(self) -> list[Composed]:
        chunk: list[Composed] = []
        now = self._clock.now()
        for row in self._rows:
            try:
                chunk.append(self._composer.compose(row, now))
            except RenderingError as error:
                self._held.append(_Held(row, DecisionReason.CONFIGURATION, str(error)))
            if len(chunk) == self._size:
                break
        return chunk


class _Attempt:
    """What one attempt does to the ledger, under its own id."""

    def __init__(
        self, warehouse: Warehouse, batch_id: str, campaign: Campaign, sender: Sender, clock: Clock, run: Run
    ) -> None:
        self.dispatched = Dispatched()
        self._campaign = campaign
        self._warehouse = warehouse
        self._batch_id = batch_id
        self._attempt_id = str(uuid.uuid4())
        self._sender = sender
        self._clock = clock
        self._run = run
        self._place = {"batch_id": batch_id, "attempt_id": self._attempt_id}
        self._held: list[_Held] = []
        self._attempting: set[str] = set()  # committed by this attempt and not recorded yet
        self._has_claimed = False
        self.stop: str | None = None  # why a person stopped this, if one did

    def claim(self, composing: _Composing) -> list[Row]:
        """Expire, re-check at the last moment and claim, in one transaction; returns only what this attempt holds:
        `composing` is at work on it by then.
        """
        try:
            rows = self._claim(composing)
        except WarehouseMemoryError:
            assert isinstance(self._warehouse, EmbeddedWarehouse)  # nobody else raises it
            with self._warehouse.limited(ENOUGH_ENGINE_MEMORY, ENGINE_THREADS):
                rows = self._claim(composing)
        self._has_claimed = True
        return rows

    def _claim(self, composing: _Composing) -> list[Row]:
        now = self._clock.now()
        with self._warehouse.transaction() as transaction:
            end_by_exits(transaction, self._campaign, replace(self._run, as_of=now, recorded_at=now), self._batch_id)
            transaction.execute("dispatch/expire_messages", batch_id=self._batch_id, now=now)
            if self._is_stopped(transaction):
                return []
            context = "joined" if needs_lead_context(self._campaign) else ""
            statement = with_words("dispatch/list_due_messages", context=context)
            rows = transaction.fetch(statement, batch_id=self._batch_id, now=now)
            composing.begin(rows)
            transaction.execute(
                "dispatch/insert_recheck_decisions",
                batch_id=self._batch_id,
                topic=self._campaign.topic,
                cap_since=now - timedelta(days=self._campaign.caps.per_days),
                cap_messages=self._campaign.caps.messages,
                now=now,
                run_id=self._run.run_id,
            )
            transaction.execute("dispatch/drop_refused_messages", batch_id=self._batch_id, now=now)
            claimed = transaction.execute(
                "dispatch/claim_messages", now=now, lease_expires_at=now + LEASE, **self._place
            )
            if claimed != len(rows):
                ours = {row["message_id"] for row in transaction.fetch("dispatch/list_claimed_messages", **self._place)}
                composing.keep(ours)
                rows = [row for row in rows if row["message_id"] in ours]
        return rows

    def call(self, ours: Sequence[Composed]) -> list[Outcome]:
        """Put what is committed through the channel. No warehouse is open."""
        return self._sender.send(ours, self._clock) if ours else []

    def commit(self, outcomes: Sequence[Outcome], chunk: Sequence[Composed]) -> list[Composed]:
        """Record what came of the last chunk and mark the next one `attempting`, in one transaction, because opening
        and closing the file costs more than what is written; returns what is still this attempt's to send.

        Should marking fail, the record is written without it: nothing may stand between an answer and its record.
        """
        if not outcomes and not chunk:
            return []
        try:
            with self._warehouse.transaction() as transaction:
                self._record(transaction, outcomes)
                ours = self._mark(transaction, chunk)
        except Exception:
            if outcomes and chunk:
                with self._warehouse.transaction() as transaction:
                    # One by one: whether the marking is on the disk is not known.
                    self._record_each(transaction, outcomes)
            raise
        self._attempting -= {outcome.message_id for outcome in outcomes}
        self._attempting |= {item.message_id for item in ours}
        self.dispatched.statuses.update(_status_of(outcome)[0] for outcome in outcomes)
        return ours

    def hold(self, rows: Iterable[Row], no: Outcome) -> None:
        """What was claimed and not begun yet shares the fate of the message the governor said no to."""
        assert no.held is not None
        self._held += [_Held(row, no.held, no.error_code or no.detail, no.held_until) for row in rows]

    def release(self, not_composed: Iterable[_Held]) -> None:
        """Give back what was claimed and will not be sent, with the reason where there is one."""
        if not self._has_claimed:
            return
        now = self._clock.now()
        held = [*self._held, *not_composed]
        with self._warehouse.transaction() as transaction:
            if held:
                transaction.insert("rekindle_state.decisions", [one.decision(now, self._run) for one in held])
            if self.stop is not None:
                transaction.execute(
                    "dispatch/insert_stop_decisions",
                    detail=self.stop,
                    now=now,
                    run_id=self._run.run_id,
                    **self._place,
                )
            self.dispatched.statuses["held"] += transaction.execute("dispatch/release_claims", **self._place)

    def _is_stopped(self, transaction: Transaction) -> bool:
        """Whether a person said stop, which counts from the next chunk on."""
        if self.stop is None:
            found = transaction.fetch(
                "dispatch/list_stops",
                campaign_id=self._campaign.campaign_id,
                channel=str(CHANNELS[self._sender.provider]),
                provider=self._sender.provider,
            )
            self.stop = found[0]["reason"] if found else None
        return self.stop is not None

    def _mark(self, transaction: Transaction, chunk: Sequence[Composed]) -> list[Composed]:
        """Before the first call; returns what is still this attempt's to send."""
        ours = list(chunk)
        if not ours or self._is_stopped(transaction):
            return []
        transaction.insert(
            "rekindle_state.attempt_chunks",
            [
                {
                    "attempt_id": self._attempt_id,
                    "message_id": item.message_id,
                    "body_hash": item.body_hash,
                    "segments": item.segments,
                }
                for item in ours
            ],
        )
        marked = transaction.execute(
            "dispatch/mark_attempting", now=self._clock.now(), provider=self._sender.provider, **self._place
        )
        if marked < len(ours):
            rows = transaction.fetch("dispatch/list_attempting_messages", **self._place)
            still = {row["message_id"] for row in rows}
            ours = [item for item in ours if item.message_id in still]
        transaction.execute("dispatch/delete_attempt_chunk", attempt_id=self._attempt_id)
        return ours

    def _record(self, transaction: Transaction, outcomes: Sequence[Outcome]) -> None:
        if outcomes and not self._record_accepted(transaction, outcomes):
            self._record_each(transaction, outcomes)

    def _record_each(self, transaction: Transaction, outcomes: Sequence[Outcome]) -> None:
        now = self._clock.now()
        rows = [_outcome_row(outcome, self._attempt_id, now) for outcome in outcomes]
        transaction.insert("rekindle_state.attempt_outcomes", rows)
        if any(row["reason"] for row in rows):
            transaction.execute("dispatch/insert_outcome_decisions", now=now, run_id=self._run.run_id, **self._place)
        if any(row["suppression_reason"] for row in rows):
            transaction.execute("dispatch/insert_outcome_suppressions", now=now, **self._place)
        transaction.execute("dispatch/record_outcomes", now=now, **self._place)
        transaction.execute("dispatch/delete_attempt_outcomes", attempt_id=self._attempt_id)

    def _record_accepted(self, transaction: Transaction, outcomes: Sequence[Outcome]) -> bool:
        """Whether the outcomes are what nearly every chunk's are, all that is attempting accepted in a few requests,
        and so were recorded without naming each.
        """
        if any(outcome.kind is not OutcomeKind.ACCEPTED for outcome in outcomes):
            return False
        if {outcome.message_id for outcome in outcomes} != self._attempting:
            return False
        in_order = sorted(outcomes, key=attrgetter("message_id"))
        requests = [list(some) for _, some in groupby(in_order, key=attrgetter("provider_message_id"))]
        if len(requests) > FEW_REQUESTS:
            return False
        proofs = {f"provider_message_id_{n}": some[0].provider_message_id for n, some in enumerate(requests, 1)}
        ends = {f"last_message_id_{n}": some[-1].message_id for n, some in enumerate(requests[:-1] or requests, 1)}
        recorded = transaction.execute(
            with_words("dispatch/record_acceptance", requests=str(len(requests))),
            now=self._clock.now(),
            **proofs,
            **ends,
            **self._place,
        )
        return recorded == len(outcomes)  # else somebody overtook us, and each is looked at by itself


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


def _are_ours_to_mend(outcomes: Iterable[Outcome]) -> bool:
    return any(outcome.error_class is ErrorClass.CONFIGURATION for outcome in outcomes)


def _stop_on_configuration_error(outcomes: Sequence[Outcome]) -> None:
    ours_to_mend = [outcome for outcome in outcomes if outcome.error_class is ErrorClass.CONFIGURATION]
    if ours_to_mend:
        first = ours_to_mend[0]
        raise ConfigurationError(
            f"{first.provider} refused {len(ours_to_mend)} messages with {first.error_code}: {first.detail}."
            " This is ours to mend (credentials, sender, template); no lead was changed and nothing more was sent"
        )
