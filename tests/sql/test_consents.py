"""Consent as the company's own user table states it, loaded with the day's tables."""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rekindle.ingest import load_inbox, load_landing_zone
from rekindle.run import Run

COLUMNS = {
    "user_id": pa.string(),
    "email": pa.string(),
    "phone": pa.string(),
    "email_consented_at": pa.timestamp("us"),
    "sms_consented_at": pa.timestamp("us"),
    "email_consent_expires_at": pa.timestamp("us"),
    "is_made_up": pa.bool_(),
    "source_file": pa.string(),
    "source_row": pa.int64(),
}


def hand_over(world, until, leads, consented_at, expires_at=None):
    folder = world.folder / "inbox" / "users" / f"until={until:%Y-%m-%dT%H%M%SZ}"
    folder.mkdir(parents=True)
    rows = [
        {
            "user_id": lead.lead_id,
            "email": lead.email,
            "phone": lead.phone,
            "email_consented_at": consented_at.replace(tzinfo=None),
            "sms_consented_at": None,
            "email_consent_expires_at": expires_at and expires_at.replace(tzinfo=None),
            "is_made_up": True,
            "source_file": "users.csv",
            "source_row": number,
        }
        for number, lead in enumerate(leads, 1)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(COLUMNS)), folder / "users.parquet")


def ingest(world, day, *, tables_at=None, landing_at=None):
    inbox = world.folder / "inbox"
    load_inbox(world.warehouse, inbox, world.run(day, recorded_at=tables_at))
    load_landing_zone(world.warehouse, world.landing, world.run(day, recorded_at=landing_at))


def consents(world):
    return world.query("select lead_id, channel, action, occurred_at from rekindle_state.consents order by all")


def consented(lead, at: datetime):
    return {"lead_id": lead.lead_id, "channel": "email", "action": "granted", "occurred_at": at}


def test_a_users_consent_is_loaded_once(world):
    lead = world.lead(consents=())
    hand_over(world, world.at(-1), [lead], world.at(-9))
    ingest(world, 0)
    ingest(world, 0)
    assert consents(world) == [consented(lead, world.at(-9))]


def test_the_consent_is_there_when_the_two_tasks_run_at_different_seconds(world):
    lead = world.lead(consents=())
    hand_over(world, world.at(-1), [lead], world.at(-9))
    ingest(world, 0, tables_at=world.at(0), landing_at=world.at(0) + timedelta(seconds=7))
    assert consents(world) == [consented(lead, world.at(-9))]


def test_the_consent_is_there_after_a_task_failed_and_was_retried(world):
    lead = world.lead(consents=())
    hand_over(world, world.at(-1), [lead], world.at(-9))
    load_inbox(world.warehouse, world.folder / "inbox", world.run(0))
    world.clock.step_to(world.at(0.01))  # landing files could not be loaded; the whole run is done again
    later = Run(as_of=world.at(0), run_id=world.run(0).run_id, recorded_at=world.at(0.01))
    load_inbox(world.warehouse, world.folder / "inbox", later)
    load_landing_zone(world.warehouse, world.landing, later)
    assert consents(world) == [consented(lead, world.at(-9))]


def test_a_user_handed_over_on_two_days_and_loaded_on_one_consents_once(world):
    lead = world.lead(consents=())
    hand_over(world, world.at(-2), [lead], world.at(-9))
    hand_over(world, world.at(-1), [lead], world.at(-9))
    ingest(world, 0)
    assert consents(world) == [consented(lead, world.at(-9))]
    assert world.broken() == {}


def test_a_folder_that_is_not_complete_before_the_run_waits(world):
    lead = world.lead(consents=())
    hand_over(world, world.at(0.1), [lead], world.at(-9))
    ingest(world, 0)
    assert consents(world) == []
    ingest(world, 1)
    assert len(consents(world)) == 1


@pytest.mark.parametrize("count", [0, 3])
def test_each_file_is_in_the_manifest(world, count):
    leads = [world.lead(consents=()) for _ in range(count)]
    hand_over(world, world.at(-1), leads, world.at(-9))
    ingest(world, 0)
    found = world.query("select element_count from rekindle_raw.landing_files where stream = 'inbox/users'")
    assert found == [{"element_count": count}]


def test_a_consent_that_runs_out_ends_the_journey_and_a_new_one_lasts(world):
    lapsing, renewed = world.lead(consents=(), phone=None), world.lead(consents=(), phone=None)
    hand_over(world, world.at(-2), [lapsing, renewed], world.at(-9), expires_at=world.at(0.5))
    hand_over(world, world.at(-1), [renewed], world.at(-3), expires_at=world.at(90))
    ingest(world, -0.1)
    expiries = "select expires_at from rekindle_state.consents where lead_id = $lead order by occurred_at"
    assert world.values(expiries, lead=renewed.lead_id) == [world.at(0.5), world.at(90)]
    # it was good yesterday, and is over on the day the message would be planned
    for lead in (lapsing, renewed):
        world.crosses_again(lead, on=1)
    world.freeze(1)
    world.advance(1)
    world.plan(1)
    assert world.state(lapsing)["exit_reason"] == "consent_expired"
    assert world.state(renewed)["exit_reason"] is None and len(world.messages(renewed)) == 1
