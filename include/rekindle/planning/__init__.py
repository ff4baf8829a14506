"""Who may be written to now, and what is therefore planned; everybody else gets a decision with its reason."""

from rekindle.planning.contact_checks import check_contacts
from rekindle.planning.plan import Batch, plan_messages
from rekindle.planning.turns import campaigns_of_lately, take_turns

__all__ = ["Batch", "campaigns_of_lately", "check_contacts", "plan_messages", "take_turns"]
