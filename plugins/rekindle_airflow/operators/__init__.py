"""Operators, one class per file."""
