"""A landing zone in an object store: written whole, listed by day, loaded like any other."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from rekindle.clock import SteppedClock
from rekindle.errors import ConfigurationError
from rekindle.events import landing_name, landing_root, list_landing_files, read_landing_file
from rekindle.ingest import load_landing_zone
from rekindle.receiver.landing import LandingZone
from rekindle.vocabulary import Stream

BODY = json.dumps({"type": "track", "userId": "u", "event": "log_in", "messageId": "m"})


@pytest.fixture
def store() -> Any:
    """A prefix of fsspec's own object store, which lives in this process."""
    root = landing_root(f"memory://bucket-{uuid.uuid4().hex}/landing")
    assert isinstance(root, UPath)
    return root


@pytest.fixture
def zone(store: Any, world: Any) -> Any:
    zone = LandingZone(store, world.clock)
    yield zone
    zone.close()


def record(world: Any, body: str = BODY) -> dict[str, Any]:
    return world.line(world.at(0), body)


def test_what_the_receiver_puts_there_is_loaded_once(store: Any, zone: Any, world: Any) -> None:
    path = zone.append(Stream.APP_EVENTS, record(world)).result(5)
    assert landing_name(path, store).split("/")[:2] == ["app_events", "2026-01-12"]
    zone.append(Stream.TWILIO_INBOUND, world.inbound_text("+14155559999", "STOP", world.at(0))).result(5)
    counts = load_landing_zone(world.warehouse, store, world.run(0))
    assert (counts["files"], counts["app_events"], counts["suppressed"]) == (2, 1, 1)
    assert sorted(world.values("select landing_file from rekindle_raw.landing_files")) == sorted(
        landing_name(file, store) for file in list_landing_files(store)
    )
    assert load_landing_zone(world.warehouse, store, world.run(0))["files"] == 0


def test_an_object_is_written_whole_by_one_upload(store: Any, zone: Any, world: Any, monkeypatch: Any) -> None:
    """Watches the uploads: a rename in a store is a copy, and half an object would be read."""
    uploads: list[str] = []
    real = type(store.fs).pipe_file

    def pipe_file(self: Any, path: str, value: bytes, **words: Any) -> Any:
        uploads.append(path)
        return real(self, path, value, **words)

    monkeypatch.setattr(type(store.fs), "pipe_file", pipe_file)
    for name in ("mv", "rename", "copy", "cp_file"):
        monkeypatch.setattr(type(store.fs), name, lambda *_, **__: pytest.fail("no rename in a store"))
    path = zone.append(Stream.APP_EVENTS, record(world)).result(5)
    assert uploads == [path.path]
    assert len(read_landing_file(path, store).elements) == 1


def test_a_store_that_refuses_is_told_as_not_durable(store: Any, zone: Any, world: Any, monkeypatch: Any) -> None:
    """Fails uploads with an exception of the store's own, as its client does."""

    class StoreSaysNo(Exception):
        pass

    def refuse(*_: Any, **__: Any) -> None:
        raise StoreSaysNo("person@mail.example")

    real = type(store.fs).pipe_file
    monkeypatch.setattr(type(store.fs), "pipe_file", refuse)
    with pytest.raises(OSError, match="did not take the file"):
        zone.append(Stream.APP_EVENTS, record(world)).result(5)
    with pytest.raises(OSError, match="did not take the file"):
        zone.check_writable()
    monkeypatch.setattr(type(store.fs), "pipe_file", real)
    zone.check_writable()
    zone.append(Stream.APP_EVENTS, record(world)).result(5)
    assert len(list_landing_files(store)) == 1


def test_files_are_listed_by_stream_and_time_from_a_day_on(store: Any, zone: Any, world: Any) -> None:
    for day in range(3):
        world.now(day)
        for stream in (Stream.TWILIO_STATUS, Stream.SENDGRID_EVENTS):
            zone.append(stream, record(world)).result(5)
    every = [landing_name(file, store) for file in list_landing_files(store)]
    days = ["2026-01-12", "2026-01-13", "2026-01-14"]
    assert [tuple(name.split("/")[:2]) for name in every] == [
        *(("sendgrid_events", day) for day in days),
        *(("twilio_status", day) for day in days),
    ]
    late = list_landing_files(store, date(2026, 1, 13))
    assert [landing_name(file, store) for file in late] == [name for name in every if "2026-01-12" not in name]
    assert list_landing_files(landing_root("memory://nowhere/landing")) == []


@pytest.mark.parametrize("location", ["/somewhere/landing", "file:///somewhere/landing", Path("/somewhere/landing")])
def test_a_folder_of_this_machine_is_a_folder_however_it_is_written(location: Any) -> None:
    root = landing_root(location)
    assert isinstance(root, Path)
    assert root == Path("/somewhere/landing")


def test_a_store_nobody_can_speak_to_is_said_to_be_ours_to_mend() -> None:
    with pytest.raises(ConfigurationError, match="REKINDLE_LANDING_ROOT names a nonsense store"):
        landing_root("nonsense://bucket/landing")


def test_each_commit_is_told(tmp_path: Path, store: Any) -> None:
    clock = SteppedClock(tmp_path / "clock")
    clock.step_to(datetime(2026, 1, 12, tzinfo=UTC))
    told: list[tuple[Any, ...]] = []
    for root in (tmp_path / "landing", store):
        zone = LandingZone(root, clock, on_commit=lambda *figures: told.append(figures))
        zone.append(Stream.APP_EVENTS, {"n": 1}).result(5)
        zone.close()
    assert [(stream, requests, size) for stream, requests, size, _ in told] == [(Stream.APP_EVENTS, 1, 8)] * 2
    assert all(0 < seconds < 5 for *_, seconds in told)
