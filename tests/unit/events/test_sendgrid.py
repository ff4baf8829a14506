"""SendGrid's events in our words."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rekindle.events import LandingFile
from rekindle.events.json_elements import split_array
from rekindle.events.rows import LandedRequest, MessageEvent, Rows
from rekindle.events.sendgrid import DROP_REASONS, parse_event, parse_request
from rekindle.identity import address_hash
from rekindle.vocabulary import EventType, Stream

STREAM = Stream.SENDGRID_EVENTS
RequestOf = Callable[..., LandedRequest]


def an_event(**fields: Any) -> dict[str, Any]:
    return {
        "email": "Ada@Example.com",
        "timestamp": 1772380800,  # 2026-03-01T16:00:00Z
        "event": "delivered",
        "sg_event_id": "same-for-all",
        "sg_message_id": "14c5d75ce93.filter0001.16648.5515E0B88.0",
        "rk_message_id": "m-1",
        **fields,
    }


def read(request_of: RequestOf, *events: Any) -> Rows:
    rows = Rows()
    parse_request(request_of(STREAM, json.dumps(list(events))), rows)
    return rows


def one(request_of: RequestOf, **fields: Any) -> MessageEvent:
    event = parse_event(an_event(**fields), request_of(STREAM))
    assert isinstance(event, MessageEvent)
    return event


def test_a_whole_event(request_of: RequestOf, received_at: datetime) -> None:
    event = one(request_of, event="bounce", type="bounce", status="5.1.1", reason="550 no ada@example.com here")
    assert event == MessageEvent(
        event_key=event.event_key,
        message_id="m-1",
        provider="sendgrid",
        event_type=EventType.BOUNCED,
        provider_event="bounce",
        occurred_at=datetime(2026, 3, 1, 16, tzinfo=UTC),
        received_at=received_at,
        provider_message_id="14c5d75ce93.filter0001.16648.5515E0B88.0",
        error_code="5.1.1",
        address_hash=address_hash("ada@example.com"),
        is_human=None,
        detail=None,
        landing_file="sendgrid_events/2026-03-01/180000000000-00.jsonl",
    )


@pytest.mark.parametrize(
    ("fields", "event_type", "error_code", "detail"),
    [
        ({"event": "processed"}, EventType.ACCEPTED, None, None),
        ({"event": "Processed"}, EventType.ACCEPTED, None, None),
        ({"event": "delivered"}, EventType.DELIVERED, None, None),
        ({"event": "deferred", "attempt": "5"}, EventType.DEFERRED, None, None),
        ({"event": "deferred", "bounce_classification": "Reputation"}, EventType.DEFERRED, None, "reputation"),
        # bounces: only the type `bounce` is for good
        ({"event": "bounce", "type": "bounce", "status": "5.1.1"}, EventType.BOUNCED, "5.1.1", None),
        ({"event": "bounce", "type": "blocked", "status": "4.2.2"}, EventType.BLOCKED, "4.2.2", None),
        ({"event": "bounce", "type": "blocked"}, EventType.BLOCKED, "blocked", None),
        ({"event": "bounce", "type": "expired"}, EventType.BLOCKED, "expired", None),
        ({"event": "bounce", "type": "Bounce"}, EventType.BOUNCED, "bounce", None),
        ({"event": "bounce", "type": "something new"}, EventType.BLOCKED, "something new", None),
        ({"event": "bounce", "status": "5.0.0"}, EventType.BOUNCED, "5.0.0", None),
        ({"event": "bounce", "status": "4.0.0"}, EventType.BLOCKED, "4.0.0", None),
        ({"event": "bounce", "bounce_classification": "Invalid Address"}, EventType.BOUNCED, None, "invalid_address"),
        # drops: the reason's class, never its text
        *[
            ({"event": "dropped", "reason": reason, "status": "5.0.0"}, EventType.DROPPED, f"dropped:{reason}", detail)
            for reason, detail in (
                ("Bounced Address", "bounced_address"),
                ("Unsubscribed Address", "unsubscribed_address"),
                ("Spam Reporting Address", "spam_reporting_address"),
                ("Invalid", "invalid"),
                ("Invalid SMTPAPI header", "invalid_smtpapi_header"),
                ("Spam Content", "spam_content"),
                ("Recipient List over Package Quota", "recipient_list_over_package_quota"),
            )
        ],
        (
            {"event": "dropped", "reason": "BOUNCED ADDRESS."},
            EventType.DROPPED,
            "dropped:Bounced Address",
            "bounced_address",
        ),
        ({"event": "dropped", "reason": "ada@example.com is odd"}, EventType.DROPPED, "dropped:unknown", "unknown"),
        ({"event": "dropped"}, EventType.DROPPED, "dropped:unknown", "unknown"),
        # a status that is no status may hold anything
        ({"event": "bounce", "type": "bounce", "status": "ada@example.com"}, EventType.BOUNCED, "bounce", None),
        # people
        ({"event": "spamreport"}, EventType.COMPLAINED, None, None),
        ({"event": "unsubscribe"}, EventType.UNSUBSCRIBED, None, "global"),
        ({"event": "group_unsubscribe", "asm_group_id": 10}, EventType.UNSUBSCRIBED, None, "asm_group:10"),
        ({"event": "group_resubscribe", "asm_group_id": 10}, EventType.RESUBSCRIBED, None, "asm_group:10"),
        # unknown words are kept and change nothing
        ({"event": "account_status_change"}, EventType.OTHER, None, None),
    ],
)
def test_their_words_in_ours(
    request_of: RequestOf, fields: dict[str, Any], event_type: EventType, error_code: str | None, detail: str | None
) -> None:
    event = one(request_of, **fields)
    assert (event.event_type, event.error_code, event.detail) == (event_type, error_code, detail)


def test_every_documented_reason_of_a_drop_has_its_row_in_the_table_of_errors() -> None:
    """What is dropped for an opt-out at the provider must become one here: the table's code decides it."""
    table = Path(__file__).parents[3] / "dbt_project" / "seeds" / "provider_errors.csv"
    with table.open(newline="") as file:
        codes = {row["error_code"] for row in csv.DictReader(file) if row["provider"] == "sendgrid"}
    assert {f"dropped:{reason}" for reason in DROP_REASONS} <= codes


