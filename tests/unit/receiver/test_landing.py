"""The landing zone: durable before it is acknowledged, whole or not at all."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rekindle.clock import SteppedClock
from rekindle.receiver.landing import LandingZone
from rekindle.vocabulary import Stream

STREAM = Stream.SENDGRID_EVENTS


def records_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def zone(tmp_path: Path, stepped_clock: SteppedClock) -> LandingZone:
    return LandingZone(tmp_path / "landing", stepped_clock)


def test_one_record_is_one_file_named_by_the_clock(zone: LandingZone) -> None:
    path = zone.append(STREAM, {"body": "é\u2028\n", "n": 1}).result(5)
    assert path.parent == zone.root / "sendgrid_events" / "2026-03-01"
    moment, _, random = path.stem.partition("-")
    assert (moment, len(random), path.suffix) == ("180000000000", 16, ".jsonl")
    assert path.read_bytes().count(b"\n") == 1
    assert records_of(path) == [{"body": "é\u2028\n", "n": 1}]


def test_the_day_follows_the_clock(zone: LandingZone, stepped_clock: SteppedClock) -> None:
    zone.append(STREAM, {}).result(5)
    stepped_clock.step_to(datetime(2026, 3, 2, 0, 0, 0, 7, tzinfo=UTC))
    path = zone.append(STREAM, {}).result(5)
    assert (path.parent.name, path.name[:12]) == ("2026-03-02", "000000000007")


def test_many_writers_lose_nothing_and_share_files(zone: LandingZone) -> None:
    def write(number: int) -> Path:
        return zone.append(STREAM, {"n": number}).result(30)

    with ThreadPoolExecutor(40) as pool:
        paths = list(pool.map(write, range(2000)))
    # Every record is in the very file that was named in its acknowledgement, once
    for number, path in enumerate(paths[:50]):
        assert {"n": number} in records_of(path)
    found = [record["n"] for path in set(paths) for record in records_of(path)]
    assert sorted(found) == list(range(2000))
    assert len(set(paths)) < 2000  # they gathered
    assert list(zone.root.rglob("*.part")) == []


def test_streams_are_apart(zone: LandingZone) -> None:
    paths = {stream: zone.append(stream, {"stream": stream}).result(5) for stream in Stream}
    for stream, path in paths.items():
        assert path.relative_to(zone.root).parts[0] == stream
        assert records_of(path) == [{"stream": stream}]


def test_nothing_is_acknowledged_before_it_is_on_the_disk(zone: LandingZone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Watches the system calls, because no test can pull the plug."""
    zone.append(STREAM, {"n": 0}).result(5)  # the folders exist now
    steps: list[str] = []
    future: Future[Path]
    real_fsync, real_rename = os.fsync, Path.rename

    def fsync(descriptor: int) -> None:
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        steps.append(f"fsync {'folder' if target.is_dir() else target.suffix} acknowledged={future.done()}")
        real_fsync(descriptor)

    def rename(path: Path, target: Path) -> Path:
        steps.append(f"rename {path.suffix} {target.suffix} acknowledged={future.done()}")
        return real_rename(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    # The writer waits for this lock until `future` is known to the two watchers above.
    writer = zone._writers[STREAM]
    with writer._changed:
        future = Future()
        writer._gathering.append((b'{"n":1}\n', future))
        writer._changed.notify()
    future.result(5)
    assert steps == [
        "fsync .part acknowledged=False",
        "rename .part .jsonl acknowledged=False",
        "fsync folder acknowledged=False",
    ]


def test_new_folders_are_flushed_into_their_parents(zone: LandingZone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Watches the system calls: a folder whose name is not on the disk takes its files with it."""
    flushed: list[Path] = []
    real_fsync = os.fsync

    def fsync(descriptor: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    zone.append(STREAM, {}).result(5)
    folders = [path for path in flushed if path.suffix != ".part"]
    stream = zone.root / STREAM
    assert folders == [zone.root.parent, zone.root, stream, stream / "2026-03-01"]


def test_while_one_group_is_written_the_next_one_gathers(zone: LandingZone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Holds the first flush back to see what the others do meanwhile."""
    held, arrived = threading.Event(), threading.Event()
    real_fsync = os.fsync

    def fsync(descriptor: int) -> None:
        arrived.set()
        held.wait(10)
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    first = zone.append(STREAM, {"n": 0})
    assert arrived.wait(5)
    rest = [zone.append(STREAM, {"n": number}) for number in range(1, 50)]
    assert not any(future.done() for future in (first, *rest))
    held.set()
    paths = {future.result(5) for future in rest}
    assert len(paths) == 1
    assert first.result(5) not in paths
    assert [record["n"] for record in records_of(paths.pop())] == list(range(1, 50))


def test_lingering_makes_fewer_files_and_stopping_cuts_it_short(tmp_path: Path, stepped_clock: SteppedClock) -> None:
    zone = LandingZone(tmp_path / "landing", stepped_clock, linger=30)
    futures = [zone.append(STREAM, {"n": number}) for number in range(20)]
    zone.close()
    assert len({future.result(5) for future in futures}) == 1


def test_a_failed_write_is_told_and_leaves_nothing_behind(zone: LandingZone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the flush fail as a full disk does."""
    real_fsync = os.fsync

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    zone.append(STREAM, {"n": 0}).result(5)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        zone.append(STREAM, {"n": 1}).result(5)
    with pytest.raises(OSError, match="No space"):
        zone.check_writable()
    # When there is room again the writer still lives
    monkeypatch.setattr(os, "fsync", real_fsync)
    path = zone.append(STREAM, {"n": 2}).result(5)
    assert records_of(path) == [{"n": 2}]
    files = [path for path in zone.root.rglob("*") if path.is_file()]
    assert sorted(record["n"] for path in files for record in records_of(path)) == [0, 2]


def test_an_impossible_folder_is_told(tmp_path: Path, stepped_clock: SteppedClock) -> None:
    (tmp_path / "file").write_text("")
    zone = LandingZone(tmp_path / "file" / "landing", stepped_clock)
    with pytest.raises(OSError, match="file"):
        zone.append(STREAM, {}).result(5)
    with pytest.raises(OSError, match="file"):
        zone.check_writable()


def test_a_caller_that_went_away_does_not_hurt_the_others(zone: LandingZone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Holds the first flush back so that a waiting record can be given up."""
    held = threading.Event()
    real_fsync = os.fsync

    def fsync(descriptor: int) -> None:
        held.wait(10)
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    zone.append(STREAM, {"n": 0})
    gone = zone.append(STREAM, {"n": 1})
    staying = zone.append(STREAM, {"n": 2})
    gone.cancel()
    held.set()
    path = staying.result(5)
    assert {"n": 2} in records_of(path)


def test_closing_writes_what_was_handed_over(zone: LandingZone) -> None:
    futures = [zone.append(STREAM, {"n": number}) for number in range(100)]
    zone.close()
    assert all(future.done() for future in futures)
    found = [record["n"] for path in {future.result() for future in futures} for record in records_of(path)]
    assert sorted(found) == list(range(100))
    with pytest.raises(RuntimeError, match="closed"):
        zone.append(STREAM, {})
    zone.close()  # twice is fine


def test_the_probe_leaves_nothing(zone: LandingZone) -> None:
    zone.check_writable()
    assert list(zone.root.iterdir()) == []


def test_two_zones_share_a_folder(tmp_path: Path, stepped_clock: SteppedClock) -> None:
    """As two server processes do; the clock stands still, so only the random part keeps their files apart."""
    zones = [LandingZone(tmp_path / "landing", stepped_clock) for _ in range(2)]
    paths = [zone.append(STREAM, {"n": number}).result(5) for number in range(200) for zone in zones]
    assert len(set(paths)) == 400
    for zone in zones:
        zone.close()
