"""The pages where people say what they want: a GET shows, a POST writes down, nothing needs a script."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from rekindle.identity import address_hash
from rekindle.receiver.preferences import Wording
from rekindle.tokens import ConfirmToken
from rekindle.vocabulary import Choice, EventType, Stream

MESSAGE_ID = "0d8d3c0e-2f52-5c38-9c0b-0a2f1f6d2b11"
HASH = address_hash("ada@example.com")


@pytest.fixture
def choices(desk: Any) -> str:
    return "/p/" + desk.tokens.preferences(MESSAGE_ID, HASH, "email", "marketing")


@pytest.fixture
def wording(desk: Any) -> Wording:
    return Wording(desk.settings.topics, desk.settings.consent_wording)


@pytest.fixture
def confirmation(desk: Any) -> ConfirmToken:
    return ConfirmToken(MESSAGE_ID, HASH, "email", "marketing,tips", "2026-01", desk.clock.now().date())


class Page(HTMLParser):
    """What a browser without scripts can press and fill in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self.unlabelled: list[str] = []
        self._in_label = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form":
            self.forms.append({"method": found.get("method"), "action": found.get("action"), "fields": []})
        elif tag in ("input", "button"):
            self.forms[-1]["fields"].append((found.get("type"), found.get("name"), found.get("value")))
            if found.get("checked", "no") is None:
                assert found.get("value") == "", "nothing that changes anything is chosen beforehand"
            if tag == "input" and found.get("type") != "hidden" and not self._in_label:
                self.unlabelled.append(str(found))
        elif tag == "label":
            self._in_label = True
        assert not [name for name in found if name.startswith("on")], "no inline script"
        assert tag not in ("script", "link", "img", "iframe")

    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self._in_label = False


def chosen(desk: Any) -> list[tuple[str, str, str]]:
    return [(row.channel, row.topic, row.choice) for file in desk.read() for row in file.preferences]


def test_the_page_offers_every_choice_and_changes_nothing(desk: Any, choices: str) -> None:
    answer = desk.client.get(choices)
    page = Page(answer.text)
    assert (answer.status_code, page.unlabelled) == (200, [])
    assert {form["method"] for form in page.forms} == {"post"}
    assert {form["action"] for form in page.forms} == {None}  # back to this very link
    buttons = [value for form in page.forms for kind, name, value in form["fields"] if kind == "submit"]
    assert buttons == ["pause", "save", "stop", "resubscribe"]
    offered = {value for form in page.forms for _, name, value in form["fields"] if name == "topic"}
    assert offered == {"marketing", "tips"}
    assert "News &amp; offers" in answer.text and "Acme &lt;Tools&gt;" in answer.text
    assert '<html lang="en">' in answer.text
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"):
        for query in ("", "?do=pause", "?do=stop&from=page"):
            found = desk.client.request(method, choices + query, headers={"X-HTTP-Method-Override": "POST"})
            assert found.status_code in (200, 204, 405)
    assert desk.read() == []


def test_the_topic_of_the_message_is_always_offered(desk: Any) -> None:
    link = "/p/" + desk.tokens.preferences(MESSAGE_ID, HASH, "sms", "win_back")
    assert "Win back" in desk.client.get(link).text
    assert "Send me text messages about" in desk.client.get(link).text