BROWSER = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1"


@pytest.mark.parametrize(
    ("fields", "is_human"),
    [
        ({"event": "open", "useragent": BROWSER}, True),
        ({"event": "open", "useragent": BROWSER, "sg_machine_open": False}, True),
        ({"event": "open", "useragent": BROWSER, "sg_machine_open": True}, False),
        ({"event": "open", "useragent": BROWSER, "sg_machine_open": "true"}, False),
        ({"event": "open", "useragent": "Mozilla/5.0 (via ggpht.com GoogleImageProxy)"}, False),
        ({"event": "open", "useragent": "YahooMailProxy; https://help.yahoo.com"}, False),
        ({"event": "open"}, False),
        ({"event": "click", "useragent": BROWSER, "url": "https://x.example/"}, True),
        ({"event": "click", "useragent": "Barracuda Sentinel (EE)", "url": "https://x.example/"}, False),
        ({"event": "delivered", "useragent": BROWSER}, None),
    ],
)
def test_who_opened_and_clicked(request_of: RequestOf, fields: dict[str, Any], is_human: bool | None) -> None:
    assert one(request_of, **fields).is_human is is_human


def test_mail_that_is_not_ours_keeps_no_message_id(request_of: RequestOf) -> None:
    event = an_event()
    del event["rk_message_id"]
    rows = read(request_of, event)
    assert [found.message_id for found in rows.message_events] == [None]
    assert len(rows.elements) == 1


@pytest.mark.parametrize("stamp", [1591726752372, "1591726752372", 1591726752.372])
def test_milliseconds_and_text_are_instants_too(request_of: RequestOf, stamp: object) -> None:
    assert one(request_of, timestamp=stamp).occurred_at == datetime(2020, 6, 9, 18, 19, 12, 372000, tzinfo=UTC)


@pytest.mark.parametrize("stamp", [None, "", "soon", -1, 0, True, [], 1e300, "9" * 30, "١٢٣"])
def test_without_an_instant_an_event_is_dead_but_a_stop_lives(
    request_of: RequestOf, received_at: datetime, stamp: object
) -> None:
    rows = read(request_of, an_event(timestamp=stamp))
    assert [letter.reason for letter in rows.dead_letters] == ["the event has no usable timestamp"]
    for event in ("unsubscribe", "spamreport", "bounce"):
        assert one(request_of, timestamp=stamp, event=event).occurred_at == received_at


