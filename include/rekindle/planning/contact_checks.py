"""Checks the addresses that are about to be written to, once, and remembers the answer.

The warehouse is not held while the provider's Lookup is asked.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from rekindle.campaigns.models import Campaign, MessageStep
from rekindle.contacts.checks import ContactCheck
from rekindle.run import Run
from rekindle.warehouse import Warehouse

VALID_FOR = timedelta(days=90)  # a number changes hands; an older answer is asked for again
_CHUNK = 500

Checker = Callable[[str, str | None], ContactCheck]
"""address, country → the check; raises when the check can not be made now."""


def check_contacts(
    warehouse: Warehouse, campaign: Campaign, step: MessageStep, run: Run, check: Checker
) -> dict[str, int]:
    """Check every unchecked address of the entries due at a send step.

    What was checked before an error is kept; the error is raised, and the leads behind it stay untouched.
    """
    due: dict[str, Any] = {
        "campaign_id": campaign.campaign_id,
        "channel": str(step.channel),
        "step_id": step.step_id,
        "as_of": run.as_of,
        "valid_since": run.as_of - VALID_FOR,
    }
    with warehouse.transaction() as transaction:
        unchecked = transaction.fetch("plan/list_unchecked_contacts", **due)
    counts = {"checked": 0, "unusable": 0}
    addresses = iter(unchecked)
    while chunk := list(itertools.islice(addresses, _CHUNK)):
        checks: dict[str, ContactCheck] = {}
        try:
            for row in chunk:
                checks[row["address_hash"]] = check(row["address"], row["country"])
        finally:
            _remember(warehouse, step, run, checks)
            counts["checked"] += len(checks)
            counts["unusable"] += sum(not found.is_usable for found in checks.values())
    return counts


def _remember(warehouse: Warehouse, step: MessageStep, run: Run, checks: dict[str, ContactCheck]) -> None:
    rows = [
        {
            # of the address as the warehouse spells it: the ledger joins on that
            "address_hash": address_hash,
            "channel": str(step.channel),
            "is_usable": found.is_usable,
            "reason": found.reason,
            "line_type": str(found.line_type) if found.line_type else None,
            "time_zones": found.time_zones,
            "cost": float(found.cost or 0.0),
            "checked_at": run.as_of,
        }
        for address_hash, found in checks.items()
    ]
    with warehouse.transaction() as transaction:
        transaction.execute("plan/delete_contact_checks", channel=str(step.channel), valid_since=run.as_of - VALID_FOR)
        transaction.insert("rekindle_state.contact_checks", rows)
