"""Sign-ups of the company's own forms: checked at the door, answered without a word about whom we know."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rekindle.identity import address_hash
from rekindle.vocabulary import Choice, Stream

HEADERS = {"Authorization": "Basic " + base64.b64encode(b"write-key:").decode()}
FORM: dict[str, Any] = {
    "email": " Ada@Example.com ",
    "phone": "+1 415 555 2671",
    "form": "footer",
    "wording_version": "2026-01",
    "channels": ["email", "sms"],
    "topics": ["tips", "marketing"],
    "time_zone": "america/new_york",
    "country": "us",
    "remote_address": "2001:db8::7",
}


def send(desk: Any, **changes: Any) -> Any:
    form = {name: value for name, value in {**FORM, **changes}.items() if value is not ...}
    # httpx writes letters as they are, and half a surrogate pair can only be spelled
    return desk.client.post("/v1/leads", content=json.dumps(form), headers=HEADERS)


def test_a_sign_up_is_kept_with_everything_it_says(desk: Any) -> None:
    answer = send(desk, double_opt_in=False)
    assert (answer.status_code, answer.json()) == (202, {"success": True})
    (file,) = desk.read()
    assert [(row.channel, row.address, row.address_hash) for row in file.opt_ins] == [
        ("email", "Ada@Example.com", address_hash("ada@example.com")),
        ("sms", "+14155552671", address_hash("+14155552671")),
    ]
    assert {(row.time_zone, row.country, row.topics, row.confirm_token) for row in file.opt_ins} == {
        ("America/New_York", "US", "tips,marketing", None)
    }
    assert [(row.channel, row.topic, row.choice, row.jurisdiction) for row in file.preferences] == [
        (channel, topic, Choice.GRANTED, "US") for channel in ("email", "sms") for topic in ("tips", "marketing")
    ]
    evidence = json.loads(file.preferences[0].evidence)
    assert (evidence["form"], evidence["remote_hash"]) == ("footer", address_hash("2001:db8::7"))


def test_unless_told_otherwise_nothing_is_granted_before_the_link_is_confirmed(desk: Any) -> None:
    answer = send(desk)
    assert "token" not in answer.text
    (file,) = desk.read()
    assert {row.choice for row in file.preferences} == {Choice.REQUESTED}
    for row in file.opt_ins:
        confirm = desk.tokens.read_confirm(row.confirm_token)
        assert (confirm.opt_in_id, confirm.address_hash, confirm.channel) == (
            row.opt_in_id,
            row.address_hash,
            row.channel,
        )
        assert (confirm.topics, confirm.wording_version) == ("tips,marketing", "2026-01")
        assert confirm.requested_on == desk.clock.now().date()


def test_the_same_address_twice_is_answered_alike(desk: Any) -> None:
    first, second, other = send(desk), send(desk), send(desk, email="nobody@example.com")
    assert {(answer.status_code, answer.text) for answer in (first, second, other)} == {(202, '{"success":true}')}


def test_nobody_agrees_in_the_future(desk: Any) -> None:
    now = desk.clock.now()
    send(desk, consented_at=(now + timedelta(days=400)).isoformat())
    send(desk, consented_at=(now - timedelta(hours=1)).isoformat())
    assert {row.consented_at for file in desk.read() for row in file.opt_ins} == {now, now - timedelta(hours=1)}
    assert now == datetime(2026, 3, 1, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "ada"}, "email"),
        ({"email": "ada@example.com\r\nBcc: eve@example.com"}, "email"),
        ({"email": ""}, "email"),
        ({"email": ...}, "form"),
        ({"phone": ...}, "form"),
        ({"phone": "415 555 2671"}, "phone"),
        ({"phone": "+99999"}, "phone"),
        ({"form": ...}, "form"),
        ({"wording_version": ...}, "wording_version"),
        ({"wording_version": "\ud800"}, None),
        ({"channels": []}, "channels"),
        ({"channels": ["pigeon"]}, "channels"),
        ({"channels": "email"}, "channels"),
        ({"topics": []}, "topics"),
        ({"topics": ["News, offers"]}, "topics"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"country": "Germany"}, "country"),
        ({"consented_at": "2026-03-01T10:00:00"}, "consented_at"),
        ({"remote_address": "localhost"}, "remote_address"),
        ({"first_name": "x" * 500}, "first_name"),
        ({"role": "admin"}, "role"),
    ],
)
def test_a_wrong_form_says_where_and_repeats_nothing(desk: Any, changes: dict[str, Any], field: str | None) -> None:
    answer = send(desk, **changes)
    assert answer.status_code == 400
    told = answer.json()
    assert told["success"] is False
    if field:
        assert [fault["field"] for fault in told["errors"]] == [field]
    for value in changes.values():
        assert not (isinstance(value, str) and len(value) > 3 and value in answer.text)
    assert desk.read() == []


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b"[" * 9000, b'{"a":' + b"9" * 5000 + b"}", b"NaN"])
def test_what_is_no_form_is_sent_back(desk: Any, body: bytes) -> None:
    assert desk.client.post("/v1/leads", content=body, headers=HEADERS).status_code == 400
    assert desk.read() == []


def test_strangers_and_giants_are_refused(desk: Any) -> None:
    assert desk.client.post("/v1/leads", json=FORM).status_code == 401
    assert desk.client.post("/v1/leads", json={**FORM, "writeKey": "write-key"}).status_code == 401
    large = json.dumps({**FORM, "locale": "x" * 20_000}).encode()
    assert desk.client.post("/v1/leads", content=large, headers=HEADERS).status_code == 413
    assert desk.client.get("/v1/leads", headers=HEADERS).status_code == 405
    assert desk.lines(Stream.OPT_INS) == []


def test_nothing_personal_is_logged(desk: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    send(desk)
    send(desk, phone="415 555 2671")
    for secret in ("Ada", "ada@", "415", "write-key", "2001:db8"):
        assert secret not in caplog.text


def test_a_form_that_can_no_longer_be_read_is_a_dead_letter_without_the_address_in_its_reason(desk: Any) -> None:
    send(desk)
    (path,) = desk.root.glob("*/*/*.jsonl")
    path.write_text(path.read_text().replace("footer", ""))
    (file,) = desk.read()
    assert (file.opt_ins, file.preferences) == ([], [])
    assert [letter.reason for letter in file.dead_letters] == ["the form is not one of ours: form"]
