"""Dead letters: counted by reason, and read again when the code can."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from rekindle.cli import app
from rekindle.events import reader
from rekindle.events.rows import WHOLE_REQUEST, LandedRequest, Rows
from rekindle.ingest import count_dead_letters, retry_dead_letters
from rekindle.vocabulary import Stream

Spoil = Callable[..., Any]
COMPARED = (
    *("rekindle_state.message_events", "rekindle_state.suppressions", "rekindle_raw.events"),
    *("rekindle_raw.webhook_elements", "rekindle_raw.landing_files"),
)
LETTERS = "select stream, line_number, element_number, reason from rekindle_raw.dead_letters order by all"


@pytest.fixture
def spoilt(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Yesterday's code: it can not read these streams. Calling it brings today's back."""
    real = dict(reader.PARSERS)

    def bury(request: LandedRequest, rows: Rows) -> None:
        rows.bury(request, WHOLE_REQUEST, f"yesterday's code can not read {request.stream}", request.body)

    for stream in Stream:
        monkeypatch.setitem(reader.PARSERS, stream, bury)
    return lambda: [monkeypatch.setitem(reader.PARSERS, stream, parse) for stream, parse in real.items()]


def retry(world: Any, day: float = 1, reason: str | None = None) -> dict[str, int]:
    return retry_dead_letters(world.warehouse, world.landing, world.run(day), reason)


def say(world: Any, lead: Any) -> None:
    """A request with two good events and a bad one, a reply, an opt-out, a click and a batch of calls."""
    message = world.message(lead)["message_id"]
    events = [
        world.mail_event(message, "delivered", world.at(0.1), lead.email),
        "no event",
        world.mail_event(message, "open", world.at(0.2), lead.email),
    ]
    world.land("sendgrid_events", world.line(world.at(0.3), json.dumps(events)))
    world.land("twilio_inbound", world.inbound_text(lead.phone, "who is this?", world.at(0.4)))
    world.land("unsubscribes", world.unsubscribe(message, lead.email_hash, "email", world.at(0.5)))
    calls = [{"type": "track", "userId": "u", "event": f"e{number}", "messageId": f"m{number}"} for number in range(3)]
    world.land("app_events", world.line(world.at(0.6), json.dumps({"batch": calls}), path="/v1/batch"))


def test_what_todays_code_can_read_ends_as_if_it_had_been_read_at_once(new_world: Any, spoilt: Any) -> None:
    # Given one world that buried everything, and one that could read
    late, early = new_world(), new_world()
    leads = [world.lead() for world in (late, early)]
    for world, lead in zip((late, early), leads, strict=True):
        world.tick(0)
        world.now(1)
        say(world, lead)
    assert late.ingest(1)["dead_letters"] == 4
    assert late.state(leads[0])["exit_reason"] is None
    # When the code is mended
    spoilt()
    early.ingest(1)
    counts = retry(late)
    # Then both are the same, down to the manifest
    assert (counts["letters"], counts["mended"], counts["still_dead"], counts["elements"]) == (4, 4, 0, 7)
    assert (counts["suppressed"], counts["ended"]) == (1, 1)
    assert late.query(LETTERS) == early.query(LETTERS)
    assert len(late.query(LETTERS)) == 1
    for table in COMPARED:
        assert late.fingerprint()[table] == early.fingerprint()[table], table
    messages = "select message_id, status, settled_at, error_code from rekindle_state.messages"
    assert late.query(messages) == early.query(messages)
    assert late.state(leads[0])["exit_reason"] == early.state(leads[1])["exit_reason"]
    assert late.broken() == {}
    # And once more changes nothing
    before = late.fingerprint()
    again = retry(late)
    assert (again["letters"], again["mended"], again["still_dead"]) == (1, 0, 1)
    assert late.fingerprint() == before


