"""Whatever a provider answers, or does not: nobody gets a message twice, and the ledger tells what happened."""

from __future__ import annotations

import pytest

from rekindle.chaos.attempt import STOPPED_BY_CONFIGURATION
from rekindle.chaos.ground import SENDING
from rekindle.vocabulary import Channel

#: What becomes of the messages of the struck request before anything else is heard.
AT_ONCE = {
    "rate_limited": "planned",
    "server_error_before": "unknown",
    "server_error_after": "unknown",
    "reset_before": "unknown",
    "reset_after": "unknown",
    "timeout_after": "unknown",
    "truncated_body": "unknown",
}
#: ... and whether they were sent in the end, when webhooks and lists have spoken and 72 hours have passed.
IN_THE_END = {
    "rate_limited": True,
    "server_error_before": False,
    "server_error_after": True,
    "reset_before": False,
    "reset_after": True,
    "timeout_after": True,
    "truncated_body": True,
}


def plan(ground, people, channel, batch_size):
    ground.populate(people, [channel])
    if channel is Channel.SMS:
        ground.plan(Channel.EMAIL, 1_000)
    return ground.plan(channel, batch_size)


@pytest.mark.parametrize("channel", list(Channel))
def test_a_struck_request_is_sent_at_most_once(ground, verdict, channel):
    """One batch for each kind of trouble; its first request is struck."""
    batches = plan(ground, 7 * len(AT_ONCE), channel, 5)
    ground.chunk_size = 1
    struck = {}
    for batch_id, kind in zip(batches, AT_ONCE, strict=False):
        rule = {"kind": kind, "endpoint": SENDING[channel], "count": 1}
        ground.faults(rule | ({"seconds": 2.0} if kind == "timeout_after" else {}))
        ground.dispatch(batch_id, channel=channel)
        struck[kind] = {
            row["message_id"]
            for row in ground.ledger()
            if row["batch_id"] == batch_id and row["status"] == AT_ONCE[kind]
        }
    assert all(struck.values()), struck
    verdict(ground)
    got = {message.message_id for message in ground.accepted()}
    statuses = {row["message_id"]: row["status"] for row in ground.ledger()}
    for kind, messages in struck.items():
        assert messages & got == (messages if IN_THE_END[kind] else set()), kind
        assert {statuses[one] == "aged_out" for one in messages} == {not IN_THE_END[kind]}, kind


@pytest.mark.parametrize("channel", list(Channel))
def test_a_storm_of_refusals_and_spoiled_answers_still_proves_everything(ground, verdict, channel):
    batches = plan(ground, 40, channel, 10)
    kinds = ["rate_limited", "server_error_after", "reset_after", "malformed_body", "truncated_body"]
    ground.faults(*({"kind": kind, "endpoint": SENDING[channel], "probability": 0.25} for kind in kinds))
    for batch_id in batches:
        ground.dispatch(batch_id, channel=channel)
    verdict(ground)
    assert ground.counts.faults.total() >= 3
    treated = {row["message_id"] for row in ground.ledger() if row["arm"] == "treatment"}
    assert {message.message_id for message in ground.accepted()} == treated


def test_a_wrong_key_stops_the_run_and_a_right_one_resumes_it(ground, verdict):
    (batch_id,) = plan(ground, 8, Channel.EMAIL, 100)
    ground.faults({"kind": "config_error", "endpoint": "mail_send"})
    assert ground.dispatch(batch_id, channel=Channel.EMAIL) == STOPPED_BY_CONFIGURATION
    assert ground.accepted() == []
    assert {row["status"] for row in ground.ledger()} == {"planned", "withheld"}
    verdict(ground)
    assert ground.accepted()


def test_one_bad_recipient_in_a_thousand_takes_nobody_with_it(ground, verdict):
    ground.chunk_size = 1_000
    (batch_id,) = plan(ground, 1_000, Channel.EMAIL, 5_000)
    bad = next(row for row in ground.ledger() if row["status"] == "planned")
    ground.faults({"kind": "bad_recipient", "address": ground.people[bad["lead_id"]].email})
    ground.dispatch(batch_id, channel=Channel.EMAIL)
    assert [row["lead_id"] for row in ground.ledger() if row["status"] == "failed"] == [bad["lead_id"]]
    assert {row["status"] for row in ground.ledger()} == {"failed", "accepted", "withheld"}
    verdict(ground)
