"""Reads one lead's history. Addresses, numbers and bodies are not in the state tables, so they can not be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rekindle.errors import RekindleError
from rekindle.warehouse import Transaction, Warehouse


class UnknownLeadError(RekindleError):
    """Neither the company's tables nor the state tables know the lead."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened, what it was, and why or by whose word. `campaign_id` is None for what concerns all."""

    happened_at: datetime
    kind: str
    campaign_id: str | None
    what: str
    why: str
    run_id: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one entry of the lead stands now."""

    campaign_id: str
    arm: str
    stage: str
    stage_entered_at: datetime
    due_at: datetime | None
    exit_reason: str | None
    exited_at: datetime | None


@dataclass(frozen=True, slots=True)
class LeadHistory:
    """A lead as the warehouse knows it now, where its entries stand, and everything that happened, oldest first."""

    lead_id: str
    facts: dict[str, Any]
    standings: Sequence[Standing]
    happenings: Sequence[Happening]


def unknown_lead(transaction: Transaction, lead_id: str) -> UnknownLeadError:
    """Says that nobody has this id, and which ids are nearest."""
    rows = transaction.fetch("report/list_similar_leads", lead_id=lead_id)
    near = f"nearest: {', '.join(row['lead_id'] for row in rows)}; " if rows else ""
    return UnknownLeadError(
        f"there is no lead {lead_id} in the warehouse; {near}ids are those of `user_id` in rekindle_raw.users,"
        " letter by letter, and a new one is known after the next `score`"
    )


def read_history(warehouse: Warehouse, lead_id: str, campaign_id: str | None = None) -> LeadHistory:
    """Everything about the lead, or only what one campaign did and what concerns every campaign.

    Raises `UnknownLeadError`.
    """
    with warehouse.transaction() as transaction:
        leads = transaction.fetch("report/fetch_lead", lead_id=lead_id)
        standings = transaction.fetch("report/list_lead_standing", lead_id=lead_id)
        rows = transaction.fetch("report/list_lead_history", lead_id=lead_id)
        if not leads and not standings and not rows:
            raise unknown_lead(transaction, lead_id)
    concerns = (None, campaign_id)
    return LeadHistory(
        lead_id=lead_id,
        facts=leads[0] if leads else {},
        standings=[Standing(**row) for row in standings if campaign_id is None or row["campaign_id"] == campaign_id],
        happenings=[
            Happening(**{name: value for name, value in row.items() if name != "place"})
            for row in rows
            if campaign_id is None or row["campaign_id"] in concerns
        ],
    )
