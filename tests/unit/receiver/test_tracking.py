"""The product's door: Segment's shape, our write keys."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime
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


@pytest.mark.parametrize("kind", ["track", "identify", "page", "screen", "group", "alias"])
def test_every_call_of_the_spec_has_its_route(desk: Any, kind: str) -> None:
    call = {**CALL, "groupId": "g", "previousId": "p", "name": "Pricing"}
    answer = desk.client.post(f"/v1/{kind}", json=call, headers=auth("write-key"))
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    (file,) = desk.read()
    assert (len(file.elements), file.dead_letters) == (1, [])
    # What somebody did is an event; what somebody is, is kept as it came
    assert [event.event_type for event in file.app_events] == {"track": ["logged_in"], "page": ["page"]}.get(
        kind, [kind] if kind == "screen" else []
    )


def test_a_key_in_the_body_is_as_good_and_is_not_kept(desk: Any) -> None:
    answer = desk.client.post("/v1/batch", json={"batch": [{"type": "track", **CALL}], "writeKey": "other-key"})
    assert answer.json() == {"success": True}
    (line,) = desk.lines(Stream.APP_EVENTS)
    assert "other-key" not in str(line) and "writeKey" not in str(line)
    assert len(desk.read()[0].app_events) == 1
    for key in ("wrong", "", None, 7, ["write-key"], {"write-key": 1}, "\ud800"):
        refused = desk.client.post("/v1/track", content=json.dumps({**CALL, "writeKey": key}))
        assert refused.status_code == 401


def test_a_packed_body_is_unpacked_and_kept_plain(desk: Any) -> None:
    packed = {"Content-Encoding": "gzip", **auth("write-key")}
    body = gzip.compress(json.dumps(CALL).encode())
    assert desk.client.post("/v1/track", content=body, headers=packed).status_code == 200
    (line,) = desk.lines(Stream.APP_EVENTS)
    assert json.loads(line["body"]) == CALL
    # A bomb, a lie, a cut and another packing
    bomb = gzip.compress(b" " * 20_000_000)
    assert len(bomb) < 32_000
    assert desk.client.post("/v1/track", content=bomb, headers=packed).status_code == 413
    for broken in (b"", b"plain", body[:-9]):
        assert desk.client.post("/v1/track", content=broken, headers=packed).status_code == 415
    assert desk.client.post("/v1/track", content=body, headers={**packed, "Content-Encoding": "br"}).status_code == 415
    assert len(desk.lines(Stream.APP_EVENTS)) == 1


def test_the_limits_of_the_spec(desk: Any) -> None:
    def call(size: int) -> dict[str, Any]:
        return {**CALL, "type": "track", "messageId": f"m-{size}", "properties": {"x": "é" * (size // 2)}}

    send = json.dumps
    headers = auth("write-key")
    assert (
        desk.client.post("/v1/track", content=send(call(33_000), ensure_ascii=False), headers=headers).status_code
        == 413
    )
    fits, too_long = call(32_000), call(33_000)
    body = send({"batch": [fits, too_long, {**CALL, "type": "track"}]}, ensure_ascii=False).encode()
    assert desk.client.post("/v1/batch", content=body, headers=headers).status_code == 200
    (file,) = desk.read()
    assert [event.event_id for event in file.app_events] == ["m-32000", "ajs-1"]
    assert [letter.reason for letter in file.dead_letters] == ["the call is longer than 32 KB"]
    large = send({"batch": [fits] * 17}, ensure_ascii=False).encode()
    assert desk.client.post("/v1/batch", content=large, headers=headers).status_code == 413


@pytest.mark.parametrize(
    ("stamps", "occurred_at"),
    [
        # the device is 1 h ahead and sent what happened 10 minutes before
        ({"timestamp": "2026-03-01T18:50:00Z"}, datetime(2026, 3, 1, 17, 50, tzinfo=UTC)),
        ({"originalTimestamp": "2026-03-01T18:50:00Z"}, datetime(2026, 3, 1, 17, 50, tzinfo=UTC)),
        (
            {"originalTimestamp": "2026-03-01T18:50:00Z", "timestamp": "2001-01-01T00:00:00Z"},
            datetime(2026, 3, 1, 17, 50, tzinfo=UTC),
        ),
        # Segment forwarded it, and has corrected it before
        (
            {"timestamp": "2026-03-01T12:00:00Z", "receivedAt": "2026-03-01T12:00:01Z"},
            datetime(2026, 3, 1, 12, tzinfo=UTC),
        ),
        # a device that says it happened after it was sent
        ({"timestamp": "2026-03-01T19:50:00Z"}, datetime(2026, 3, 1, 18, tzinfo=UTC)),
        ({}, datetime(2026, 3, 1, 18, tzinfo=UTC)),
    ],
)
def test_the_skew_of_the_devices_clock_is_taken_out(desk: Any, stamps: dict[str, str], occurred_at: datetime) -> None:
    call = {"type": "track", "userId": "u", "event": "e", **stamps}
    for content in ({"batch": [call], "sentAt": "2026-03-01T19:00:00Z"}, {**call, "sentAt": "2026-03-01T19:00:00Z"}):
        path = "/v1/batch" if "batch" in content else "/v1/track"
        desk.client.post(path, json=content, headers=auth("write-key"))
    assert [event.occurred_at for file in desk.read() for event in file.app_events] == [occurred_at] * 2


def test_without_write_keys_the_door_is_shut(desk: Any) -> None:
    client = desk.start(segment_write_keys=())
    assert client.post("/v1/track", json=CALL, headers=auth("")).status_code == 401


@pytest.mark.parametrize("body", [b"", b"hello", b"[]", b"\xff", b"[" * 30_000, b'{"a":' + b"9" * 5000 + b"}"])
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
