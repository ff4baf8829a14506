from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rekindle.intake import Workspace

WriteFile = Callable[..., Path]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace(tmp_path) as scratch:
        yield scratch


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    """Writes text (as UTF-8) or bytes to a file."""

    def write_file(content: str | bytes, name: str = "events.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.fixture
def noon() -> datetime:
    """The instant most of these tests act as of."""
    return datetime(2024, 6, 1, 12, tzinfo=UTC)
