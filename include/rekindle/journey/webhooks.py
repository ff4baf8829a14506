"""Tells other systems what a journey's webhook steps say, at least once each.

A call is a row that was written with the transition. It is told under its own id, so that whoever hears it twice can
tell; what was not told is tried again, later each time, and given up after three days.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from rekindle.clock import Clock
from rekindle.warehouse import Warehouse
from rekindle.warehouse.ports import Row

#: A header other systems know calls by: draft-ietf-httpapi-idempotency-key-header.
IDEMPOTENCY_HEADER = "Idempotency-Key"
TIMEOUT = httpx.Timeout(10.0, connect=5.0)  # seconds
FIRST_DELAY = timedelta(minutes=5)
LONGEST_DELAY = timedelta(hours=12)
#: Five minutes, doubled each time up to twelve hours: about three days.
MOST_ATTEMPTS = 13
#: Refusals that time may mend (RFC 9110, RFC 6585, RFC 8470); every other 4xx says that the call itself is wrong.
_TRY_AGAIN = frozenset({408, 409, 423, 425, 429})
_CHUNK = 50  # calls between two commits: what may be told twice if the process dies


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a connection points, and what must be sent along."""

    url: str
    headers: Mapping[str, str]


DestinationOf = Callable[[str], Destination]
"""The id of a connection → where it points; raises `ConfigurationError` when it is not there."""


def tell_webhooks(
    warehouse: Warehouse, campaign_id: str, destination_of: DestinationOf, clock: Clock
) -> dict[str, int]:
    """Make every call of a campaign that is due; how many were told, refused for good, given up or put off.

    The warehouse is not held while the other side is waited for. Raises `ConfigurationError` for a connection that is
    not there; what was told before is kept.
    """
    counts: Counter[str] = Counter()
    with warehouse.transaction() as transaction:
        due = iter(transaction.fetch("journey/list_webhook_calls", now=clock.now(), campaign_id=campaign_id))
    with httpx.Client(timeout=TIMEOUT, follow_redirects=False) as client:
        while chunk := list(itertools.islice(due, _CHUNK)):
            outcomes: list[dict[str, Any]] = []
            try:
                for call in chunk:
                    outcomes.append(_tell(client, destination_of(call["connection_id"]), call, clock))
            finally:
                with warehouse.transaction() as transaction:
                    for outcome in outcomes:
                        transaction.execute("journey/mark_webhook_call", **outcome)
                counts.update(outcome["status"] for outcome in outcomes)
    return dict(sorted(counts.items()))


def _tell(client: httpx.Client, destination: Destination, call: Row, clock: Clock) -> dict[str, Any]:
    """One attempt. The error names the kind of failure, never what the other side said: it may quote the lead."""
    said = {name: call[name] for name in ("call_id", "event", "campaign_id", "step_id", "entry_id", "lead_id")}
    body = said | {"happened_at": call["happened_at"].isoformat()}
    headers = dict(destination.headers) | {IDEMPOTENCY_HEADER: call["call_id"]}
    try:
        answer = client.post(destination.url, json=body, headers=headers)
    except httpx.HTTPError as error:
        return _outcome(call, clock, type(error).__name__, may_try_again=True)
    if answer.is_success:
        return _outcome(call, clock, None, may_try_again=False)
    may_try_again = answer.status_code in _TRY_AGAIN or answer.is_server_error
    return _outcome(call, clock, f"HTTP {answer.status_code}", may_try_again=may_try_again)


def _outcome(call: Row, clock: Clock, error: str | None, *, may_try_again: bool) -> dict[str, Any]:
    attempts, now = call["attempts"] + 1, clock.now()
    if error is None:
        status = "told"
    elif not may_try_again:
        status = "refused"
    else:
        status = "waiting" if attempts < MOST_ATTEMPTS else "given_up"
    delay = min(FIRST_DELAY * 2 ** (attempts - 1), LONGEST_DELAY)
    return {
        "call_id": call["call_id"],
        "status": status,
        "attempts": attempts,
        "next_attempt_at": now + delay if status == "waiting" else None,
        "error": error,
        "told_at": now if status == "told" else None,
    }
