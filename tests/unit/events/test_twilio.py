"""Twilio's callbacks in our words."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rekindle.events.rows import LandedRequest, MessageEvent, Rows
from rekindle.events.twilio import parse_request
from rekindle.identity import address_hash
from rekindle.vocabulary import EventType, Stream

RequestOf = Callable[..., LandedRequest]
FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
SID = "SM1342fe1b2c904d1ab04f0fc7a58abca9"


def read(request_of: RequestOf, stream: Stream, parameters: dict[str, str], **fields: Any) -> Rows:
    rows = Rows()
    parse_request(request_of(stream, urlencode(parameters), **{"headers": FORM, **fields}), rows)
    return rows


def status(request_of: RequestOf, **parameters: str) -> MessageEvent:
    defaults = {"MessageSid": SID, "MessageStatus": "sent", "To": "+15017250604", "From": "+15005550006"}
    rows = read(request_of, Stream.TWILIO_STATUS, {**defaults, **parameters}, query={"mid": "m-1"})
    assert rows.dead_letters == []
    return rows.message_events[0]


def inbound(request_of: RequestOf, **parameters: str) -> MessageEvent:
    defaults = {"MessageSid": SID, "From": "+15017250604", "To": "+15005550006", "Body": "hello"}
    rows = read(request_of, Stream.TWILIO_INBOUND, {**defaults, **parameters})
    assert rows.dead_letters == []
    return rows.message_events[0]


def test_a_whole_status(request_of: RequestOf, received_at: datetime) -> None:
    event = status(request_of, MessageStatus="undelivered", ErrorCode="30003", RawDlrDoneDate="2603011800")
    assert event == MessageEvent(
        event_key=event.event_key,
        message_id="m-1",
        provider="twilio",
        event_type=EventType.UNDELIVERED,
        provider_event="undelivered",
        occurred_at=received_at,
        received_at=received_at,
        provider_message_id=SID,
        error_code="30003",
        address_hash=address_hash("+15017250604"),
        is_human=None,
        detail=None,
        landing_file="twilio_status/2026-03-01/180000000000-00.jsonl",
    )


@pytest.mark.parametrize(
    ("word", "event_type"),
    [
        ("queued", EventType.ACCEPTED),
        ("accepted", EventType.ACCEPTED),
        ("sending", EventType.ACCEPTED),
        ("sent", EventType.SENT),
        ("delivered", EventType.DELIVERED),
        ("Delivered", EventType.DELIVERED),
        ("read", EventType.DELIVERED),
        ("undelivered", EventType.UNDELIVERED),
        ("failed", EventType.FAILED),
        ("canceled", EventType.FAILED),
        ("receiving", EventType.OTHER),
        ("partially_delivered", EventType.OTHER),
        ("brand new", EventType.OTHER),
    ],
)
def test_their_words_in_ours(request_of: RequestOf, word: str, event_type: EventType) -> None:
    assert status(request_of, MessageStatus=word).event_type is event_type


def test_a_status_is_known_by_message_status_and_error(request_of: RequestOf) -> None:
    first = status(request_of).event_key
    assert status(request_of, RawDlrDoneDate="2603011801", Extra="new").event_key == first
    assert status(request_of, MessageStatus="delivered").event_key != first
    assert status(request_of, ErrorCode="30003").event_key != first
    assert status(request_of, MessageSid="SM" + "0" * 32).event_key != first


def test_older_names_and_zero_errors(request_of: RequestOf) -> None:
    rows = read(request_of, Stream.TWILIO_STATUS, {"SmsSid": SID, "SmsStatus": "delivered", "ErrorCode": "0"})
    event = rows.message_events[0]
    assert (event.provider_message_id, event.event_type, event.error_code, event.message_id, event.address_hash) == (
        SID,
        EventType.DELIVERED,
        None,
        None,
        None,
    )


def test_a_json_callback(request_of: RequestOf) -> None:
    rows = Rows()
    body = json.dumps({"MessageSid": SID, "MessageStatus": "failed", "ErrorCode": 30008, "To": "+15017250604"})
    headers = {"content-type": "application/json"}
    parse_request(request_of(Stream.TWILIO_STATUS, body, headers=headers, query={"mid": "m-1"}), rows)
    event = rows.message_events[0]
    assert (event.event_type, event.error_code, event.message_id) == (EventType.FAILED, "30008", "m-1")
    assert json.loads(rows.elements[0].payload)["mid"] == "m-1"


@pytest.mark.parametrize(
    ("stream", "body", "reason"),
    [
        (Stream.TWILIO_STATUS, "", "the form is empty"),
        (Stream.TWILIO_STATUS, "MessageStatus=sent", "the callback names no message"),
        (Stream.TWILIO_STATUS, "MessageSid=SM1", "the callback has no status"),
        (Stream.TWILIO_INBOUND, "From=%2B1501&Body=STOP", "the message has no id"),
        (Stream.TWILIO_INBOUND, "MessageSid=SM1&Body=STOP", "the message has no sender"),
    ],
)
def test_what_can_not_be_used(request_of: RequestOf, stream: Stream, body: str, reason: str) -> None:
    rows = Rows()
    parse_request(request_of(stream, body, headers=FORM), rows)
    assert (rows.elements, rows.message_events) == ([], [])
    assert [(letter.reason, letter.payload) for letter in rows.dead_letters] == [(reason, body)]


def test_a_reply_is_known_by_its_number_and_its_text_goes_no_further(request_of: RequestOf) -> None:
    event = inbound(request_of, Body="Yes please, call Ada")
    assert event.event_type is EventType.REPLIED
    assert (event.message_id, event.address_hash, event.detail) == (None, address_hash("+15017250604"), "reply")
    assert "Ada" not in repr(event)


@pytest.mark.parametrize(
    ("parameters", "event_type", "detail"),
    [
        ({"Body": "STOP"}, EventType.UNSUBSCRIBED, "keyword"),
        ({"Body": "Arrêt"}, EventType.UNSUBSCRIBED, "keyword"),
        ({"Body": "basta", "OptOutType": "STOP"}, EventType.UNSUBSCRIBED, "advanced_opt_out"),
        ({"Body": "si", "OptOutType": "START"}, EventType.RESUBSCRIBED, "advanced_opt_out"),
        ({"Body": "stop", "OptOutType": "HELP"}, EventType.UNSUBSCRIBED, "keyword"),
        ({"Body": "hilfe", "OptOutType": "HELP"}, EventType.OTHER, "help"),
        ({"Body": ""}, EventType.REPLIED, "no_text"),
    ],
)
def test_replies(request_of: RequestOf, parameters: dict[str, str], event_type: EventType, detail: str) -> None:
    event = inbound(request_of, **parameters)
    assert (event.event_type, event.detail) == (event_type, detail)


def test_a_replayed_reply_has_the_same_key(request_of: RequestOf) -> None:
    assert inbound(request_of, Body="START").event_key == inbound(request_of, Body="START").event_key


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stream=st.sampled_from([Stream.TWILIO_STATUS, Stream.TWILIO_INBOUND]),
    parameters=st.dictionaries(
        st.sampled_from(["MessageSid", "MessageStatus", "ErrorCode", "From", "To", "Body", "OptOutType"]) | st.text(),
        st.one_of(st.text(st.characters(codec=None)), st.integers(), st.floats(), st.none(), st.lists(st.text())),
    ),
    as_form=st.booleans(),
    text=st.text(),
)
def test_anything_is_one_element_or_one_dead_letter(
    request_of: RequestOf, stream: Stream, parameters: dict[str, Any], as_form: bool, text: str
) -> None:
    headers = FORM if as_form else {"content-type": "application/json"}
    for body in (json.dumps(parameters), urlencode(parameters, errors="replace"), text):
        rows = Rows()
        parse_request(request_of(stream, body, headers=headers), rows)
        assert len(rows.elements) + len(rows.dead_letters) == 1
        assert len(rows.message_events) == len(rows.elements)
