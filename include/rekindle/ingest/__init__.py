"""Brings what arrived into the warehouse, exactly once, and lets it change the journeys at once."""

from rekindle.ingest.dead_letters import count_dead_letters, retry_dead_letters
from rekindle.ingest.inbox import load_inbox
from rekindle.ingest.landing import listen, load_landing_zone

__all__ = ["count_dead_letters", "listen", "load_inbox", "load_landing_zone", "retry_dead_letters"]
