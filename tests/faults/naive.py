"""Dispatchers somebody might have written instead: one that is right, three with one mistake each, and two that get
nowhere.

They speak plain SQL to the ledger's public columns, so that they stay what they are whatever the product becomes.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from rekindle.channels.ports import Outcome, OutcomeKind
from rekindle.clock import Clock
from rekindle.dispatch.composer import Composer
from rekindle.dispatch.sender import Sender
from rekindle.run import Run
from rekindle.warehouse.duckdb import DuckDbWarehouse

STATUS = {"planned": 0, "claimed": 10, "attempting": 20, "unknown": 30, "accepted": 50}
CLAIMED = (
    "select messages.*, contacts.email, contacts.phone, contacts.email_hash, contacts.phone_hash, contacts.first_name,"
    " contacts.locale, contacts.plan, contacts.last_key_action_on, cast(null as varchar) as segment"
    " from rekindle_state.messages as messages"
    " inner join rekindle_activation.sync_lead_contacts as contacts on messages.lead_id = contacts.lead_id"
    " where attempt_id = $attempt and status = 'claimed' order by message_id"
)


class NaiveDispatcher:
    """Claims under a lease, commits `attempting`, calls, records; each switch takes one of these away."""

    def __init__(
        self, *, resends_unknowns: bool = False, attempting_after_call: bool = False, ignores_lease: bool = False
    ) -> None:
        self.resends_unknowns = resends_unknowns
        self.attempting_after_call = attempting_after_call
        self.ignores_lease = ignores_lease

    def __call__(
        self, warehouse: DuckDbWarehouse, batch_id: str, composer: Composer, sender: Sender, clock: Clock, run: Run
    ) -> None:
        attempt, now = str(uuid.uuid4()), clock.now()
        with warehouse.transaction() as transaction:
            transaction.query(
                "update rekindle_state.messages set status = 'claimed', status_rank = 10, attempt_id = $attempt,"
                " claimed_at = $now, lease_expires_at = $until where batch_id = $batch_id and status = 'planned'"
                " and arm = 'treatment' and expires_at > $now",
                attempt=attempt,
                now=now,
                until=now + timedelta(minutes=30),
                batch_id=batch_id,
            )
            rows = transaction.query(CLAIMED, attempt=attempt)
        for start in range(0, len(rows), sender.chunk_size):
            chunk = [composer.compose(row, clock.now()) for row in rows[start : start + sender.chunk_size]]
            ids = [item.message_id for item in chunk]
            mine = ids if self.attempting_after_call else self._attempt(warehouse, ids, attempt, clock)
            outcomes = sender.send([item for item in chunk if item.message_id in mine], clock) if mine else []
            if self.attempting_after_call:
                self._attempt(warehouse, ids, attempt, clock)
            self._record(warehouse, outcomes, attempt, clock)

    def _attempt(self, warehouse: DuckDbWarehouse, ids: Sequence[str], attempt: str, clock: Clock) -> list[str]:
        fence = (
            ""
            if self.ignores_lease
            else " and attempt_id = $attempt and status = 'claimed' and lease_expires_at > $now"
        )
        values: dict[str, Any] = {"ids": list(ids), "now": clock.now()}
        if fence:
            values["attempt"] = attempt
        with warehouse.transaction() as transaction:
            transaction.query(
                "update rekindle_state.messages set status = 'attempting', status_rank = 20, attempting_at = $now"
                f" where message_id in (select unnest($ids)){fence}",
                **values,
            )
            rows = transaction.query(
                "select message_id from rekindle_state.messages where message_id in (select unnest($ids))"
                " and status = 'attempting'",
                ids=list(ids),
            )
        return [row["message_id"] for row in rows]

    def _record(self, warehouse: DuckDbWarehouse, outcomes: Sequence[Outcome], attempt: str, clock: Clock) -> None:
        with warehouse.transaction() as transaction:
            for outcome in outcomes:
                status = {OutcomeKind.ACCEPTED: "accepted", OutcomeKind.REFUSED: "planned"}.get(outcome.kind, "unknown")
                if status == "unknown" and self.resends_unknowns:
                    status = "planned"
                transaction.query(
                    "update rekindle_state.messages set status = $status, status_rank = $rank,"
                    " provider_message_id = $provider_message_id where message_id = $message_id",
                    status=status,
                    rank=STATUS[status],
                    provider_message_id=outcome.provider_message_id,
                    message_id=outcome.message_id,
                )


right = NaiveDispatcher()
resends_unknowns = NaiveDispatcher(resends_unknowns=True)
attempting_after_call = NaiveDispatcher(attempting_after_call=True)
ignores_lease = NaiveDispatcher(ignores_lease=True)


def breaks(*_: object) -> None:
    """Does not even begin."""
    raise RuntimeError("this dispatcher is broken")


def hangs(*_: object) -> None:
    """Never ends."""
    threading.Event().wait()
