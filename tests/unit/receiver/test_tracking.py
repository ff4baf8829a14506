"""The product's door: Segment's shape, our write keys."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from rekindle.vocabulary import Stream

CALL = {"userId": "u-1", "event": "logged_in", "messageId": "ajs-1", "timestamp": "2026-03-01T10:00:00Z"}


def auth(key: str, password: str = "") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:{password}".encode()).decode()}


def test_a_tracked_event(desk: Any) -> None:
    answer = desk.client.post("/v1/track", json=CALL, headers=auth("write-key"))
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    (event,) = desk.read()[0].app_events
    assert (event.event_id, event.user_id, event.event_type) == ("ajs-1", "u-1", "logged_in")
    assert "Authorization" not in str(desk.lines(Stream.APP_EVENTS))


def test_a_batch(desk: Any) -> None:
    calls = [
        {"type": "track", **CALL, "messageId": "a"},
        {"type": "identify", "userId": "u-1", "messageId": "b"},
        {"type": "track", "messageId": "c"},
    ]
    answer = desk.client.post("/v1/batch", json={"batch": calls}, headers=auth("other-key"))
    assert answer.json() == {"success": True}
    (file,) = desk.read()
    assert (len(file.elements), len(file.dead_letters), len(file.app_events)) == (2, 1, 1)


def test_an_identify(desk: Any) -> None:
    answer = desk.client.post("/v1/identify", json={"userId": "u-1", "traits": {}}, headers=auth("write-key"))
    assert answer.json() == {"success": True}
    (file,) = desk.read()
    assert (len(file.elements), file.app_events) == (1, [])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        auth("wrong"),
        auth(""),
        auth("write-ke"),
        auth("write-key2"),
        auth("", "write-key"),
        {"Authorization": "Bearer write-key"},
        {"Authorization": "Basic write-key"},
        {"Authorization": "Basic \xff"},
        {"Authorization": "Basic"},
    ],
)
def test_strangers_are_refused(desk: Any, headers: dict[str, str]) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    for path in ("/v1/track", "/v1/batch", "/v1/identify"):
        answer = desk.client.post(path, json=CALL, headers=raw)
        assert (answer.status_code, answer.json()) == (401, {"success": False})
    assert desk.read() == []


def test_without_write_keys_the_door_is_shut(desk: Any) -> None:
    client = desk.start(segment_write_keys=())
    assert client.post("/v1/track", json=CALL, headers=auth("")).status_code == 401


@pytest.mark.parametrize("body", [b"", b"hello", b"[]", b"\xff", b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}"])
def test_what_is_no_object_is_sent_back(desk: Any, body: bytes) -> None:
    answer = desk.client.post("/v1/track", content=body, headers=auth("write-key"))
    assert (answer.status_code, answer.json()["success"]) == (400, False)
    assert desk.read() == []


def test_too_much_is_refused(desk: Any) -> None:
    client = desk.start(max_body_bytes=100)
    body = json.dumps({**CALL, "properties": {"x": "y" * 100}}).encode()
    assert client.post("/v1/track", content=body, headers=auth("write-key")).status_code == 413


def test_when_nothing_can_be_written_the_library_tries_again(desk: Any) -> None:
    desk.root.write_text("")
    assert desk.client.post("/v1/track", json=CALL, headers=auth("write-key")).status_code == 503
