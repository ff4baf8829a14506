"""Who is under way for long is not forgotten, though a tick reads the ledger only as far back as anybody is."""

from __future__ import annotations

import pytest

from rekindle.journey.under_way import oldest_entered_at
from rekindle.vocabulary import Exit

PATIENT = [
    {"id": "probe", "email": {"template": "probe.txt.j2", "subject": "Did we get in your way?"}},
    {"id": "listen_after_probe", "wait": "366d"},
    {"id": "archive", "end": "archived"},
]
#: Days on both sides of every length that is looked back over, and one beyond all.
DAYS = (15, 17, 127, 129, 360)


@pytest.fixture
def patient(new_world):
    return new_world(steps=PATIENT)


@pytest.mark.parametrize("day", DAYS)
def test_the_oldest_is_found_however_long_ago_it_entered(patient, day):
    with patient.warehouse.transaction() as transaction:
        assert oldest_entered_at(transaction, patient.run(0)) is None
    patient.lead()
    patient.tick(0)
    patient.lead(on=day)
    patient.tick(day)
    with patient.warehouse.transaction() as transaction:
        assert oldest_entered_at(transaction, patient.run(day)) == patient.at(0)


@pytest.mark.parametrize("day", DAYS)
def test_a_sign_of_life_ends_who_entered_long_ago(patient, day):
    lead, newer = patient.lead(), patient.lead(on=day - 1)
    patient.tick(0)
    patient.tick(day - 1)
    patient.sign_of_life(lead, patient.at(day))
    patient.now(day + 1)
    patient.ingest(day + 1)
    assert patient.state(lead)["exit_reason"] == Exit.RE_ENGAGED
    assert patient.state(newer)["exit_reason"] is None


@pytest.mark.parametrize("day", DAYS)
def test_a_click_on_a_message_of_long_ago_ends_its_entry(patient, day):
    lead, newer = patient.lead(), patient.lead(on=day - 1)
    patient.tick(0)
    patient.tick(day - 1)
    patient.now(day + 1)
    patient.land("link_clicks", patient.click(patient.message(lead)["message_id"], patient.at(day)))
    patient.ingest(day + 1)
    assert patient.state(lead)["exit_reason"] == Exit.RE_ENGAGED
    assert patient.state(newer)["exit_reason"] is None
