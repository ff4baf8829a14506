"""The triggerer's part of listening: one event for what has landed, and none while nothing has."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from datetime import UTC, datetime

import pytest
from airflow.triggers.base import BaseEventTrigger

from rekindle.clock import SteppedClock
from rekindle_airflow.triggers import landed_files_trigger
from rekindle_airflow.triggers.landed_files_trigger import LandedFilesTrigger


@pytest.fixture
def landing(tmp_path, monkeypatch):
    """A landing zone and a clock that the trigger reads from its environment."""
    clock = SteppedClock(tmp_path / "clock")
    clock.step_to(datetime(2026, 1, 12, 18, tzinfo=UTC))
    monkeypatch.setenv("REKINDLE_CLOCK_FILE", str(clock.path))
    monkeypatch.setenv("REKINDLE_LANDING_ROOT", str(tmp_path / "landing"))
    folder = tmp_path / "landing" / "twilio_inbound" / "2026-01-12"
    folder.mkdir(parents=True)
    return folder


def restored(trigger):
    """As the triggerer makes it again from the metadata database."""
    path, words = trigger.serialize()
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)(**json.loads(json.dumps(words)))


def listen_to(trigger, seconds, act):
    """The events of a while; `act` is called beside it."""
    events = []

    async def collect():
        async for event in trigger.run():
            events.append(event)

    async def whole():
        task = asyncio.create_task(collect())
        for wait, deed in act:
            await asyncio.sleep(wait)
            deed()
        await asyncio.sleep(seconds)
        task.cancel()

    asyncio.run(whole())
    return events


def test_it_is_the_same_trigger_after_the_database():
    trigger = restored(LandedFilesTrigger(2.0, 20.0))
    assert isinstance(trigger, BaseEventTrigger)
    assert (trigger.poll_seconds, trigger.quiet_seconds) == (2.0, 20.0)
    # one watch for one zone: Airflow tells triggers apart by class and words
    hashes = {BaseEventTrigger.hash(*LandedFilesTrigger(2.0, seconds).serialize()) for seconds in (20.0, 20.0, 5.0)}
    assert len(hashes) == 2


def test_arrivals_are_told_once_each_and_say_nothing(landing):
    act = [
        (0.2, lambda: (landing / "1.part").write_text("{}")),
        (0.2, lambda: (landing / "1.jsonl").write_text("From=+14155550100")),
        (0.3, lambda: (landing / "2.jsonl").write_text("From=+14155550100")),
    ]
    events = listen_to(restored(LandedFilesTrigger(0.02, 0.02)), 0.3, act)
    assert [event.payload for event in events] == [{}, {}]


def test_after_one_it_rests(landing):
    act = [(0.1, lambda number=number: (landing / f"{number}.jsonl").write_text("{}")) for number in range(5)]
    assert len(listen_to(LandedFilesTrigger(0.01, 30.0), 0.2, act)) == 1


def test_a_zone_that_can_not_be_read_ends_no_watch(landing, caplog, monkeypatch):
    """Fails the first look with an exception of the store's own, as its client does."""
    from rekindle.events.arrivals import ArrivalWatch

    real, looks = ArrivalWatch.look, []

    def look(self, today):
        looks.append(today)
        if len(looks) == 1:
            raise RuntimeError("gs://bucket/person@mail.example")
        return real(self, today)

    monkeypatch.setattr(ArrivalWatch, "look", look)
    (landing / "1.jsonl").write_text("{}")
    # Airflow's own logging set-up has cut our loggers off from pytest's
    monkeypatch.setattr(landed_files_trigger.log, "disabled", False)
    monkeypatch.setattr(landed_files_trigger.log, "handlers", [caplog.handler])
    caplog.set_level(logging.WARNING, landed_files_trigger.log.name)
    assert len(listen_to(LandedFilesTrigger(0.02, 0.02), 0.3, [])) == 1
    assert "can not be looked at: RuntimeError" in caplog.text
    assert "person@mail.example" not in caplog.text
