"""Deterministic ids and address hashes. The SQL dialects compute the same values (a contract test compares them)."""

from __future__ import annotations

import hashlib
import uuid

#: Namespace of every id Rekindle mints. Never change it: ids are how a send is recognised as already made.
NAMESPACE = uuid.UUID("6f0c6c1e-6a0b-5d0a-9f56-3f2f9a1d7c11")


def stable_id(*parts: str) -> str:
    """uuid5 over the parts joined with `|`: the same parts give the same id, on every machine, for ever."""
    return str(uuid.uuid5(NAMESPACE, "|".join(parts)))


def entry_id(campaign_id: str, lead_id: str, cohort_date: str) -> str:
    """Id of one pass of one lead through one campaign; `cohort_date` is ISO `YYYY-MM-DD`."""
    return stable_id(campaign_id, lead_id, cohort_date)


def message_id(entry_id: str, step_id: str, attempt_class: str, channel: str) -> str:
    """Id of one planned send."""
    return stable_id(entry_id, step_id, attempt_class, channel)


def address_hash(address: str) -> str:
    """sha256 hex of the trimmed, lower-cased e-mail address or E.164 number: what state tables hold in its place."""
    return hashlib.sha256(address.strip().lower().encode()).hexdigest()
