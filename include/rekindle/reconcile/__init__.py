"""Settles what nobody told us: stale claims, dead attempts, outcomes that are not proved; and asks the providers daily
for what their webhooks missed.
"""

from rekindle.reconcile.ledger import reconcile_ledger

__all__ = ["reconcile_ledger"]
