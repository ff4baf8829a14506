"""The doors behind links: no open redirect, and no GET that unsubscribes."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import pytest

from rekindle.identity import address_hash
from rekindle.tokens import TokenSigner
from rekindle.vocabulary import EventType, Stream

MESSAGE_ID = "0d8d3c0e-2f52-5c38-9c0b-0a2f1f6d2b11"
DESTINATION = "https://shop.example.com/back;x=1?from=mail&who=a%20b#top"
HASH = address_hash("ada@example.com")
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def click(desk: Any) -> str:
    return desk.tokens.click(MESSAGE_ID, DESTINATION)


@pytest.fixture
def stop(desk: Any) -> str:
    return desk.tokens.unsubscribe(MESSAGE_ID, HASH, "email", "marketing")


def test_a_click_is_recorded_and_leads_on(desk: Any, click: str) -> None:
    answer = desk.client.get(f"/c/{click}", headers={"User-Agent": FIREFOX})
    assert (answer.status_code, answer.headers["location"]) == (302, DESTINATION)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    (line,) = desk.lines(Stream.LINK_CLICKS)
    assert line["token"] == {"message_id": MESSAGE_ID, "destination": DESTINATION}
    assert line["method"] == "GET"
    assert click not in str(line)
    (event,) = desk.read()[0].message_events
    assert (event.event_type, event.message_id, event.is_human, event.detail) == (
        EventType.CLICKED,
        MESSAGE_ID,
        True,
        "shop.example.com",
    )


def test_a_head_is_recorded_and_leads_nowhere(desk: Any, click: str) -> None:
    answer = desk.client.head(f"/c/{click}", headers={"User-Agent": FIREFOX})
    assert (answer.status_code, "location" in answer.headers) == (200, False)
    (event,) = desk.read()[0].message_events
    assert event.is_human is False


def test_a_scanner_is_recorded_as_one(desk: Any, click: str) -> None:
    desk.client.get(f"/c/{click}", headers={"User-Agent": "Slackbot-LinkExpanding 1.0"})
    desk.client.get(f"/c/{click}", headers={"User-Agent": ""})
    desk.client.get(f"/c/{click}", headers={"User-Agent": FIREFOX, "Sec-Purpose": "prefetch"})
    assert [event.is_human for file in desk.read() for event in file.message_events] == [False] * 3


@pytest.mark.parametrize(
    "suffix",
    [
        "?url=https://evil.example",
        "?next=//evil.example&destination=https://evil.example",
        "?@evil.example",
    ],
)
def test_whatever_is_hung_on_the_link_it_leads_where_it_was_signed_for(desk: Any, click: str, suffix: str) -> None:
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Referer": "https://evil.example"}
    assert desk.client.get(f"/c/{click}{suffix}", headers=headers).headers["location"] == DESTINATION


@pytest.mark.parametrize(
    "path",
    [
        "/c/https://evil.example",
        "/c/https%3A%2F%2Fevil.example",
        "/c///evil.example",
        "/c/%2F%2Fevil.example",
        "/c/" + base64.urlsafe_b64encode(b'["m","https://evil.example"]').decode(),
        "/c/" + base64.urlsafe_b64encode(b'["m","https://evil.example"]').decode().rstrip("=") + ".AAAA",
        "/c/" + TokenSigner(["someone-else's-key"]).click("m", "https://evil.example/"),
        "/c/{click}/https://evil.example",
        "/c/{click}/",
        "/c/{click}x",
        "/c/{click}%00",
        "/c/{click}\\@evil.example",
        "/c/{stop}",
        "/c/",
        "/c",
        "//evil.example/c/{click}",
        "//evil.example/",
        "/c/%ff%fe",
        "/c/.",
        "/c/" + "a" * 5000,
    ],
)
def test_no_address_of_others_redirects(desk: Any, click: str, stop: str, path: str) -> None:
    path = path.format(click=click, stop=stop) if "{" in path else path
    for method in ("GET", "HEAD"):
        answer = desk.client.request(method, f"http://receiver.internal:8085{path}")
        assert answer.status_code == 404, path
        assert "location" not in answer.headers
    assert desk.read() == []


def test_a_bad_click_link_gets_a_friendly_page(desk: Any) -> None:
    answer = desk.client.get("/c/broken")
    assert answer.status_code == 404
    assert "This link does not work" in answer.text
    assert "broken" not in answer.text


def test_other_scripts_in_a_destination_are_encoded(desk: Any) -> None:
    token = desk.tokens.click(MESSAGE_ID, "https://shop.example.com/größe/雪?q=é%20")
    location = desk.client.get(f"/c/{token}").headers["location"]
    assert location == "https://shop.example.com/gr%C3%B6%C3%9Fe/%E9%9B%AA?q=%C3%A9%20"


def test_a_person_gets_on_even_when_the_click_can_not_be_written(desk: Any, click: str) -> None:
    desk.root.write_text("")
    assert desk.client.get(f"/c/{click}").headers["location"] == DESTINATION
    assert desk.client.get("/healthz").json()["counts"] == {"link_clicks.not_durable": 1}


# Unsubscribing


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_only_a_post_unsubscribes(desk: Any, stop: str, method: str) -> None:
    for suffix in ("", "?List-Unsubscribe=One-Click", "?confirm=1&from=page"):
        headers = {"X-HTTP-Method-Override": "POST"}
        answer = desk.client.request(method, f"/u/{stop}{suffix}", headers=headers)
        assert answer.status_code in (200, 204, 405)
        assert "location" not in answer.headers
    assert desk.read() == []


def test_the_page_asks_with_a_button_and_without_javascript(desk: Any, stop: str) -> None:
    answer = desk.client.get(f"/u/{stop}")
    assert answer.status_code == 200
    assert re.search(r'<form method="post">\s*<button type="submit"', answer.text)
    assert "Stop these e-mails?" in answer.text
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in answer.text
    assert "Acme &lt;Tools&gt;" in answer.text
    for loaded in ("<script", "http://", "https://", "src=", "<link", "url("):
        assert loaded not in answer.text
    texts = desk.client.get("/u/" + desk.tokens.unsubscribe(MESSAGE_ID, HASH, "sms", "marketing")).text
    assert "Stop these text messages?" in texts


def test_pages_are_private(desk: Any, stop: str) -> None:
    for answer in (
        desk.client.get(f"/u/{stop}"),
        desk.client.post(f"/u/{stop}"),
        desk.client.get("/u/broken"),
        desk.client.get("/c/broken"),
    ):
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "noindex" in answer.headers["x-robots-tag"]
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "form-action 'self'" in policy and "frame-ancestors 'none'" in policy
        # The one style that the policy lets through is the one on the page
        style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)
        assert style
        digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
        assert f"style-src 'sha256-{digest}'" in policy


MULTIPART = b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n'


@pytest.mark.parametrize(
    ("content_type", "body", "detail"),
    [
        ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click", "one_click"),
        ("multipart/form-data; boundary=b", MULTIPART, "one_click"),
        ("application/x-www-form-urlencoded", b"from=page", "page"),
        ("text/plain", b"", "page"),
        ("application/json", b"\xff\xff", "page"),
        # cut in the middle of a letter by the limit
        ("text/plain", b"x" + "é".encode() * 9_000, "page"),
    ],
)
def test_a_post_unsubscribes_whatever_its_form(
    desk: Any, stop: str, content_type: str, body: bytes, detail: str
) -> None:
    answer = desk.client.post(f"/u/{stop}", content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, "location" in answer.headers) == (200, False)
    assert "You are unsubscribed" in answer.text
    (line,) = desk.lines(Stream.UNSUBSCRIBES)
    assert line["token"] == {"message_id": MESSAGE_ID, "address_hash": HASH, "channel": "email", "topic": "marketing"}
    assert stop not in str(line)
    (file,) = desk.read()
    assert [(event.event_type, event.address_hash, event.message_id) for event in file.message_events] == [
        (EventType.UNSUBSCRIBED, HASH, MESSAGE_ID)
    ]
    assert file.message_events[0].detail == detail


def test_it_works_again_and_says_the_same(desk: Any, stop: str) -> None:
    first, second = (desk.client.post(f"/u/{stop}", data={"List-Unsubscribe": "One-Click"}) for _ in range(2))
    assert (first.status_code, first.text) == (second.status_code, second.text)
    assert len({event.event_key for file in desk.read() for event in file.message_events}) == 1


def test_a_cookie_or_another_site_changes_nothing(desk: Any, stop: str) -> None:
    headers = {"Cookie": "session=1", "Origin": "null", "Sec-Fetch-Site": "cross-site"}
    answer = desk.client.post(f"/u/{stop}", content=b"List-Unsubscribe=One-Click", headers=headers)
    assert (answer.status_code, "set-cookie" in answer.headers) == (200, False)


def test_a_huge_body_does_not_keep_anybody_subscribed(desk: Any, stop: str) -> None:
    body = b"List-Unsubscribe=One-Click&" + b"x" * 1_000_000
    assert desk.client.post(f"/u/{stop}", content=body).status_code == 200
    (line,) = desk.lines(Stream.UNSUBSCRIBES)
    assert len(line["body"]) == 16 * 1024
    assert desk.read()[0].message_events[0].detail == "one_click"


@pytest.mark.parametrize("token", ["broken", "{click}", "{stop}x"])
def test_a_token_nobody_can_read_unsubscribes_nobody_and_is_kept_for_a_person(
    desk: Any, click: str, stop: str, token: str
) -> None:
    token = token.format(click=click, stop=stop)
    assert desk.client.get(f"/u/{token}").status_code == 404
    answer = desk.client.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"})
    assert (answer.status_code, "location" in answer.headers) == (200, False)
    assert "We could not read this link" in answer.text
    (file,) = desk.read()
    assert (file.message_events, len(file.dead_letters)) == ([], 1)
    assert token in file.dead_letters[0].payload


def test_a_trailing_slash_is_not_redirected(desk: Any, stop: str) -> None:
    for method in ("GET", "POST"):
        answer = desk.client.request(method, f"/u/{stop}/", headers={"Host": "evil.example"})
        assert (answer.status_code, "location" in answer.headers) == (404, False)


def test_nobody_is_told_done_before_it_is(desk: Any, stop: str) -> None:
    desk.root.write_text("")
    answer = desk.client.post(f"/u/{stop}")
    assert answer.status_code == 503
    assert "Please try once more" in answer.text
    assert "You are unsubscribed" not in answer.text
