"""The product's own events."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rekindle.events.app import parse_request
from rekindle.events.rows import AppEvent, LandedRequest, Rows
from rekindle.vocabulary import Stream

RequestOf = Callable[..., LandedRequest]


def a_call(**fields: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "userId": "u-1",
        "event": "logged_in",
        "messageId": "ajs-1",
        "timestamp": "2026-03-01T10:00:00.000Z",
        **fields,
    }


def read(request_of: RequestOf, content: Any, path: str = "/v1/track") -> Rows:
    rows = Rows()
    parse_request(request_of(Stream.APP_EVENTS, json.dumps(content), path=path), rows)
    return rows


def test_a_whole_event(request_of: RequestOf) -> None:
    rows = read(request_of, a_call(properties={"project": "é", "made_up": True}))
    assert rows.app_events == [
        AppEvent(
            event_id="ajs-1",
            user_id="u-1",
            event_type="logged_in",
            occurred_at=datetime(2026, 3, 1, 10, tzinfo=UTC),
            properties='{"project": "\\u00e9", "made_up": true}',
            is_made_up=True,
            source_file="app_events/2026-03-01/180000000000-00.jsonl",
            source_row=1,
        )
    ]
    assert rows.message_events == []


def test_a_batch_keeps_what_is_good(request_of: RequestOf) -> None:
    batch = [
        a_call(messageId="a"),
        {"type": "identify", "userId": "u-1", "messageId": "b", "traits": {"plan": "pro"}},
        7,
        a_call(messageId="c", userId=None),
        a_call(messageId="d", userId=None, anonymousId="browser-1"),
        a_call(messageId="e", event=None),
        a_call(messageId="f", timestamp="yesterday"),
        a_call(messageId="g", type="teleport"),
        a_call(messageId="h", userId=42),
    ]
    rows = read(request_of, {"batch": batch, "sentAt": "2026-03-01T10:00:01Z"}, "/v1/batch")
    assert [(event.event_id, event.user_id, event.source_row) for event in rows.app_events] == [
        ("a", "u-1", 1),
        ("h", "42", 9),
    ]
    assert [element.element_number for element in rows.elements] == [1, 2, 5, 9]
    assert [(letter.element_number, letter.reason) for letter in rows.dead_letters] == [
        (3, "the call is not an object"),
        (4, "the call names nobody: it has neither userId nor anonymousId"),
        (6, "the track call has no event name"),
        (7, "the call's timestamp is not ISO 8601"),
        (8, "the call is of no known type"),
    ]


def test_the_path_tells_the_type_where_the_call_does_not(request_of: RequestOf) -> None:
    call = a_call()
    del call["type"]
    assert len(read(request_of, call, "/v1/track").app_events) == 1
    identified = read(request_of, call, "/v1/identify")
    assert (len(identified.elements), identified.app_events) == (1, [])


def test_without_a_timestamp_it_happened_when_we_were_told(request_of: RequestOf, received_at: datetime) -> None:
    (event,) = read(request_of, a_call(timestamp=None)).app_events
    assert event.occurred_at == received_at


def test_a_clock_that_runs_ahead_does_not_make_a_lead_look_alive_for_years(
    request_of: RequestOf, received_at: datetime
) -> None:
    ahead = (received_at + timedelta(days=900)).isoformat()
    (event,) = read(request_of, a_call(timestamp=ahead)).app_events
    assert event.occurred_at == received_at


def test_other_zones_become_utc(request_of: RequestOf) -> None:
    (event,) = read(request_of, a_call(timestamp="2026-03-01T10:00:00+05:30")).app_events
    assert event.occurred_at == datetime(2026, 3, 1, 4, 30, tzinfo=UTC)
    assert event.occurred_at.tzinfo is UTC


def test_a_repeated_call_has_the_same_key(request_of: RequestOf) -> None:
    first, second = read(request_of, {"batch": [a_call(), a_call(context={"retry": 1})]}).elements
    assert first.event_key == second.event_key


def test_without_a_message_id_the_content_is_the_id(request_of: RequestOf) -> None:
    events = read(
        request_of, {"batch": [a_call(messageId=None), a_call(messageId=None), a_call(messageId=None, event="other")]}
    ).app_events
    assert events[0].event_id == events[1].event_id != events[2].event_id


@pytest.mark.parametrize("value", [False, "true", 1, None])
def test_only_true_is_made_up(request_of: RequestOf, value: object) -> None:
    assert read(request_of, a_call(properties={"made_up": value})).app_events[0].is_made_up is False


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "the body is not JSON"),
        ("[]", "the body is not a JSON object"),
        ('{"batch":[]}', "the batch is not a list of calls"),
        ('{"batch":{}}', "the batch is not a list of calls"),
        ('{"a":' * 60_000, "the body is not JSON"),
    ],
)
def test_broken_bodies(request_of: RequestOf, body: str, reason: str) -> None:
    rows = Rows()
    parse_request(request_of(Stream.APP_EVENTS, body, path="/v1/batch"), rows)
    assert [(letter.element_number, letter.reason, letter.payload) for letter in rows.dead_letters] == [
        (0, reason, body)
    ]


@pytest.mark.parametrize("depth", range(200, 1100, 60))
def test_deep_nesting_is_an_element_or_a_dead_letter(request_of: RequestOf, depth: int) -> None:
    body = '{"userId":"u","event":"e","type":"track","properties":{"p":' + "[" * depth + "]" * depth + "}}"
    rows = Rows()
    parse_request(request_of(Stream.APP_EVENTS, body, path="/v1/track"), rows)
    assert len(rows.elements) + len(rows.dead_letters) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
call_like = st.dictionaries(
    st.sampled_from(["type", "userId", "anonymousId", "event", "messageId", "timestamp", "properties"]),
    json_values | st.sampled_from(["track", "identify", "u-1", "2026-03-01T10:00:00Z", "0001-01-01T00:00:00+14:00"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(json_values | call_like, min_size=1, max_size=6))
def test_any_batch_is_taken_apart_completely(request_of: RequestOf, calls: list[Any]) -> None:
    rows = read(request_of, {"batch": calls}, "/v1/batch")
    numbers = [row.element_number for row in (*rows.elements, *rows.dead_letters)]
    assert sorted(numbers) in ([0], list(range(1, len(calls) + 1)))  # NaN makes the whole body unreadable
    for event in rows.app_events:
        assert event.user_id.encode() and event.event_type.encode() and event.event_id.encode()
        assert event.occurred_at.tzinfo is UTC
