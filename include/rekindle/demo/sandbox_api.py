"""The sandbox's control side, and its own record of what it accepted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from rekindle.identity import address_hash
from rekindle.warehouse import Warehouse


@dataclass(frozen=True)
class CrossCheck:
    """One comparison of the sandbox's record with the ledger."""

    claim: str
    violations: int
    checked: int


class SandboxApi:
    """Talks to one running sandbox."""

    def __init__(self, base_url: str) -> None:
        self._client = httpx.Client(base_url=base_url, timeout=300, trust_env=False)

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def deliver_due_callbacks(self) -> dict[str, int]:
        """Let providers and people do everything that is due by the clock; how many callbacks were delivered and are
        pending.
        """
        answer: dict[str, int] = self._client.post("/_sandbox/deliver").raise_for_status().json()
        return answer

    def accepted_messages(self) -> list[dict[str, Any]]:
        """Every message the sandbox accepted, by its own record."""
        answer = self._client.get("/_sandbox/messages", params={"format": "jsonl"}).raise_for_status()
        return [json.loads(line) for line in answer.text.splitlines() if line]


def cross_check(accepted: list[dict[str, Any]], warehouse: Warehouse) -> list[CrossCheck]:
    """Compare the providers' side with ours: the ledger can not judge itself."""
    with warehouse.transaction() as transaction:
        ledger = {row["message_id"]: row for row in transaction.fetch("report/list_accepted_messages")}
        holdout = transaction.fetch("report/list_holdout_addresses")
        opt_outs = {row["address_hash"]: row["recorded_at"] for row in transaction.fetch("report/list_opt_outs")}
        exits = {row["message_id"]: row["recorded_at"] for row in transaction.fetch("report/list_message_exits")}
    ids = [message["message_id"] for message in accepted]
    held_out = {row[column] for row in holdout for column in ("email_hash", "phone_hash")} - {None}
    hashes = [address_hash(message["to"]) for message in accepted]
    instants = [datetime.fromisoformat(message["accepted_at"]) for message in accepted]
    sends = list(zip(ids, hashes, instants, strict=True))
    return [
        CrossCheck("no message id twice at the providers", len(ids) - len(set(ids)), len(ids)),
        CrossCheck(
            "nothing to a held-out person, on any address", sum(found in held_out for found in hashes), len(ids)
        ),
        CrossCheck(
            "nothing after an exit was in the warehouse",
            sum(message in exits and exits[message] <= instant for message, _, instant in sends),
            len(ids),
        ),
        CrossCheck(
            "nothing after an opt-out was in the warehouse",
            sum(found in opt_outs and opt_outs[found] <= instant for _, found, instant in sends),
            len(ids),
        ),
        CrossCheck("what the providers accepted is what the ledger says", len(set(ids) ^ set(ledger)), len(ids)),
    ]