def test_one_bad_element_dies_and_the_rest_lives(request_of: RequestOf) -> None:
    body = (
        '[{"event":"delivered","timestamp":1772380800,"email":"a@x.example"}, 7, null, {"event":"open"},'
        ' {"event":7,"timestamp":1772380800}, {"event":"open","timestamp":1772380800,"n":NaN},'
        ' {"event":"unsubscribe","timestamp":1772380800},'
        ' {"event":"click\\ud800","timestamp":1772380800},'
        ' {"event":"click","timestamp":1772380800,"url":"\\udc00"},'
        ' {"event":"spamreport","timestamp":1772380800,"email":"b@x.example"}]\r\n'
    )
    rows = Rows()
    parse_request(request_of(STREAM, body), rows)
    assert [element.element_number for element in rows.elements] == [1, 10]
    assert rows.elements[0].payload == '{"event":"delivered","timestamp":1772380800,"email":"a@x.example"}'
    assert [(letter.element_number, letter.reason) for letter in rows.dead_letters] == [
        (2, "the element is not an object"),
        (3, "the element is not an object"),
        (4, "the event has no usable timestamp"),
        (5, "the event has no name"),
        (6, "the element holds NaN or Infinity"),
        (7, "the event stops an address and names neither the address nor our message"),
        (8, "the event has no name"),
        (9, "the event holds text that is not Unicode"),
    ]
    assert rows.dead_letters[0].payload == "7"


@pytest.mark.parametrize(
    ("body", "elements", "dead"),
    [
        ("", 0, [(0, "the body is empty")]),
        (" \r\n", 0, [(0, "the body is empty")]),
        ("[]", 0, [(0, "the array is empty")]),
        ("[ ]\r\n", 0, [(0, "the array is empty")]),
        ("hello", 0, [(0, "the body is not a JSON array")]),
        ("7", 0, [(0, "the body is not a JSON array")]),
        ("[", 0, [(1, "the body is not valid JSON from here on")]),
        ("[,]", 0, [(1, "the body is not valid JSON from here on")]),
        ('{"event":"open","timestamp":1}', 1, []),
        ('[{"event":"open","timestamp":1}', 1, [(2, "the body is not valid JSON from here on")]),
        ('[{"event":"open","timestamp":1},]', 1, [(2, "the body is not valid JSON from here on")]),
        ('[{"event":"open","timestamp":1}]x', 1, [(2, "the body is not valid JSON from here on")]),
        ('[{"event":"open","timestamp":1},{"event"', 1, [(2, "the body is not valid JSON from here on")]),
        ("[" * 100_000, 0, [(1, "the body is not valid JSON from here on")]),
        ('[{"event":"open","timestamp":1' + "0" * 5000 + "}]", 0, [(1, "the body is not valid JSON from here on")]),
    ],
)
def test_broken_bodies(request_of: RequestOf, body: str, elements: int, dead: list[tuple[int, str]]) -> None:
    rows = Rows()
    parse_request(request_of(STREAM, body), rows)
    assert len(rows.elements) == elements
    assert [(letter.element_number, letter.reason) for letter in rows.dead_letters] == dead


def test_events_that_differ_in_what_happened_have_keys_that_differ(request_of: RequestOf) -> None:
    events = [
        an_event(),
        an_event(event="open"),
        an_event(rk_message_id="m-2"),
        an_event(email="bob@example.com"),
        an_event(timestamp=1772380801),
        an_event(event="click", url="https://a.example/"),
        an_event(event="click", url="https://b.example/"),
        an_event(event="deferred", attempt="1"),
        an_event(event="deferred", attempt="2"),
        an_event(event="bounce", type="bounce"),
        an_event(event="bounce", type="blocked"),
        an_event(event="group_unsubscribe", asm_group_id=1),
        an_event(event="group_unsubscribe", asm_group_id=2),
    ]
    keys = [element.event_key for element in read(request_of, *events).elements]
    assert len(set(keys)) == len(events)


def test_copies_share_a_key_whatever_their_event_id(request_of: RequestOf) -> None:
    copies = [
        an_event(),
        an_event(sg_event_id="another"),
        an_event(sg_event_id=None),
        an_event(email=" ada@example.COM "),
        an_event(event="Delivered"),
        an_event(timestamp="1772380800"),
        an_event(sg_message_id=None),  # an asynchronous copy may lack it
        an_event(response="250 OK", extra={"new": "key"}),
    ]
    keys = [element.event_key for element in read(request_of, *copies).elements]
    assert len(keys) == len(copies)
    assert len(set(keys)) == 1