@pytest.mark.parametrize(
    ("form", "rows", "event"),
    [
        ({"do": "pause"}, [("all", "all", Choice.PAUSED)], EventType.PREFERENCE_PAUSED),
        ({"do": "stop"}, [("all", "all", Choice.REVOKED)], EventType.UNSUBSCRIBED),
        ({"do": "save", "channel": "sms"}, [("sms", "all", Choice.REVOKED)], None),
        ({"do": "save", "topic": "tips"}, [("all", "tips", Choice.REVOKED)], None),
        ({"do": "save", "frequency": "less_often"}, [("all", "all", Choice.LESS_OFTEN)], None),
        ({"do": "save", "frequency": "as_usual"}, [("all", "all", Choice.AS_USUAL)], None),
        (
            {"do": "save", "frequency": "less_often", "topic": ["tips", "marketing", "tips"], "channel": ["email"]},
            [
                ("email", "all", Choice.REVOKED),
                ("all", "tips", Choice.REVOKED),
                ("all", "marketing", Choice.REVOKED),
                ("all", "all", Choice.LESS_OFTEN),
            ],
            None,
        ),
    ],
)
def test_each_button_writes_down_what_it_says(
    desk: Any, choices: str, form: dict[str, Any], rows: list[tuple[str, str, str]], event: EventType | None
) -> None:
    answer = desk.client.post(choices, data=form)
    assert (answer.status_code, "location" in answer.headers) == (200, False)
    assert "We have written it down" in answer.text
    assert chosen(desk) == rows
    (file,) = desk.read()
    assert [found.event_type for found in file.message_events] == ([event] if event else [])
    assert {(row.address_hash, row.message_id, row.source) for row in file.preferences} == {
        (HASH, MESSAGE_ID, "preference_page")
    }
    assert file.dead_letters == []
    token = choices.removeprefix("/p/")
    (line,) = desk.lines(Stream.PREFERENCES)
    assert token not in str(line)
    assert line["token"]["token_sha256"] == hashlib.sha256(token.encode()).hexdigest()


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"do": ""},
        {"do": "save"},
        {"do": "save", "frequency": ""},
        {"do": "save", "frequency": "always", "channel": "pigeon", "topic": ["all", "A B", "../x", ""]},
        {"do": "unsave", "channel": "sms"},
        {"do": "resubscribe"},
    ],
)
def test_a_form_that_chooses_nothing_is_shown_again(desk: Any, choices: str, form: dict[str, Any]) -> None:
    answer = desk.client.post(choices, data=form)
    assert answer.status_code == 200
    assert 'role="alert"' in answer.text and "Nothing has changed" in answer.text
    assert desk.read() == []


def test_asking_again_needs_a_topic_and_todays_words(desk: Any, choices: str, wording: Wording) -> None:
    shown = re.search(r'name="wording" value="([^"]+)"', desk.client.get(choices).text)
    assert shown and shown.group(1) == wording.version
    old = Wording(wording.topics, wording.consent + " And by telephone.").version
    refused = desk.client.post(choices, data={"do": "resubscribe", "topic": "tips", "wording": old})
    assert "Please read them again" in refused.text
    assert "Please tick what" in desk.client.post(choices, data={"do": "resubscribe", "wording": wording.version}).text
    assert desk.read() == []
    desk.client.post(choices, data={"do": "resubscribe", "topic": "tips", "wording": wording.version})
    (file,) = desk.read()
    (row,) = file.preferences
    assert (row.channel, row.topic, row.choice, row.wording_version) == (
        "email",
        "tips",
        Choice.GRANTED,
        wording.version,
    )
    (line,) = desk.lines(Stream.PREFERENCES)
    assert line["token"]["wording"] == wording.consent
    assert [event.event_type for event in file.message_events] == [EventType.RESUBSCRIBED]


@pytest.mark.parametrize("kind", ["click", "unsubscribe", "confirm", "stranger", "cut", "longer"])
def test_another_purpose_s_link_opens_nothing(desk: Any, choices: str, confirmation: ConfirmToken, kind: str) -> None:
    own = choices.removeprefix("/p/")
    other = {
        "click": desk.tokens.click(MESSAGE_ID, "https://shop.example.com/"),
        "unsubscribe": desk.tokens.unsubscribe(MESSAGE_ID, HASH, "email", "marketing"),
        "confirm": desk.tokens.confirm(confirmation),
        "stranger": type(desk.tokens)(["other-key"]).preferences(MESSAGE_ID, HASH, "email", "marketing"),
        "cut": own[:-1],
        "longer": own + "A",
    }[kind]
    for method in ("GET", "HEAD", "POST"):
        assert desk.client.request(method, f"/p/{other}").status_code == 404
    assert desk.client.get(f"/u/{own}").status_code == 404
    assert desk.client.get(f"/confirm/{own}").status_code == 404
    assert desk.read() == []