def test_only_letters_with_the_reason_are_tried(world: Any, spoilt: Any) -> None:
    lead = world.lead()
    world.tick(0)
    world.now(1)
    say(world, lead)
    world.ingest(1)
    spoilt()
    counts = retry(world, reason="yesterday's code can not read unsubscribes")
    assert (counts["letters"], counts["mended"], counts["suppressed"]) == (1, 1, 1)
    assert [row["stream"] for row in world.query(LETTERS)] == ["app_events", "sendgrid_events", "twilio_inbound"]
    assert retry(world, reason="yesterday's code")["letters"] == 0  # the whole reason, not a part of it
    assert world.broken() == {}


def test_one_call_of_a_batch_comes_back_alone(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a batch in which one call could not be read, and its two neighbours
    calls = [{"type": "track", "userId": "u", "event": "e", "messageId": f"m{number}"} for number in range(3)]
    body = json.dumps({"batch": [calls[0], calls[1] | {"type": "trakc"}, calls[2]]})
    world.land("app_events", world.line(world.at(0), body, path="/v1/batch"))
    assert world.ingest(0)["dead_letters"] == 1
    assert len(world.values("select event_id from rekindle_raw.events")) == 2
    # When the code learns the word
    real = reader.PARSERS[Stream.APP_EVENTS]

    def lenient(request: LandedRequest, rows: Rows) -> None:
        object.__setattr__(request, "body", request.body.replace("trakc", "track"))
        real(request, rows)

    monkeypatch.setitem(reader.PARSERS, Stream.APP_EVENTS, lenient)
    # Then that one call is there, and the others are not there twice
    assert retry(world)["mended"] == 1
    assert sorted(world.values("select event_id from rekindle_raw.events")) == ["m0", "m1", "m2"]
    assert sorted(world.values("select element_number from rekindle_raw.webhook_elements")) == [1, 2, 3]
    assert world.query("select element_count, dead_letter_count from rekindle_raw.landing_files") == [
        {"element_count": 3, "dead_letter_count": 0}
    ]
    assert world.broken() == {}


def test_a_letter_whose_file_is_gone_stays_and_is_counted(world: Any, spoilt: Any) -> None:
    world.land("twilio_inbound", world.inbound_text("+14155559999", "STOP", world.at(0)))
    world.ingest(0)
    spoilt()
    next(world.landing.rglob("*.jsonl")).unlink()
    counts = retry(world)
    assert (counts["letters"], counts["file_missing"], counts["mended"]) == (1, 1, 0)
    assert len(world.query(LETTERS)) == 1


def test_letters_are_counted_by_stream_and_reason(world: Any) -> None:
    for _ in range(2):
        world.land("twilio_status", world.line(world.at(0), "rubbish"), {"received_at": None})
    world.ingest(0)
    told = [(one.stream, one.letters, one.latest) for one in count_dead_letters(world.warehouse)]
    assert told == [("twilio_status", 2, world.at(0)), ("twilio_status", 2, None)]


def test_the_command_lists_retries_and_prints_counts(world: Any, spoilt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKINDLE_WAREHOUSE_PATH", str(world.path))
    monkeypatch.setenv("REKINDLE_LANDING_ROOT", str(world.landing))
    monkeypatch.setenv("REKINDLE_CLOCK_FILE", str(world.clock.path))
    run = CliRunner().invoke
    assert run(app, ["dead-letters", "list"]).output.strip() == "no dead letters"
    world.land("twilio_inbound", world.inbound_text("+14155559999", "STOP", world.at(0)))
    world.ingest(0)
    listed = run(app, ["dead-letters", "list"]).output
    assert "twilio_inbound" in listed
    assert "STOP" not in listed
    assert "+1415" not in listed
    assert run(app, ["dead-letters", "retry"]).output.startswith("letters 1, mended 0, still_dead 1,")
    spoilt()
    reason = "yesterday's code can not read twilio_inbound"
    done = run(app, ["dead-letters", "retry", "--reason", reason])
    assert (done.exit_code, done.output.split(", ")[:2]) == (0, ["letters 1", "mended 1"])
    assert world.values("select reason from rekindle_state.suppressions") == ["unsubscribed"]