def test_the_documented_batch(vectors: Callable[[str], Any], request_of: RequestOf) -> None:
    """All eleven share one `sg_event_id`, and all eleven happened."""
    rows = read(request_of, *vectors("sendgrid_events_batch.json"))
    assert rows.dead_letters == []
    assert len({element.event_key for element in rows.elements}) == 11
    assert [event.event_type for event in rows.message_events] == [
        EventType.ACCEPTED,
        EventType.DEFERRED,
        EventType.DELIVERED,
        EventType.OPENED,
        EventType.CLICKED,
        EventType.BOUNCED,
        EventType.DROPPED,
        EventType.COMPLAINED,
        EventType.UNSUBSCRIBED,
        EventType.UNSUBSCRIBED,
        EventType.RESUBSCRIBED,
    ]
    assert {event.occurred_at for event in rows.message_events} == {datetime(2017, 12, 15, 0, 59, 29, tzinfo=UTC)}


def test_the_documented_single_events(vectors: Callable[[str], Any], request_of: RequestOf) -> None:
    documented = vectors("sendgrid_events_singles.json")
    rows = read(request_of, *documented)
    assert rows.dead_letters == []
    assert len(rows.message_events) == len(documented)
    by_word = {event.provider_event for event in rows.message_events}
    assert "processed" in by_word and "Processed" not in by_word
    assert EventType.OTHER not in {event.event_type for event in rows.message_events}


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_and_repeated_delivery_tells_the_same(read_lines: Callable[..., LandingFile], seed: int) -> None:
    """SendGrid repeats an event up to 46 times, under other ids, in any order and cut into arrays anew."""
    # Given 200 things that happened
    shuffler = random.Random(seed)
    happened = [
        an_event(rk_message_id=f"m-{number % 60}", event=word, timestamp=1772380800 + number)
        for number in range(50)
        for word in ("processed", "delivered", "open", "click")
    ]
    plain = read_lines(STREAM, {"body": json.dumps(happened)})
    # When they come three times each, under new ids, in any order, in arrays of any length
    copies = [{**event, "sg_event_id": shuffler.random()} for event in happened * 3]
    shuffler.shuffle(copies)
    bodies = []
    while copies:
        size = shuffler.randint(1, 40)
        bodies.append({"body": json.dumps(copies[:size], indent=shuffler.choice([None, 1])) + "\r\n"})
        copies = copies[size:]
    noisy = read_lines(STREAM, *bodies)
    # Then the same happened
    assert len(noisy.elements) == 600
    assert {event.event_key for event in noisy.message_events} == {event.event_key for event in plain.message_events}
    assert len({event.event_key for event in plain.message_events}) == 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = """
    email event timestamp type status reason url attempt asm_group_id useragent sg_machine_open rk_message_id
    sg_message_id bounce_classification
"""
event_like = st.dictionaries(
    st.sampled_from(FIELDS.split()),
    json_values
    | st.sampled_from(["bounce", "blocked", "open", "click", "Processed", "dropped", "unsubscribe", 1772380800, "1"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(elements=st.lists(json_values | event_like, min_size=1, max_size=6))
def test_any_array_is_taken_apart_completely(request_of: RequestOf, elements: list[Any]) -> None:
    rows = read(request_of, *elements)
    numbers = [row.element_number for row in (*rows.elements, *rows.dead_letters)]
    assert sorted(numbers) == list(range(1, len(elements) + 1))
    assert [event.event_key for event in rows.message_events] == [element.event_key for element in rows.elements]
    for event in rows.message_events:
        for word in (event.message_id, event.provider_event, event.error_code, event.detail):
            assert word is None or word.encode()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.text())
def test_any_text_becomes_rows(request_of: RequestOf, body: str) -> None:
    rows = Rows()
    parse_request(request_of(STREAM, body), rows)
    assert len(rows.elements) + len(rows.dead_letters) >= 1


@given(elements=st.lists(json_values.filter(lambda value: value == value), min_size=1, max_size=6))
def test_each_element_keeps_its_own_text(elements: list[Any]) -> None:
    texts = [json.dumps(element) for element in elements]
    body = " [ " + " ,\r\n".join(texts) + " ] "
    assert [text for _, _, text in split_array(body)] == texts
