"""Who may be written to now, and what is therefore planned; everybody else gets a decision with its reason."""

from rekindle.planning.contact_checks import check_contacts
from rekindle.planning.plan import Batch, plan_messages

__all__ = ["Batch", "check_contacts", "plan_messages"]
