"""The providers' doors: what is signed is landed as it came, what is not is refused and leaves nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from twilio.request_validator import RequestValidator

from rekindle.identity import address_hash
from rekindle.vocabulary import EventType, Stream

EVENTS_PATH = "/webhooks/sendgrid/events"
STATUS_PATH = "/webhooks/twilio/status"
INBOUND_PATH = "/webhooks/twilio/inbound"
PUBLIC = "https://hooks.example.com/rk"
SID = "SM1342fe1b2c904d1ab04f0fc7a58abca9"
BODY = (
    b'[{"email":"ada@example.com","event":"open","timestamp":1772380800,"rk_message_id":"m-1"},\r\n'
    b'{"email":"ada@example.com","event":"click","timestamp":1772380801,"rk_message_id":"m-1"}]\r\n'
)


@pytest.fixture
def status() -> dict[str, str]:
    return {"MessageSid": SID, "MessageStatus": "delivered", "To": "+15017250604", "From": "+15005550006", "Empty": ""}


def test_signed_events_are_landed_byte_for_byte(desk: Any) -> None:
    headers = {**desk.sign_sendgrid(BODY), "User-Agent": "SendGrid Event API", "Cookie": "a=b", "X-Secret": "s"}
    answer = desk.client.post(EVENTS_PATH, content=BODY, headers=headers)
    assert answer.status_code == 200
    (line,) = desk.lines(Stream.SENDGRID_EVENTS)
    assert line["body"].encode() == BODY
    assert line["received_at"] == "2026-03-01T18:00:00+00:00"
    assert line["remote"] == "testclient"
    assert line["method"] == "POST"
    assert line["headers"] == {
        "content-type": "application/json",
        "user-agent": "SendGrid Event API",
        "x-twilio-email-event-webhook-timestamp": "1772388000",
    }
    (file,) = desk.read()
    assert [event.event_type for event in file.message_events] == [EventType.OPENED, EventType.CLICKED]


def test_a_signed_body_that_is_no_json_is_kept_for_a_person(desk: Any) -> None:
    for body in (b"hello", b"\xff\xfe", b""):
        assert desk.client.post(EVENTS_PATH, content=body, headers=desk.sign_sendgrid(body)).status_code == 200
    (unreadable,) = [line["body_base64"] for line in desk.lines(Stream.SENDGRID_EVENTS) if "body_base64" in line]
    assert base64.b64decode(unreadable) == b"\xff\xfe"
    assert sorted(letter.reason for file in desk.read() for letter in file.dead_letters) == [
        "the body is empty",
        "the body is not UTF-8",
        "the body is not a JSON array",
    ]


def test_forged_events_are_refused_and_counted(desk: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    genuine = desk.sign_sendgrid(BODY)
    attempts: list[tuple[bytes, dict[str, str]]] = [
        (BODY, {}),
        (BODY, {**genuine, "X-Twilio-Email-Event-Webhook-Signature": "AAAA"}),
        (BODY, {**genuine, "X-Twilio-Email-Event-Webhook-Timestamp": "1772388001"}),
        (BODY.strip(), genuine),
        (BODY[:40], genuine),
        (json.dumps(json.loads(BODY)).encode(), genuine),
        (BODY.replace(b"ada@", b"eve@"), genuine),
        (BODY.decode().encode("utf-16"), genuine),
    ]
    for body, headers in attempts:
        assert desk.client.post(EVENTS_PATH, content=body, headers=headers).status_code == 403
    assert desk.lines(Stream.SENDGRID_EVENTS) == []
    counts = desk.client.get("/healthz").json()["counts"]
    assert counts == {"sendgrid_events.signature_refused": len(attempts)}
    assert "ada@" not in caplog.text


def test_a_replay_is_taken_within_the_day_and_says_nothing_new(desk: Any) -> None:
    headers = desk.sign_sendgrid(BODY)
    assert desk.client.post(EVENTS_PATH, content=BODY, headers=headers).status_code == 200
    desk.clock.step_to(desk.clock.now() + timedelta(hours=24))
    assert desk.client.post(EVENTS_PATH, content=BODY, headers=headers).status_code == 200
    desk.clock.step_to(desk.clock.now() + timedelta(hours=1))
    assert desk.client.post(EVENTS_PATH, content=BODY, headers=headers).status_code == 403
    events = [event for file in desk.read() for event in file.message_events]
    assert (len(events), len({event.event_key for event in events})) == (4, 2)


def test_the_tolerance_can_be_off(desk: Any) -> None:
    headers = desk.sign_sendgrid(BODY, timestamp="1600112502")
    assert desk.client.post(EVENTS_PATH, content=BODY, headers=headers).status_code == 403
    client = desk.start(sendgrid_timestamp_tolerance=None)
    assert client.post(EVENTS_PATH, content=BODY, headers=headers).status_code == 200


def test_too_large_a_body_is_refused_unread(desk: Any) -> None:
    client = desk.start(max_body_bytes=1000)
    large = b"[" + b" " * 1000 + b"]"
    assert client.post(EVENTS_PATH, content=large, headers=desk.sign_sendgrid(large)).status_code == 413
    # Nor does it help not to say how long it is
    chunked = client.post(EVENTS_PATH, content=iter([large]), headers=desk.sign_sendgrid(large))
    assert chunked.status_code == 413
    fitting = large[:500] + large[-499:]
    assert client.post(EVENTS_PATH, content=fitting, headers=desk.sign_sendgrid(fitting)).status_code == 200
    texts = {"MessageSid": SID, "Body": "x" * 70_000}
    assert desk.post_form(STATUS_PATH, texts, desk.sign_twilio(PUBLIC + STATUS_PATH, texts)).status_code == 413


def test_a_provider_without_its_secret_is_asked_to_come_again(desk: Any, status: dict[str, str]) -> None:
    client = desk.start(sendgrid_webhook_public_key=(), twilio_auth_token=())
    assert client.post(EVENTS_PATH, content=BODY, headers=desk.sign_sendgrid(BODY)).status_code == 503
    for path in (STATUS_PATH, INBOUND_PATH):
        assert desk.post_form(path, status, desk.sign_twilio(PUBLIC + path, status, token="")).status_code == 503
    assert desk.read() == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_only_post_is_taken(desk: Any, method: str) -> None:
    for path in (EVENTS_PATH, STATUS_PATH, INBOUND_PATH):
        assert desk.client.request(method, path).status_code == 405


def test_a_status_is_verified_against_the_public_address(desk: Any, status: dict[str, str]) -> None:
    path = f"{STATUS_PATH}?mid=m-1"
    headers = {**desk.sign_twilio(PUBLIC + path, status), "I-Twilio-Idempotency-Token": "t-1"}
    # What a proxy or a forger says about the address changes nothing
    headers |= {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}
    answer = desk.post_form(path, status, headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    assert answer.text == '<?xml version="1.0" encoding="UTF-8"?><Response/>'
    (line,) = desk.lines(Stream.TWILIO_STATUS)
    assert line["query"] == {"mid": "m-1"}
    assert line["headers"]["i-twilio-idempotency-token"] == "t-1"
    (event,) = desk.read()[0].message_events
    assert (event.message_id, event.event_type, event.address_hash) == (
        "m-1",
        EventType.DELIVERED,
        address_hash("+15017250604"),
    )


def test_forged_statuses_are_refused(desk: Any, status: dict[str, str]) -> None:
    path = f"{STATUS_PATH}?mid=m-1"
    genuine = desk.sign_twilio(PUBLIC + path, status)
    assert desk.post_form(path, status, {}).status_code == 403
    assert desk.post_form(path, {**status, "MessageStatus": "failed"}, genuine).status_code == 403
    assert desk.post_form(path, {k: v for k, v in status.items() if v}, genuine).status_code == 403
    assert desk.post_form(f"{STATUS_PATH}?mid=m-2", status, genuine).status_code == 403
    assert desk.post_form(STATUS_PATH, status, genuine).status_code == 403
    assert desk.post_form(f"{INBOUND_PATH}?mid=m-1", status, genuine).status_code == 403
    assert desk.post_form(path, status, desk.sign_twilio(PUBLIC + path, status, token="other")).status_code == 403
    assert desk.post_form(path, status, desk.sign_twilio("http://testserver" + path, status)).status_code == 403
    assert desk.lines(Stream.TWILIO_STATUS) == []
    assert desk.client.get("/healthz").json()["counts"]["twilio_status.signature_refused"] == 7


def test_a_json_callback_is_covered_by_its_hash(desk: Any, status: dict[str, str]) -> None:
    body = json.dumps(status).encode()
    path = f"{STATUS_PATH}?mid=m-1&bodySHA256={hashlib.sha256(body).hexdigest()}"
    headers = {**desk.sign_twilio(PUBLIC + path), "Content-Type": "application/json"}
    assert desk.client.post(path, content=body + b" ", headers=headers).status_code == 403
    assert desk.client.post(path, content=body, headers=headers).status_code == 200
    assert desk.read()[0].message_events[0].message_id == "m-1"


def test_a_stop_becomes_an_opt_out(desk: Any) -> None:
    text = {"MessageSid": SID, "From": "+15017250604", "To": "+15005550006", "Body": "Please stop texting me 🙏"}
    answer = desk.post_form(INBOUND_PATH, text, desk.sign_twilio(PUBLIC + INBOUND_PATH, text))
    assert answer.text == '<?xml version="1.0" encoding="UTF-8"?><Response/>'
    (event,) = desk.read()[0].message_events
    assert (event.event_type, event.address_hash) == (EventType.UNSUBSCRIBED, address_hash("+15017250604"))


def test_a_second_secret_is_as_good(desk: Any, status: dict[str, str]) -> None:
    desk.start(twilio_auth_token=(SecretStr("one"), SecretStr("two")))
    for token in ("one", "two"):
        headers = desk.sign_twilio(PUBLIC + STATUS_PATH, status, token=token)
        assert desk.post_form(STATUS_PATH, status, headers).status_code == 200


def test_when_nothing_can_be_written_the_provider_comes_again(desk: Any, status: dict[str, str]) -> None:
    # Given a landing root that is a file
    desk.root.write_text("")
    assert desk.client.post(EVENTS_PATH, content=BODY, headers=desk.sign_sendgrid(BODY)).status_code == 503
    answer = desk.post_form(STATUS_PATH, status, desk.sign_twilio(PUBLIC + STATUS_PATH, status))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert desk.client.get("/readyz").status_code == 503
    assert desk.client.get("/healthz").json()["counts"] == {
        "sendgrid_events.not_durable": 1,
        "twilio_status.not_durable": 1,
    }
    # When it can be written again
    desk.root.unlink()
    assert desk.client.get("/readyz").json() == {"status": "ready"}
    assert desk.client.post(EVENTS_PATH, content=BODY, headers=desk.sign_sendgrid(BODY)).status_code == 200


def test_the_newer_scheme_with_a_shared_key_is_as_good(desk: Any, status: dict[str, str]) -> None:
    desk.start(twilio_auth_token=(SecretStr("auth-token"), SecretStr("shared-key")))
    url = PUBLIC + STATUS_PATH
    signature = RequestValidator("shared-key").compute_signature(url, status, "HMAC_SHA256")
    settings = {"X-Twilio-Webhooks-Signature-Settings": "key=k1,algorithm=HMAC_SHA256"}
    assert desk.post_form(STATUS_PATH, status, {"X-Twilio-Signature": signature, **settings}).status_code == 200
    assert desk.post_form(STATUS_PATH, status, {"X-Twilio-Signature": signature}).status_code == 403
    older = desk.sign_twilio(url, status, token="shared-key")
    assert desk.post_form(STATUS_PATH, status, {**older, **settings}).status_code == 403


def test_one_bad_element_costs_the_others_nothing(desk: Any) -> None:
    good = '{"email":"ada@example.com","event":"open","timestamp":%d,"rk_message_id":"m-%d"}'
    elements = [good % (1772380800, 1), '{"event":7}', "7", '{"a":NaN}', good % (1772380801, 2)]
    body = f"[{','.join(elements)}]".encode()
    assert desk.client.post(EVENTS_PATH, content=body, headers=desk.sign_sendgrid(body)).status_code == 200
    (file,) = desk.read()
    assert [event.message_id for event in file.message_events] == ["m-1", "m-2"]
    assert [letter.element_number for letter in file.dead_letters] == [2, 3, 4]


def test_the_shared_vectors_hold_at_the_door(desk: Any, receiver_vectors: Callable[[str], Any]) -> None:
    for case in receiver_vectors("sendgrid_signatures.json"):
        client = desk.start(sendgrid_webhook_public_key=(case["public_key"],), sendgrid_timestamp_tolerance=None)
        headers = {
            "X-Twilio-Email-Event-Webhook-Signature": case["signature"],
            "X-Twilio-Email-Event-Webhook-Timestamp": case["timestamp"],
        }
        answer = client.post(EVENTS_PATH, content=case["payload"].encode(), headers=headers)
        assert answer.status_code == (200 if case["valid"] else 403), case["name"]
    events = receiver_vectors("sendgrid_events_batch.json")
    body = json.dumps(events).encode()
    desk.start()
    assert desk.client.post(EVENTS_PATH, content=body, headers=desk.sign_sendgrid(body)).status_code == 200
    file = next(file for file in desk.read() if len(file.elements) + len(file.dead_letters) == len(events))
    assert file.dead_letters == []


def test_nothing_explains_the_receiver_to_strangers(desk: Any) -> None:
    for path in ("/", "/docs", "/redoc", "/openapi.json"):
        assert desk.client.get(path).status_code == 404