def test_nobody_is_told_done_before_it_is_and_the_choices_come_back(desk: Any, choices: str) -> None:
    desk.root.write_text("")
    answer = desk.client.post(choices, data={"do": "save", "topic": ["tips", "marketing"]})
    assert answer.status_code == 503
    assert "written it down" not in answer.text
    (form,) = Page(answer.text).forms
    assert [(name, value) for kind, name, value in form["fields"] if kind == "hidden"] == [
        ("do", "save"),
        ("topic", "tips"),
        ("topic", "marketing"),
    ]


def test_what_somebody_types_into_the_form_is_never_html(desk: Any, choices: str) -> None:
    desk.root.write_text("")
    answer = desk.client.post(choices, data={"do": "pause", '"><script>': "</style><script>alert(1)</script>"})
    assert answer.status_code == 503
    Page(answer.text)  # refuses script elements


def test_a_huge_form_is_refused(desk: Any, choices: str) -> None:
    assert desk.client.post(choices, content=b"do=pause&" + b"x" * 20_000).status_code == 413
    fields = "&".join(f"topic=t{number}" for number in range(500))
    assert "Nothing has changed" in desk.client.post(choices, content=f"do=save&{fields}".encode()).text
    assert desk.read() == []


# Double opt-in


def test_a_get_asks_and_a_post_confirms(desk: Any, confirmation: ConfirmToken) -> None:
    link = "/confirm/" + desk.tokens.confirm(confirmation)
    for method in ("GET", "HEAD", "OPTIONS", "PUT"):
        desk.client.request(method, link + "?from=page")
    assert desk.read() == []
    asked = desk.client.get(link)
    assert "News &amp; offers" in asked.text and "Do you want our e-mails?" in asked.text
    assert desk.client.post(link, data={"from": "page"}).status_code == 200
    (file,) = desk.read()
    assert [(row.channel, row.topic, row.choice, row.wording_version, row.source) for row in file.preferences] == [
        ("email", topic, Choice.GRANTED, "2026-01", "confirm_page") for topic in ("marketing", "tips")
    ]


def test_a_sign_up_confirmed_twice_is_one_consent(desk: Any, confirmation: ConfirmToken) -> None:
    link = "/confirm/" + desk.tokens.confirm(confirmation)
    desk.client.post(link)
    desk.clock.step_to(desk.clock.now() + timedelta(days=2))
    desk.client.post(link)
    rows = [row for file in desk.read() for row in file.preferences]
    assert (len(rows), len({row.choice_id for row in rows})) == (4, 2)


@pytest.mark.parametrize(("days", "status"), [(30, 200), (31, 410), (4000, 410)])
def test_a_confirmation_runs_out(desk: Any, confirmation: ConfirmToken, days: int, status: int) -> None:
    link = "/confirm/" + desk.tokens.confirm(confirmation)
    desk.clock.step_to(desk.clock.now() + timedelta(days=days))
    for method in ("GET", "POST"):
        assert desk.client.request(method, link).status_code == status
    assert len(desk.read()) == (1 if status == 200 else 0)


def test_a_landed_get_confirms_nothing(desk: Any, confirmation: ConfirmToken, choices: str) -> None:
    """Whatever wrote the file: the reader itself takes no GET for a choice."""
    desk.client.post("/confirm/" + desk.tokens.confirm(confirmation))
    desk.client.post(choices, data={"do": "pause"})
    for path in desk.root.glob("*/*/*.jsonl"):
        path.write_text(path.read_text().replace('"POST"', '"GET"'))
    assert chosen(desk) == []
    assert [letter.reason for file in desk.read() for letter in file.dead_letters] == [
        "only a POST chooses anything"
    ] * 2


@pytest.mark.parametrize("path", ["/p/broken", "/confirm/broken", "/p/", "/confirm/", "/p", "/confirm"])
def test_broken_links_get_a_page_and_careful_headers(desk: Any, path: str) -> None:
    answer = desk.client.get(path)
    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
