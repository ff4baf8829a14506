"""Landing files become rows; whatever a file holds, each of its lines is accounted for."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rekindle.errors import BadInputError
from rekindle.events import (
    AppEvent,
    DeadLetter,
    LandingFile,
    MessageEvent,
    WebhookElement,
    list_landing_files,
    read_landing_file,
)
from rekindle.vocabulary import Stream

ReadLines = Callable[..., LandingFile]
EVENT = '[{"event":"open","timestamp":1772380800,"email":"a@x.example"}]\r\n'


def columns_of(table: str) -> list[str]:
    """The columns of a table, as the migrations create it."""
    migrations = Path(__file__).parents[3] / "sql" / "migrations"
    script = "\n".join(path.read_text() for path in sorted(migrations.glob("*.sql")))
    schema, name = table.split(".")
    body = re.search(rf"\{{\{{ {schema} \}}\}}\.{name} \((.*?)\n\)(?:;|\{{\{{ stored_by)", script, re.DOTALL)
    assert body, table
    return re.findall(r"^    (\w+) ", body.group(1), re.MULTILINE)


@pytest.mark.parametrize(
    ("row", "table", "left_to_the_loader"),
    [
        (WebhookElement, "raw.webhook_elements", []),
        (DeadLetter, "raw.dead_letters", []),
        (MessageEvent, "state.message_events", ["recorded_at"]),
        (AppEvent, "raw.events", ["loaded_at"]),
    ],
)
def test_rows_have_the_columns_of_their_tables(row: type, table: str, left_to_the_loader: list[str]) -> None:
    names = [field.name for field in dataclasses.fields(row)]
    assert sorted(names + left_to_the_loader) == sorted(columns_of(table))


def test_a_file_says_what_it_is(read_lines: ReadLines, tmp_path: Path) -> None:
    read = read_lines(Stream.SENDGRID_EVENTS, {"body": EVENT}, {"body": EVENT})
    content = (tmp_path / read.landing_file).read_bytes()
    assert read.landing_file == "sendgrid_events/2026-03-01/180000000000-0000.jsonl"
    assert read.stream is Stream.SENDGRID_EVENTS
    assert read.sha256 == hashlib.sha256(content).hexdigest()
    assert read.byte_count == len(content)
    assert [(row.line_number, row.element_number) for row in read.elements] == [(1, 1), (2, 1)]
    assert {row.received_at for row in read.elements} == {datetime(2026, 3, 1, 18, tzinfo=UTC)}
    assert {event.landing_file for event in read.message_events} == {read.landing_file}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "the line is not JSON"),
        (b"{", "the line is not JSON"),
        (b"\xff\xfe", "the line is not JSON"),
        (b"[]", "the line is not a JSON object"),
        (b"{}", "the line does not say when it was received"),
        (b'{"received_at":"2026-03-01T18:00:00+00:00","body":7}', "the line has no body"),
        (b'{"received_at":"2026-03-01T18:00:00+00:00","body_base64":"!"}', "the body is not UTF-8"),
        (
            b'{"received_at":"2026-03-01T18:00:00+00:00","body_base64":"' + base64.b64encode(b"\xff") + b'"}',
            "the body is not UTF-8",
        ),
    ],
)
def test_a_bad_line_dies_alone(read_lines: ReadLines, line: bytes, reason: str) -> None:
    read = read_lines(Stream.SENDGRID_EVENTS, {"body": EVENT}, line, {"body": EVENT})
    assert [(letter.line_number, letter.element_number, letter.reason) for letter in read.dead_letters] == [
        (2, 0, reason)
    ]
    assert [row.line_number for row in read.elements] == [1, 3]


def test_a_body_in_base64_is_a_body(read_lines: ReadLines) -> None:
    read = read_lines(Stream.SENDGRID_EVENTS, {"body_base64": base64.b64encode(EVENT.encode()).decode()})
    assert len(read.elements) == 1


def test_every_stream_has_its_parser(read_lines: ReadLines) -> None:
    form = {"headers": {"content-type": "application/x-www-form-urlencoded"}}
    token = {"message_id": "m", "address_hash": "h", "channel": "sms", "topic": "t"}
    lines: dict[Stream, dict[str, Any]] = {
        Stream.SENDGRID_EVENTS: {"body": EVENT},
        Stream.TWILIO_STATUS: {**form, "body": "MessageSid=SM1&MessageStatus=sent", "query": {"mid": "m"}},
        Stream.TWILIO_INBOUND: {**form, "body": "MessageSid=SM1&From=%2B15017250604&Body=STOP"},
        Stream.LINK_CLICKS: {
            "body": "",
            "method": "GET",
            "token": {"message_id": "m", "destination": "https://x.example/"},
        },
        Stream.UNSUBSCRIBES: {"body": "from=page", "token": token},
        Stream.APP_EVENTS: {"body": '{"userId":"u","event":"e","messageId":"i"}', "path": "/v1/track"},
        Stream.PREFERENCES: {"body": "do=pause", "token": token},
        Stream.CONFIRMATIONS: {
            "token": {**token, "opt_in_id": "o", "topics": "tips", "wording_version": "1"},
        },
        Stream.OPT_INS: {
            "body": '{"email":"a@x.example","form":"f","wording_version":"1","channels":["email"],"topics":["all"]}',
        },
    }
    assert set(lines) == set(Stream)
    for stream, line in lines.items():
        read = read_lines(stream, line)
        assert (len(read.elements), read.dead_letters) == (1, []), stream
        assert len(read.message_events) + len(read.app_events) + len(read.opt_ins) == 1, stream


def test_a_file_outside_the_streams_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "letters" / "x.jsonl"
    path.parent.mkdir()
    path.write_text("{}\n")
    with pytest.raises(BadInputError, match="sendgrid_events"):
        read_landing_file(path, tmp_path)


def test_unfinished_files_are_not_listed(tmp_path: Path) -> None:
    folder = tmp_path / Stream.LINK_CLICKS / "2026-03-01"
    folder.mkdir(parents=True)
    for name in ("2.jsonl", "1.jsonl", "3.part"):
        (folder / name).touch()
    assert [path.name for path in list_landing_files(tmp_path)] == ["1.jsonl", "2.jsonl"]
    assert list_landing_files(tmp_path / "nowhere") == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    stream=st.sampled_from(Stream),
    lines=st.lists(
        st.binary().filter(lambda line: b"\n" not in line)
        | st.fixed_dictionaries(
            {},
            optional={
                "received_at": st.just("2026-03-01T18:00:00+00:00") | st.text() | st.integers(),
                "body": st.text() | st.none() | st.integers(),
                "body_base64": st.text() | st.none(),
                "headers": st.dictionaries(st.text(), st.text() | st.none()) | st.none(),
                "query": st.lists(st.text()) | st.dictionaries(st.text(), st.text()),
                "token": st.none() | st.text() | st.dictionaries(st.text(), st.text() | st.integers()),
                "method": st.text() | st.none(),
                "path": st.text() | st.none(),
                "remote": st.text() | st.none(),
            },
        ).map(lambda record: json.dumps(record).encode()),
        max_size=5,
    ),
)
def test_every_line_of_any_file_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, stream: Stream, lines: list[bytes]
) -> None:
    root = tmp_path_factory.mktemp("landing")
    path = root / stream / "2026-03-01" / "x.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    read = read_landing_file(path, root)
    told = {row.line_number for row in (*read.elements, *read.dead_letters)}
    assert told == set(range(1, len(lines) + 1))


def test_reading_is_fast(read_lines: ReadLines) -> None:
    """A million events within tens of seconds: 20,000 in half a second, with room for a busy machine."""
    events = [
        {
            "email": f"person{number}@example.com",
            "timestamp": 1772380800 + number,
            "event": "delivered",
            "sg_event_id": f"id-{number}",
            "sg_message_id": f"14c5d75ce93.filter0001.16648.5515E0B88.{number}",
            "rk_message_id": f"m-{number}",
            "response": "250 OK",
            "category": ["win-back"],
        }
        for number in range(20_000)
    ]
    bodies = [{"body": json.dumps(events[start : start + 500])} for start in range(0, len(events), 500)]
    started = time.perf_counter()
    read = read_lines(Stream.SENDGRID_EVENTS, *bodies)
    assert len(read.message_events) == 20_000
    assert time.perf_counter() - started < 4
