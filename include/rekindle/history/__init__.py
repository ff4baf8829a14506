"""Everything that ever happened to one lead, and why: read from the state tables, never written."""

from rekindle.history.lead import Happening, LeadHistory, Standing, UnknownLeadError, read_history, unknown_lead

__all__ = ["Happening", "LeadHistory", "Standing", "UnknownLeadError", "read_history", "unknown_lead"]
