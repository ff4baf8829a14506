"""Settles what nobody told us: stale claims, dead attempts, and outcomes that are not proved."""

from rekindle.reconcile.ledger import reconcile_ledger

__all__ = ["reconcile_ledger"]
