"""Landing files written by hand, and the shared vectors where they are present."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rekindle.events import LandingFile, read_landing_file
from rekindle.events.rows import LandedRequest
from rekindle.vocabulary import Stream

RECEIVED_AT = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)


@pytest.fixture
def received_at() -> datetime:
    return RECEIVED_AT


@pytest.fixture
def request_of() -> Callable[..., LandedRequest]:
    """Builds one landed request; every field has a plain default."""

    def build(stream: Stream, body: str = "", **fields: Any) -> LandedRequest:
        defaults: dict[str, Any] = {
            "landing_file": f"{stream}/2026-03-01/180000000000-00.jsonl",
            "line_number": 1,
            "received_at": RECEIVED_AT,
        }
        return LandedRequest(stream=stream, body=body, **{**defaults, **fields})

    return build


@pytest.fixture
def read_lines(tmp_path: Path) -> Callable[..., LandingFile]:
    """Writes records as the lines of one landing file and reads it."""

    def read(stream: Stream, *records: dict[str, Any] | bytes) -> LandingFile:
        folder = tmp_path / stream / "2026-03-01"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"180000000000-{len(list(folder.iterdir())):04x}.jsonl"
        lines = [
            record
            if isinstance(record, bytes)
            else json.dumps({"received_at": RECEIVED_AT.isoformat(), "method": "POST", **record}).encode()
            for record in records
        ]
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return read_landing_file(path, tmp_path)

    return read


@pytest.fixture
def vectors() -> Callable[[str], Any]:
    """Reads a shared vector file, or skips the test where the folder is absent."""

    def read(name: str) -> Any:
        path = Path(__file__).parents[3].parent / "shared" / "vectors" / name
        if not path.exists():
            pytest.skip(f"the shared vectors are not here ({name})")
        return json.loads(path.read_text())

    return read
