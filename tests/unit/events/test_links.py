"""Clicks and unsubscribes in our words."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rekindle.events.bots import is_software
from rekindle.events.links import parse_request
from rekindle.events.rows import LandedRequest, MessageEvent, Rows
from rekindle.vocabulary import EventType, Stream

RequestOf = Callable[..., LandedRequest]
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CLICK = {"message_id": "m-1", "destination": "https://shop.example.com/back?email=ada@example.com"}
UNSUBSCRIBE = {"message_id": "m-1", "address_hash": "ab" * 32, "channel": "email", "topic": "marketing"}


def click(request_of: RequestOf, **fields: Any) -> MessageEvent:
    defaults = {"token": CLICK, "method": "GET", "headers": {"user-agent": FIREFOX}, "remote": "192.0.2.1"}
    rows = Rows()
    parse_request(request_of(Stream.LINK_CLICKS, **{**defaults, **fields}), rows)
    assert rows.dead_letters == []
    return rows.message_events[0]


def test_a_whole_click(request_of: RequestOf, received_at: datetime) -> None:
    event = click(request_of)
    assert event == MessageEvent(
        event_key=event.event_key,
        message_id="m-1",
        provider="rekindle",
        event_type=EventType.CLICKED,
        provider_event="click",
        occurred_at=received_at,
        received_at=received_at,
        provider_message_id=None,
        error_code=None,
        address_hash=None,
        is_human=True,
        detail="shop.example.com",
        landing_file="link_clicks/2026-03-01/180000000000-00.jsonl",
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "HEAD"},
        {"headers": {}},
        {"headers": {"user-agent": " "}},
        {"headers": {"user-agent": "python-requests/2.32"}},
        {"headers": {"user-agent": FIREFOX, "sec-purpose": "prefetch;prerender"}},
        {"headers": {"user-agent": FIREFOX, "purpose": "prefetch"}},
    ],
)
def test_what_no_person_does(request_of: RequestOf, fields: dict[str, Any]) -> None:
    assert click(request_of, **fields).is_human is False


@pytest.mark.parametrize(
    "user_agent",
    [
        "facebookexternalhit/1.1 Facebot Twitterbot/1.0",  # iMessage previews
        "WhatsApp/2.23.20.0",
        "TelegramBot (like TwitterBot)",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Windows NT 10.0) BingPreview/1.0b",
        "SkypeUriPreview Preview/0.5",
        "Mozilla/5.0 (compatible; Barracuda Link Protect)",
        "curl/8.5.0",
        "Go-http-client/2.0",
        "Java/17.0.1",
        "Microsoft Office/16.0 (Microsoft Outlook 16.0; MSOffice 16)",
        "",
    ],
)
def test_software_by_name(user_agent: str) -> None:
    assert is_software(user_agent)


@pytest.mark.parametrize(
    "user_agent",
    [
        FIREFOX,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0",
        "Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Mobile Safari",
        "Mozilla/5.0 (Linux; Android 14; SM-S911B; wv) Chrome/130.0 Mobile [FB_IAB/FB4A;FBAV/480.0;]",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36 Edg/131.0",
    ],
)
def test_browsers_are_people(user_agent: str) -> None:
    assert not is_software(user_agent)


def test_each_click_counts_once(request_of: RequestOf) -> None:
    keys = {
        click(request_of, **fields).event_key
        for fields in (
            {},
            {},
            {"method": "HEAD"},
            {"remote": "192.0.2.2"},
            {"headers": {"user-agent": "Other"}},
            {"token": {**CLICK, "destination": "https://shop.example.com/other"}},
            {"token": {**CLICK, "message_id": "m-2"}},
        )
    }
    assert len(keys) == 6


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("List-Unsubscribe=One-Click", "one_click"),
        (
            '--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n',
            "one_click",
        ),
        ("from=page", "page"),
        ("", "page"),
    ],
)
def test_a_whole_unsubscribe(request_of: RequestOf, received_at: datetime, body: str, detail: str) -> None:
    rows = Rows()
    parse_request(request_of(Stream.UNSUBSCRIBES, body, token=UNSUBSCRIBE), rows)
    (event,) = rows.message_events
    assert event == MessageEvent(
        event_key=event.event_key,
        message_id="m-1",
        provider="rekindle",
        event_type=EventType.UNSUBSCRIBED,
        provider_event="unsubscribe",
        occurred_at=received_at,
        received_at=received_at,
        provider_message_id=None,
        error_code=None,
        address_hash="ab" * 32,
        is_human=None,
        detail=detail,
        landing_file="unsubscribes/2026-03-01/180000000000-00.jsonl",
    )
    assert json.loads(rows.elements[0].payload)["token"] == UNSUBSCRIBE


@pytest.mark.parametrize(
    ("stream", "fields", "reason"),
    [
        (Stream.LINK_CLICKS, {"token": None}, "the click's token says nothing"),
        (Stream.LINK_CLICKS, {"token": {"message_id": "m-1"}}, "the click's token says nothing"),
        (Stream.UNSUBSCRIBES, {"token": None}, "somebody wanted to unsubscribe and the token could not be read"),
        (Stream.UNSUBSCRIBES, {"token": UNSUBSCRIBE, "method": "GET"}, "only a POST unsubscribes"),
        (Stream.UNSUBSCRIBES, {"token": UNSUBSCRIBE, "method": "HEAD"}, "only a POST unsubscribes"),
    ],
)
def test_what_can_not_be_used(request_of: RequestOf, stream: Stream, fields: dict[str, Any], reason: str) -> None:
    rows = Rows()
    parse_request(request_of(stream, **fields), rows)
    assert [letter.reason for letter in rows.dead_letters] == [reason]
    assert (rows.elements, rows.message_events) == ([], [])


any_text = st.text(st.characters(codec=None), max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stream=st.sampled_from([Stream.LINK_CLICKS, Stream.UNSUBSCRIBES]),
    token=st.none()
    | st.dictionaries(
        st.sampled_from(["message_id", "destination", "address_hash", "channel", "topic"]),
        any_text | st.just("https://[x"),
    ),
    method=st.sampled_from(["GET", "HEAD", "POST", ""]),
    remote=st.none() | any_text,
    headers=st.dictionaries(st.sampled_from(["user-agent", "purpose"]), any_text),
    body=any_text,
)
def test_anything_is_one_element_or_one_dead_letter(
    request_of: RequestOf, stream: Stream, body: str, **fields: Any
) -> None:
    rows = Rows()
    parse_request(request_of(stream, body, **fields), rows)
    assert len(rows.elements) + len(rows.dead_letters) == 1
    assert len(rows.message_events) == len(rows.elements)
