"""Telling other systems, over real HTTP: at least once, under one id, and later when they are down."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from rekindle.errors import ConfigurationError
from rekindle.journey.webhooks import FIRST_DELAY, MOST_ATTEMPTS, Destination, tell_webhooks

HEARD = tuple[dict[str, str], Any]


@dataclass
class Listener:
    """Another system: remembers what it heard and answers as told."""

    url: str = ""
    status: int = 200
    heard: list[HEARD] = field(default_factory=list)

    def destination(self, connection_id: str) -> Destination:
        if connection_id != "crm":
            raise ConfigurationError(f"there is no connection {connection_id}")
        return Destination(self.url, {"Authorization": "Bearer secret"})


@pytest.fixture
def listener() -> Iterator[Listener]:
    listening = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            listening.heard.append((dict(self.headers), body))
            self.send_response(listening.status)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        listening.url = f"http://127.0.0.1:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield listening
        server.shutdown()
        thread.join()


@pytest.fixture
def told(new_world: Any) -> Any:
    """A world whose campaign has told the outbox about its leads; one of two is held out."""
    world = new_world(
        steps=[
            {"id": "tell", "webhook": {"connection": "crm", "event": "lead_silent"}},
            {"id": "listen", "wait": "7d"},
            {"id": "archive", "end": "archived"},
        ],
        holdout={"share": 0.5, "salt": "salt"},
    )
    world.leads([{} for _ in range(8)])
    world.freeze(0)
    world.advance(0)
    world.advance(0)
    return world


def calls(world: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.query("select * from rekindle_state.webhook_calls order by call_id")
    return found


def tell(world: Any, listener: Listener) -> dict[str, int]:
    return tell_webhooks(world.warehouse, world.campaign.campaign_id, listener.destination, world.clock)


def test_everybody_but_the_held_out_is_told_once_under_its_id(told: Any, listener: Listener) -> None:
    treated = told.values("select lead_id from rekindle_state.journey_state where arm = 'treatment'")
    assert 0 < len(treated) < 8
    assert told.values("select distinct stage from rekindle_state.journey_state") == ["listen"]
    assert tell(told, listener) == {"told": len(treated)}
    assert tell(told, listener) == {}
    assert {body["lead_id"] for _, body in listener.heard} == set(treated)
    headers, body = listener.heard[0]
    assert headers["Idempotency-Key"] == body["call_id"]
    assert headers["Authorization"] == "Bearer secret"
    assert body == {
        "call_id": body["call_id"],
        "event": "lead_silent",
        "campaign_id": "cold_lead_reengagement",
        "step_id": "tell",
        "entry_id": body["entry_id"],
        "lead_id": body["lead_id"],
        "happened_at": told.at(0).isoformat(),
    }
    assert {(row["status"], row["attempts"], row["error"]) for row in calls(told)} == {("told", 1, None)}


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_system_that_is_down_is_told_later_and_given_up_at_last(told: Any, listener: Listener, status: int) -> None:
    listener.status = status
    count = len(calls(told))
    assert tell(told, listener) == {"waiting": count}
    row = calls(told)[0]
    assert (row["error"], row["next_attempt_at"]) == (f"HTTP {status}", told.clock.now() + FIRST_DELAY)
    assert tell(told, listener) == {}
    told.clock.step_to(told.clock.now() + FIRST_DELAY)
    listener.status = 204
    assert tell(told, listener) == {"told": count}
    assert len(listener.heard) == 2 * count
    assert listener.heard[0][0]["Idempotency-Key"] in {
        headers["Idempotency-Key"] for headers, _ in listener.heard[count:]
    }


def test_nothing_is_tried_for_ever(told: Any) -> None:
    nobody = Listener(url="http://127.0.0.1:9/")  # the discard port: nobody listens
    count = len(calls(told))
    for attempt in range(1, MOST_ATTEMPTS + 1):
        expected = "waiting" if attempt < MOST_ATTEMPTS else "given_up"
        assert tell(told, nobody) == {expected: count}
        told.clock.step_to(told.clock.now() + timedelta(hours=12))
    assert {row["error"] for row in calls(told)} == {"ConnectError"}
    assert tell(told, nobody) == {}


@pytest.mark.parametrize("status", [400, 401, 404, 302])
def test_a_call_that_is_wrong_is_not_tried_again(told: Any, listener: Listener, status: int) -> None:
    listener.status = status
    assert tell(told, listener) == {"refused": len(calls(told))}
    assert tell(told, listener) == {}


def test_what_was_told_before_a_missing_connection_is_kept(told: Any, listener: Listener) -> None:
    last = calls(told)[-1]["call_id"]
    told.execute("update rekindle_state.webhook_calls set connection_id = 'crn' where call_id = $call_id", call_id=last)
    with pytest.raises(ConfigurationError, match="crn"):
        tell(told, listener)
    assert [row["status"] for row in calls(told)] == ["told"] * (len(calls(told)) - 1) + ["waiting"]
