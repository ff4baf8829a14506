"""Takes in anyone's files: an event log, leads, support tickets, other tools' messages.

Good rows are handed over, bad ones are told.
"""

from __future__ import annotations

from rekindle.intake.checking import (
    Counts,
    Validated,
    validate_events,
    validate_external_messages,
    validate_leads,
    validate_tickets,
)
from rekindle.intake.inbox import Handed, write_inbox
from rekindle.intake.report import summarise
from rekindle.intake.vocabulary import RejectReason
from rekindle.intake.workspace import Workspace

__all__ = [
    "Counts",
    "Handed",
    "RejectReason",
    "Validated",
    "Workspace",
    "summarise",
    "validate_events",
    "validate_external_messages",
    "validate_leads",
    "validate_tickets",
    "write_inbox",
]
