"""Doing a day again changes nothing; doing an older day again is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rekindle.errors import RefusedError
from rekindle.journey import advance_journeys
from rekindle.run import Run


@pytest.fixture
def busy(new_world):
    """A world in which everything happens: holdout, caps, windows, skips, bounces, opt-outs, answers."""
    world = new_world(holdout={"share": 0.3, "salt": "salt"}, caps={"messages": 2, "per_days": 2})
    world.leads(
        [
            *({} for _ in range(12)),
            *({"time_zone": "Asia/Tokyo"} for _ in range(4)),
            *({"time_zone": None, "phone": None} for _ in range(2)),
            *({"email": None} for _ in range(3)),
            *({"consents": ()} for _ in range(2)),
            {"email": "no address"},
        ]
    )
    return world


def say_things(world, day):
    """Events about what has been sent, one kind for each message in turn."""
    for number, message in enumerate(world.messages()):
        at = world.at(day - 0.5) + timedelta(seconds=number)
        if message["status"] != "accepted":
            continue
        lead = {"email": f"{message['lead_id']}@mail.example", "phone": "+14155550000"}
        if message["channel"] == "email":
            kinds = [("delivered", {}), ("bounce", {"type": "bounce"}), ("spamreport", {}), ("processed", {})]
            event, words = kinds[number % 4]
            world.land_mail_events(world.mail_event(message["message_id"], event, at, lead["email"], **words))
        else:
            world.land("twilio_status", world.text_status(message["message_id"], "delivered", at, lead["phone"]))


@pytest.mark.parametrize("last", [0, 1, 4])
def test_a_whole_day_done_again_changes_no_row_of_any_table(busy, last):
    for day in range(last + 1):
        busy.now(day)
        say_things(busy, day)
        busy.tick(day)
    before = busy.fingerprint()
    sent = len(busy.email.sent), len(busy.sms.sent)
    busy.tick(last)
    after = busy.fingerprint()
    assert {name for name in before if before[name] != after[name]} == set()
    assert (len(busy.email.sent), len(busy.sms.sent)) == sent
    assert busy.broken() == {}


def test_state_wiped_and_rebuilt_from_the_raw_files_is_the_same_state(busy):
    # Given days in which everything happens, each day's news heard on its own
    for day in range(5):
        busy.now(day)
        say_things(busy, day)
        busy.tick(day)
    hashed = next(row["address_hash"] for row in busy.messages() if row["channel"] == "email")
    busy.land("unsubscribes", busy.unsubscribe(None, hashed, "email", busy.at(4.1)))
    busy.land("link_clicks", busy.click("never sent", busy.at(4.1)))
    busy.land("twilio_inbound", busy.inbound_text("+14155550000", "STOP", busy.at(4.2)), {"nonsense": 1})
    busy.now(5)
    busy.ingest(5)
    rebuilt = {
        "rekindle_raw.webhook_elements": "",
        "rekindle_raw.dead_letters": "",
        "rekindle_raw.landing_files": "loaded_as_of, run_id",
        "rekindle_state.message_events": "recorded_at",
        "rekindle_state.foreign_events": "recorded_at",
        "rekindle_state.suppressions": "recorded_at",
        "rekindle_state.messages": "",
    }

    def standing():
        queries = {
            table: f"select * {f'exclude ({without})' if without else ''} from {table} order by all"
            for table, without in rebuilt.items()
        }
        return {table: busy.query(query) for table, query in queries.items()}

    before = standing()
    assert all(before.values()), [table for table, rows in before.items() if not rows]
    # When everything that came in by webhook is forgotten
    for table in rebuilt:
        if table != "rekindle_state.messages":
            busy.execute(f"delete from {table}")
    busy.execute(
        "update rekindle_state.messages set status = 'accepted', status_rank = 50, settled_at = null, error_code = null"
        " where status_rank between 60 and 80"
    )
    assert standing() != before
    # And the same files are read again, all at once
    counts = busy.ingest(5)
    # Then it stands where it stood
    assert counts["files"] == len(before["rekindle_raw.landing_files"])
    assert standing() == before
    assert busy.broken() == {}


def test_every_task_done_twice_gives_what_once_gives(new_world):
    once, twice = new_world(), new_world()
    for world, times in ((once, 1), (twice, 2)):
        world.leads([{} for _ in range(6)])
        for day in range(5):
            world.now(day)
            for _ in range(times):
                world.ingest(day)
            for _ in range(times):
                world.freeze(day)
            for _ in range(times):
                world.advance(day)
            for _ in range(times):
                batches = world.plan(day)
            for _ in range(times):
                world.dispatch(batches, world.email, day)
            for _ in range(times):
                world.advance(day)
    for table in ("journey_entries", "journey_transitions", "journey_state", "decisions"):
        assert once.fingerprint()[f"rekindle_state.{table}"] == twice.fingerprint()[f"rekindle_state.{table}"]
    assert len(twice.email.sent) == 6


def test_an_older_day_is_refused_by_who_enters_and_who_is_written_to(busy):
    for day in range(3):
        busy.tick(day)
    before = busy.fingerprint()
    for work in (busy.freeze, lambda day: busy.plan(day, check=False)):
        with pytest.raises(RefusedError):
            work(1)
    assert busy.fingerprint() == before


def test_advancing_as_of_an_older_day_moves_nobody(busy):
    for day in range(5):
        busy.tick(day)
    before = busy.fingerprint()
    older = Run(as_of=busy.at(1), run_id="backfill", recorded_at=busy.clock.now())
    advance_journeys(busy.warehouse, busy.campaign, older)
    assert busy.fingerprint() == before


def test_loading_the_landing_zone_as_of_an_older_day_is_refused(busy):
    for day in range(3):
        busy.tick(day)
    with pytest.raises(RefusedError):
        busy.ingest(1)


def test_a_backfill_of_past_days_sends_nothing(new_world):
    world = new_world()
    world.lead()
    world.clock.step_to(world.at(30))
    world.freeze(0)
    batches = world.plan(0)
    assert sum(batch.message_count for batch in batches) == 1
    world.dispatch(batches, world.email, 0)
    assert world.email.sent == []
    assert [row["status"] for row in world.messages()] == ["expired"]


def test_a_missed_message_expires_unsent_and_is_planned_anew_as_a_second_attempt(world):
    lead = world.lead()
    world.freeze(0)
    batches = world.plan(0)
    world.now(1)
    world.dispatch(batches, world.email, 1)
    assert world.email.sent == []
    world.tick(1)
    first, second = world.messages(lead)
    assert (first["status"], first["error_code"], first["attempt_class"]) == ("expired", "expired", "attempt-1")
    assert (second["status"], second["attempt_class"]) == ("accepted", "attempt-2")
    assert first["message_id"] != second["message_id"]
    assert len(world.email.sent) == 1
