"""Hooks for systems whose provider brings none."""
