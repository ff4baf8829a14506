"""Something has landed: noticed once, cheaply, and never missed for good."""

from __future__ import annotations

import os
import uuid
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from rekindle.events import landing_root
from rekindle.events.arrivals import ArrivalWatch

TODAY = date(2026, 1, 12)


@pytest.fixture(params=["folder", "store"])
def zone(request: pytest.FixtureRequest, tmp_path: Path) -> Path | UPath:
    """A folder, and fsspec's own object store."""
    return tmp_path if request.param == "folder" else landing_root(f"memory://bucket-{uuid.uuid4().hex}/landing")


def land(zone: Any, name: str, stream: str = "app_events", day: str = "2026-01-12") -> Any:
    path = zone / stream / day / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}\n")
    return path


def test_each_arrival_is_noticed_once(zone: Any) -> None:
    watch = ArrivalWatch(zone)
    assert [watch.look(TODAY) for _ in range(2)] == [False, False]
    for name, stream in (("2.jsonl", "app_events"), ("1.jsonl", "app_events"), ("3.jsonl", "twilio_inbound")):
        land(zone, name, stream)
        assert [watch.look(TODAY) for _ in range(4)] == [True, False, False, False]


def test_what_was_there_before_the_watch_is_noticed(zone: Any) -> None:
    land(zone, "1.jsonl", day="2026-01-11")
    assert [ArrivalWatch(zone).look(TODAY) for _ in range(2)] == [True, True]


def test_an_unfinished_file_and_a_day_long_gone_are_none(zone: Any) -> None:
    watch = ArrivalWatch(zone)
    land(zone, "1.part")
    land(zone, "1.jsonl", day="2026-01-10")
    land(zone, "1.jsonl", stream="not_a_stream")
    assert watch.look(TODAY) is False
    land(zone, "1.jsonl")
    assert watch.look(TODAY) is True


def test_a_day_that_is_over_is_looked_at_no_more_and_starts_nothing(zone: Any) -> None:
    watch = ArrivalWatch(zone)
    land(zone, "1.jsonl", day="2026-01-12")
    assert watch.look(TODAY) is True
    assert watch.look(date(2026, 1, 14)) is False
    land(zone, "1.jsonl", day="2026-01-14")
    assert watch.look(date(2026, 1, 14)) is True


def test_a_folder_in_which_nothing_changed_is_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts the listings: a busy day's folder holds hundreds of thousands of files."""
    folder = land(tmp_path, "1.jsonl").parent
    listed: list[str] = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(str(path)) or real(path))
    watch = ArrivalWatch(tmp_path)
    assert [watch.look(TODAY) for _ in range(6)] == [True] + [False] * 5
    assert listed.count(str(folder)) == 2  # once, and once more in case the clock of the file system was too coarse
    # a file within the same tick of that clock
    changed_at = folder.stat()
    land(tmp_path, "2.jsonl")
    assert watch.look(TODAY) is True
    land(tmp_path, "3.jsonl")
    os.utime(folder, ns=(changed_at.st_atime_ns, folder.stat().st_mtime_ns))
    assert watch.look(TODAY) is True


def test_a_folder_that_can_not_be_read_is_told_and_missed_for_now_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails one listing, as a share does whose server restarts."""
    watch = ArrivalWatch(tmp_path)
    land(tmp_path, "1.jsonl")

    def refuse(_: Any) -> None:
        raise OSError("stale handle")

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", refuse)
        with pytest.raises(OSError, match="stale handle"):
            watch.look(TODAY)
    assert [watch.look(TODAY) for _ in range(3)] == [True, False, False]
