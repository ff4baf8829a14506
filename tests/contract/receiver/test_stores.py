"""A landing zone holds what it took, in a folder of this machine and in an object store alike: a real receiver, killed,
and a store behind its own protocol."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from rekindle.events import landing_root, list_landing_files
from rekindle.events.arrivals import ArrivalWatch
from rekindle.ingest import listen, load_landing_zone
from rekindle.run import Run

CALLERS = 6


@pytest.fixture(params=["folder", "store"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path, receiver_class: Any) -> Iterator[Any]:
    """A receiver over a folder, and one over a prefix of a store."""
    if request.param == "folder":
        process = receiver_class(tmp_path / "landing", tmp_path / "receiver.log")
    else:
        server = request.getfixturevalue("store_server")
        process = receiver_class("gs://landing/zone", tmp_path / "receiver.log", more=server.environment)
    process.start()
    yield process
    if process.process.poll() is None:
        process.kill()


def events_about(*names: str) -> bytes:
    return json.dumps(
        [
            {"event": "delivered", "timestamp": 1768241000, "email": "a@x.example", "rk_message_id": name}
            for name in names
        ]
    ).encode()


def send(receiver: Any, client: httpx.Client, *names: str) -> httpx.Response:
    body = events_about(*names)
    return client.post(f"{receiver.url}/webhooks/sendgrid/events", content=body, headers=receiver.sign(body))


def call_until_cut_off(receiver: Any, caller: int, acknowledged: list[str]) -> None:
    with httpx.Client(timeout=20, trust_env=False) as client:
        for turn in range(100_000):
            name = f"{caller}-{turn}"
            try:
                answer = send(receiver, client, name)
            except httpx.TransportError:
                return
            assert answer.status_code == 200
            acknowledged.append(name)


def test_killed_under_load_every_acknowledged_request_is_loaded_once(
    receiver: Any, world: Any, wait_until: Callable[..., None]
) -> None:
    # Given callers that keep a receiver busy
    acknowledged: list[str] = []
    callers = [
        threading.Thread(target=call_until_cut_off, args=(receiver, caller, acknowledged)) for caller in range(CALLERS)
    ]
    for thread in callers:
        thread.start()
    wait_until(lambda: len(acknowledged) > 60)
    # When it is killed in the middle of it
    receiver.kill()
    for thread in callers:
        thread.join(30)
    # Then all it had said yes to is there, under the folders of its stream and day, and can be read
    root = landing_root(receiver.landing)
    files = list_landing_files(root)
    assert {file.parent.parent.name for file in files} == {"sendgrid_events"}
    watch = ArrivalWatch(root)
    run = world.run(0)
    today = max(file.parent.name for file in files)
    now = run.recorded_at.replace(year=int(today[:4]), month=int(today[5:7]), day=int(today[8:]))
    assert [watch.look(now.date()) for _ in range(3)] == [True, False, False]
    tick = Run(as_of=now, run_id="tick", recorded_at=now)
    counts = listen(world.warehouse, root, tick)
    assert (counts["files"], counts["dead_letters"]) == (len(files), 0)
    loaded = world.values("select message_id from rekindle_state.foreign_events")
    assert set(acknowledged) <= set(loaded)
    assert len(loaded) == len(set(loaded))
    # And loading it again, by the tick or by the day, loads nothing
    assert listen(world.warehouse, root, tick)["files"] == 0
    later = Run(as_of=now + timedelta(hours=1), run_id="day", recorded_at=now + timedelta(hours=1))
    assert load_landing_zone(world.warehouse, root, later)["files"] == 0
    assert len(world.values("select message_id from rekindle_state.foreign_events")) == len(loaded)
    # And a receiver that starts again over what was left takes more
    receiver.start()
    with httpx.Client(timeout=20, trust_env=False) as client:
        assert send(receiver, client, "after").status_code == 200
    assert watch.look(now.date()) is True
    assert listen(world.warehouse, root, later)["new_events"] + 1 == 1
    assert world.values("select count(*) from rekindle_state.foreign_events where message_id = 'after'") == [1]


def test_a_store_that_is_away_is_answered_with_try_again_and_nothing_is_lost(
    store_server: Any, receiver_class: Any, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    receiver = receiver_class("gs://landing/zone", tmp_path / "log", more=store_server.environment)
    receiver.start()
    try:
        with httpx.Client(timeout=30, trust_env=False) as client:
            assert send(receiver, client, "before").status_code == 200
            store_server.stop()
            began = time.monotonic()
            answer = send(receiver, client, "while")
            # Twilio hangs up after 15 seconds
            assert time.monotonic() - began < 15
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
            store_server.start()
            wait_until(lambda: send(receiver, client, "while").status_code == 200)
    finally:
        receiver.kill()
    root = landing_root("gs://landing/zone")
    words = b"".join(file.read_bytes() for file in list_landing_files(root)).decode()
    assert words.count("before") == 1
    assert "while" in words
