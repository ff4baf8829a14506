"""What the ledger tells the breaker, and what a held batch gets: on a real warehouse."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rekindle.governor.breaker import BreakerLimits, Cause, Phase, Receipts
from rekindle.governor.rate import Governor, HeldError, ProviderRate
from rekindle.governor.receipts import defer_batch, judge_receipts
from rekindle.vocabulary import Channel, DecisionReason


@pytest.fixture
def governor(world):
    limits = BreakerLimits(minimum_sample=8, minimum_probe_sample=2, probe_units=2)
    return Governor.in_memory(ProviderRate(1_000), calendar=world.clock, limits=limits)


def judged_with(world, governor, provider, day, monkeypatch):
    """The receipts the governor was handed."""
    seen: list[Receipts] = []
    judge = governor.judge
    monkeypatch.setattr(governor, "judge", lambda receipts: seen.append(receipts) or judge(receipts))
    state = judge_receipts(world.warehouse, governor, provider, world.now(day))
    (receipts,) = seen
    return receipts, state


def test_mail_that_bounces_or_is_called_spam_opens_the_breaker(world, governor, monkeypatch):
    # Given ten e-mails: four dead mailboxes, one block, one complaint, three fine, one not yet heard of
    leads = world.leads([{} for _ in range(10)])
    world.freeze(0)
    world.dispatch(world.plan(0), world.email, 0)
    message = {lead.lead_id: world.message(lead)["message_id"] for lead in leads}

    def event(lead, name, after, **words):
        return world.mail_event(message[lead.lead_id], name, world.at(after), lead.email, **words)

    fine = [event(lead, "delivered", 0.1) for lead in leads[5:9]]
    dead = [event(lead, "bounce", 0.1, type="bounce", status="5.1.1") for lead in leads[:4]]
    blocked = event(leads[4], "bounce", 0.1, type="blocked")
    world.land_mail_events(*fine, *dead, *dead, blocked, event(leads[5], "spamreport", 0.2))
    world.now(0.5)
    world.ingest(0.5)
    receipts, state = judged_with(world, governor, "sendgrid", 0.6, monkeypatch)
    assert receipts == Receipts(judged=9, bounced=4, filtered=0, complained=1)
    assert (state.phase, state.cause) == (Phase.OPEN, Cause.COMPLAINTS)
    # and what opened it is not counted against the probe, nor against the other provider
    world.now(0.7)
    governor.acquire(1)
    assert judged_with(world, governor, "sendgrid", 0.8, monkeypatch)[0] == Receipts()
    assert judged_with(world, governor, "twilio", 0.8, monkeypatch)[0] == Receipts()


def test_texts_that_carriers_filter_open_the_breaker(world, governor, monkeypatch):
    leads = world.leads([{"email": None} for _ in range(9)])
    world.freeze(0)
    world.plan(0)
    world.dispatch(world.plan(0, Channel.SMS), world.sms, 0)
    codes = ["30007"] * 3 + ["30005"] * 2 + ["30003", "30008", None]
    for lead, code in zip(leads, codes, strict=False):
        status = "undelivered" if code else "delivered"
        text = world.message(lead)["message_id"]
        world.land("twilio_status", world.text_status(text, status, world.at(0.1), lead.phone, code))
    world.now(0.5)
    world.ingest(0.5)
    receipts, state = judged_with(world, governor, "twilio", 0.6, monkeypatch)
    assert receipts == Receipts(judged=8, bounced=2, filtered=3, complained=0)
    assert state.cause is Cause.CARRIER_FILTERING


def test_what_is_older_than_the_window_is_forgotten(world, governor, monkeypatch):
    (lead,) = world.leads([{}])
    world.freeze(0)
    world.dispatch(world.plan(0), world.email, 0)
    world.land_mail_events(
        world.mail_event(world.message(lead)["message_id"], "bounce", world.at(0.1), lead.email, type="bounce")
    )
    world.now(0.5)
    world.ingest(0.5)
    assert judged_with(world, governor, "sendgrid", 0.9, monkeypatch)[0] == Receipts(judged=1, bounced=1)
    assert judged_with(world, governor, "sendgrid", 1.1, monkeypatch)[0] == Receipts()


def test_a_held_batch_waits_with_a_decision_for_each_message_once_a_run(world):
    leads = world.leads([{} for _ in range(3)])
    world.freeze(0)
    (batch,) = world.plan(0)
    held = HeldError(DecisionReason.BREAKER_OPEN, world.at(0) + timedelta(minutes=30), "the breaker is open")
    first = defer_batch(world.warehouse, batch.batch_id, held, world.now(0), world.run(0))
    again = defer_batch(world.warehouse, batch.batch_id, held, world.now(0), world.run(0))
    assert (first, again) == (3, 0)
    assert {world.message(lead)["status"] for lead in leads} == {"planned"}
    rows = world.query("select reason, detail, next_due_at from rekindle_state.decisions")
    until = (world.at(0) + timedelta(minutes=30)).replace(tzinfo=None)
    assert {(row["reason"], row["detail"], row["next_due_at"].replace(tzinfo=None)) for row in rows} == {
        ("breaker_open", str(held), until)
    }
    # Then they leave with the first run after that, and nothing is lost
    world.dispatch([batch], world.email, 0.02)
    assert {world.message(lead)["status"] for lead in leads} == {"planned"}
    world.dispatch([batch], world.email, 0.03)
    assert {world.message(lead)["status"] for lead in leads} == {"accepted"}
    assert world.broken() == {}
