"""Brings what arrived into the warehouse, exactly once, and lets it change the journeys at once."""

from rekindle.ingest.inbox import load_inbox
from rekindle.ingest.landing import load_landing_zone

__all__ = ["load_inbox", "load_landing_zone"]
