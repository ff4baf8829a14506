"""A text in own words stops the sequence and waits for a person, who is told once."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from rekindle.commands import replies as command
from rekindle.errors import RekindleError
from rekindle.replies import mark_reply_handled, tell_waiting_replies


@pytest.fixture
def mailed(world):
    """A lead who was written to on day 0."""
    lead = world.lead()
    world.tick(0)
    return lead


def reply(world, lead, body, day):
    world.now(day)
    world.land("twilio_inbound", world.inbound_text(lead.phone, body, world.at(day)))
    world.ingest(day)
    world.reconcile(day)


def queue(world):
    return world.query("select * from rekindle_state.reply_queue order by replied_at")


def tell(world):
    told = []
    count = tell_waiting_replies(world.warehouse, told.append, world.clock)
    assert count == sum(waiting.count for waiting in told)
    return told


def test_a_reply_ends_the_entry_and_waits_without_its_words(world, mailed):
    reply(world, mailed, "who is this, my kid had surgery", 0.5)
    assert world.state(mailed)["exit_reason"] == "replied"
    [row] = queue(world)
    assert (row["lead_id"], row["campaign_id"], row["reading"]) == (mailed.lead_id, "cold_lead_reengagement", "reply")
    assert (row["replied_at"], row["address_hash"]) == (world.at(0.5), mailed.phone_hash)
    assert row["handled_at"] is None
    assert "surgery" not in repr(row) and mailed.phone not in repr(row)
    # the words are where the key points to, and only there
    [payload] = world.values(
        "select payload from rekindle_raw.webhook_elements where event_key = $key", key=row["event_key"]
    )
    assert "surgery" in payload
    for day in (1, 4, 8):
        world.tick(day)
    assert len(world.messages(mailed)) == 1
    assert world.broken() == {}


@pytest.mark.parametrize("body", ["STOP", "please stop texting me", "START", "HELP"])
def test_what_a_machine_can_answer_waits_for_nobody(world, mailed, body):
    reply(world, mailed, body, 0.5)
    assert queue(world) == []
    assert tell(world) == []


def test_a_text_of_somebody_unknown_waits_too(world):
    stranger = world.lead(is_cold=False)
    reply(world, stranger, "do you have pianos?", 0.5)
    [row] = queue(world)
    assert (row["lead_id"], row["entry_id"], row["campaign_id"]) == (None, None, None)


def test_one_row_per_text_however_often_it_is_told(world, mailed):
    line = world.inbound_text(mailed.phone, "hello?", world.at(0.5))
    for day in (1, 2):
        world.now(day)
        world.land("twilio_inbound", line)
        world.ingest(day)
        world.reconcile(day)
        world.reconcile(day)
    assert len(queue(world)) == 1


def test_somebody_is_told_once_about_what_is_new(world, mailed):
    assert tell(world) == []
    reply(world, mailed, "hello?", 0.5)
    reply(world, mailed, "are you there?", 0.6)
    [waiting] = tell(world)
    assert (waiting.count, waiting.oldest_at) == (2, world.at(0.5))
    assert waiting.campaigns == ("cold_lead_reengagement",)
    assert mailed.phone not in repr(waiting) and mailed.lead_id not in repr(waiting)
    assert tell(world) == []
    reply(world, mailed, "so?", 0.7)
    [waiting] = tell(world)
    assert waiting.count == 1


def test_a_notifier_that_fails_is_tried_again(world, mailed):
    reply(world, mailed, "hello?", 0.5)

    def fail(waiting):
        raise OSError("the chat is down")

    with pytest.raises(OSError, match="the chat is down"):
        tell_waiting_replies(world.warehouse, fail, world.clock)
    assert len(tell(world)) == 1


def test_a_person_answers_once(world, mailed):
    reply(world, mailed, "hello?", 0.5)
    [row] = queue(world)
    world.now(1)
    assert mark_reply_handled(world.warehouse, row["event_key"], "grace", world.clock)
    assert not mark_reply_handled(world.warehouse, row["event_key"], "ada", world.clock)
    [row] = queue(world)
    assert (row["handled_by"], row["handled_at"]) == ("grace", world.at(1))
    assert tell(world) == []
    with world.warehouse.transaction() as transaction:
        assert transaction.fetch("replies/list_waiting_replies") == []


def test_whoever_answers_reads_the_words_and_notes_it_as_done(world, mailed, monkeypatch):
    reply(world, mailed, "who is this, my kid had surgery", 0.5)
    monkeypatch.setenv("REKINDLE_WAREHOUSE_PATH", str(world.path))
    monkeypatch.setattr(command.console, "_width", 200)
    runner = CliRunner()
    listed = runner.invoke(command.app, ["list"])
    assert listed.exit_code == 0
    assert "my kid had surgery" in listed.output and mailed.phone in listed.output
    [key] = [row["event_key"] for row in queue(world)]
    assert runner.invoke(command.app, ["done", key[:12], "--by", "Mara"]).output == f"{key[:12]} is done\n"
    assert [row["handled_by"] for row in queue(world)] == ["Mara"]
    assert runner.invoke(command.app, ["list"]).output == "no reply waits\n"
    with pytest.raises(RekindleError, match="0 waiting replies begin with"):
        runner.invoke(command.app, ["done", key[:12]], catch_exceptions=False)
