"""Readers of our own documentation."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def repository() -> Path:
    return ROOT


def tables_of(page: str) -> dict[str, dict[str, str]]:
    """Heading → first cell (a name in backticks) → second cell, for every table under a heading of a page."""
    tables: dict[str, dict[str, str]] = {}
    heading = ""
    for line in page.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
        elif named := re.fullmatch(r"\| `(\w+)` \| ([^|]+) \|.*", line):
            tables.setdefault(heading, {})[named[1]] = named[2].strip()
    return tables


@pytest.fixture
def documented_tables() -> Callable[[str], dict[str, dict[str, str]]]:
    """Reads the tables of a page below `docs/`."""
    return lambda name: tables_of((ROOT / "docs" / name).read_text(encoding="utf-8"))
