"""Whatever a provider answers, or does not: nobody gets a message twice, and the ledger tells what happened."""

from __future__ import annotations

import pytest

#: What becomes of the messages of the struck request before anything else is heard.
AT_ONCE = {
    "rate_limited": "planned",
    "server_error_before": "unknown",
    "server_error_after": "unknown",
    "reset_before": "unknown",
    "reset_after": "unknown",
    "timeout_after": "unknown",
}
#: ... and in the end, when webhooks and the provider's list have spoken and 72 hours have passed.
IN_THE_END = {
    "rate_limited": True,
    "server_error_before": False,
    "server_error_after": True,
    "reset_before": False,
    "reset_after": True,
    "timeout_after": True,
}


@pytest.mark.parametrize("channel", ["email", "sms"])
@pytest.mark.parametrize("kind", list(AT_ONCE))
def test_a_struck_request_is_sent_at_most_once(battlefield, channel, kind, monkeypatch):
    endpoint = {"email": "mail_send", "sms": "messages_create"}[channel]
    battlefield.chunk_size = 3
    (batch_id,) = battlefield.plan(12, channel, 100, monkeypatch)
    rule = {"kind": kind, "endpoint": endpoint, "count": 1, "skip": 1}
    battlefield.faults(rule | ({"seconds": 2.5} if kind == "timeout_after" else {}))
    battlefield.dispatch(batch_id)
    struck = {row["message_id"] for row in battlefield.world.messages() if row["status"] == AT_ONCE[kind]}
    assert len(struck) == (3 if channel == "email" else 1)
    battlefield.resume()
    battlefield.settle()
    battlefield.verdict()
    got = {message["message_id"] for message in battlefield.accepted()}
    assert struck & got == (struck if IN_THE_END[kind] else set())
    aged_out = {row["message_id"] for row in battlefield.world.messages() if row["status"] == "aged_out"}
    assert aged_out == (set() if IN_THE_END[kind] else struck)


@pytest.mark.parametrize("kind", ["truncated_body", "malformed_body"])
@pytest.mark.parametrize("channel", ["email", "sms"])
def test_an_answer_that_breaks_off_is_never_a_reason_to_send_again(battlefield, channel, kind, monkeypatch):
    endpoint = {"email": "mail_send", "sms": "messages_create"}[channel]
    battlefield.chunk_size = 3
    (batch_id,) = battlefield.plan(9, channel, 100, monkeypatch)
    battlefield.faults({"kind": kind, "endpoint": endpoint})
    battlefield.dispatch(batch_id)
    battlefield.faults()
    battlefield.resume()
    battlefield.settle()
    battlefield.verdict()
    treated = [row for row in battlefield.world.messages() if row["arm"] == "treatment"]
    assert len(battlefield.accepted()) == len(treated)


def test_a_wrong_key_stops_the_run_and_a_right_one_resumes_it(battlefield, monkeypatch):
    (batch_id,) = battlefield.plan(8, "email", 100, monkeypatch)
    battlefield.faults({"kind": "config_error", "endpoint": "mail_send"})
    assert battlefield.dispatch(batch_id) == battlefield.room_module.STOPPED_BY_CONFIGURATION
    assert battlefield.accepted() == []
    assert {row["status"] for row in battlefield.world.messages()} == {"planned", "withheld"}
    assert battlefield.world.values("select distinct exit_reason from rekindle_state.journey_state") == [None]
    battlefield.faults()
    battlefield.resume()
    battlefield.settle()
    battlefield.verdict()


def test_one_bad_recipient_in_a_thousand_takes_nobody_with_it(battlefield, monkeypatch):
    battlefield.chunk_size = 1_000
    (batch_id, *_) = battlefield.plan(1_000, "email", 5_000, monkeypatch)
    (bad,) = battlefield.world.query(
        "select email, contacts.lead_id from rekindle_activation.sync_lead_contacts as contacts inner join"
        " rekindle_state.messages as messages on contacts.lead_id = messages.lead_id"
        " where messages.status = 'planned' order by messages.message_id limit 1"
    )
    battlefield.faults({"kind": "bad_recipient", "address": bad["email"]})
    battlefield.dispatch(batch_id)
    messages = battlefield.world.messages()
    failed = [row["lead_id"] for row in messages if row["status"] == "failed"]
    assert failed == [bad["lead_id"]]
    assert {row["status"] for row in messages} == {"failed", "accepted", "withheld"}
    battlefield.world.advance(0)
    assert battlefield.world.state(bad["lead_id"])["exit_reason"] == "invalid_email"
    battlefield.faults()
    battlefield.settle()
    battlefield.verdict()


def test_random_trouble_on_every_request_still_proves_everything(battlefield, monkeypatch):
    battlefield.chunk_size = 4
    batches = battlefield.plan(80, "email", 20, monkeypatch)
    kinds = ["rate_limited", "server_error_before", "server_error_after", "reset_before", "reset_after"]
    battlefield.faults(
        *({"kind": kind, "endpoint": "mail_send", "probability": 0.12, "retry_after": 0} for kind in kinds)
    )
    for batch_id in batches:
        battlefield.dispatch(batch_id)
    battlefield.faults()
    battlefield.resume()
    battlefield.settle()
    battlefield.verdict()
    assert battlefield.world.values("select count(*) from rekindle_state.messages where status = 'aged_out'") != [0]
