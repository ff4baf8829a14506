"""A chunk on its way: who is tried, who never left and why, and what the governor is told."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import timedelta

import pytest

from rekindle.channels.ports import OutcomeKind
from rekindle.channels.provider_errors import Provider, ProviderErrors
from rekindle.dispatch import EmailSender, SmsSender, emails_in_a_chunk
from rekindle.governor.rate import Governor, HeldError, ProviderRate
from rekindle.vocabulary import DecisionReason, ErrorClass


def codes(outcomes):
    return Counter(outcome.error_code for outcome in outcomes)


def test_texts_leave_several_at_once_and_never_more_than_allowed(texts, governor, clock, composed, world_module):
    def slowly(sms):
        time.sleep(0.005)
        return world_module.accepted(sms, "twilio")

    channel = texts(slowly)
    chunk = composed(60)
    outcomes = SmsSender(channel, governor, calls_at_once=6).send(chunk, clock)
    assert sorted(outcome.message_id for outcome in outcomes) == sorted(item.message_id for item in chunk)
    assert [sms.message_id for sms in channel.sent].count("message-0") == 1 and len(channel.sent) == 60
    assert 2 <= channel.most_at_once <= 6


def test_no_outcome_is_lost_when_a_call_breaks_against_all_promises(
    texts, governor, clock, composed, world_module, caplog
):
    def breaks(sms):
        if sms.message_id == "message-3":
            raise RuntimeError(f"to {sms.to}")
        return world_module.accepted(sms, "twilio")

    outcomes = {one.message_id: one for one in SmsSender(texts(breaks), governor).send(composed(10), clock)}
    assert outcomes.pop("message-3").kind is OutcomeKind.UNKNOWN
    assert len(outcomes) == 9 and {one.kind for one in outcomes.values()} == {OutcomeKind.ACCEPTED}
    assert "RuntimeError" in caplog.text and "+1415" not in caplog.text


def test_a_configuration_error_stops_the_chunk_and_the_rest_never_left(texts, governor, clock, composed, world_module):
    def unauthorized(sms):
        return world_module.refused(sms, "twilio", "20003", 401)

    channel = texts(unauthorized)
    outcomes = SmsSender(channel, governor, calls_at_once=2).send(composed(50), clock)
    assert len(channel.sent) <= 2
    found = codes(outcomes)
    assert found["20003"] == len(channel.sent) and found["not_attempted"] == 50 - len(channel.sent)
    assert governor.told == [(ErrorClass.CONFIGURATION, "20003")] * len(channel.sent)


@pytest.mark.parametrize("channel_name", ["email", "sms"])
def test_what_the_governor_holds_never_left_and_says_why_and_until_when(
    channel_name, texts, emails, governor, clock, composed, world_module
):
    until = clock.now() + timedelta(hours=5)
    governor.at_a_time, governor.left = 4, 6
    governor.no = HeldError(DecisionReason.BREAKER_OPEN, until, "too many bounces")
    if channel_name == "sms":
        channel = texts(lambda sms: world_module.accepted(sms, "twilio"))
        outcomes = SmsSender(channel, governor).send(composed(20), clock)
    else:
        channel = emails(world_module.accepted)
        outcomes = EmailSender(channel, governor).send(composed(20, "email"), clock)
        assert [len(batch) for batch in channel.batches] == [4, 2]
    held = [outcome for outcome in outcomes if outcome.kind is not OutcomeKind.ACCEPTED]
    assert (len(outcomes), len(held)) == (20, 14)
    assert {(one.kind, one.error_class, one.held, one.held_until) for one in held} == {
        (OutcomeKind.REFUSED, ErrorClass.TRANSIENT, DecisionReason.BREAKER_OPEN, until)
    }


def test_a_rate_that_is_not_free_in_time_is_a_busy_provider(texts, governor, clock, composed, world_module):
    governor.left = 0
    outcomes = SmsSender(texts(world_module.accepted), governor).send(composed(3), clock)
    assert {(one.held, one.held_until, one.error_code) for one in outcomes} == {
        (DecisionReason.PROVIDER_BUSY, None, "rate_unavailable")
    }
    assert governor.told == []


@pytest.mark.parametrize("channel_name", ["email", "sms"])
def test_what_expired_while_it_waited_for_the_rate_never_leaves(
    channel_name, texts, emails, clock, composed, world_module
):
    def wait_too_long(seconds):
        clock.at += timedelta(hours=2)

    # Given a governor that makes everybody wait, because it was just told to pause
    governor = Governor.in_memory(ProviderRate(100), clock=clock, wait=wait_too_long, patience_seconds=10_000)
    governor.pause_until(60)
    if channel_name == "sms":
        channel = texts(lambda sms: world_module.accepted(sms, "twilio"))
        outcomes, left = SmsSender(channel, governor).send(composed(5), clock), channel.sent
    else:
        mails = emails(world_module.accepted)
        outcomes = EmailSender(mails, governor).send(composed(5, "email"), clock)
        left = [email for batch in mails.batches for email in batch]
    assert left == [] and codes(outcomes) == {"window_closed": 5}


@pytest.mark.parametrize(("seconds", "validity"), [(90, 90), (0.5, 1), (7_200, 7_200), (100_000, 36_000)])
def test_a_text_is_valid_no_longer_than_its_window(seconds, validity, texts, governor, clock, composed, world_module):
    channel = texts(lambda sms: world_module.accepted(sms, "twilio"))
    SmsSender(channel, governor).send(composed(1, lasts=timedelta(seconds=seconds)), clock)
    assert [sms.validity_seconds for sms in channel.sent] == [validity]


def test_one_call_with_a_thousand_answers_alike_is_one_answer(emails, governor, clock, composed, world_module):
    channel = emails(lambda email: world_module.refused(email, "sendgrid", "401", 401))
    EmailSender(channel, governor).send(composed(100, "email"), clock)
    assert governor.told == [(ErrorClass.CONFIGURATION, "401")]


def test_what_was_accepted_beside_a_bad_one_is_told_first(emails, governor, clock, composed, world_module):
    def one_bad(email):
        if email.message_id == "message-0":
            return world_module.refused(email, "sendgrid", "400:personalizations.to", 400)
        return world_module.accepted(email)

    EmailSender(emails(one_bad), governor).send(composed(3, "email"), clock)
    assert governor.told == [(None, None), (ErrorClass.PERMANENT, "400:personalizations.to")]


def test_a_stated_wait_is_told_before_the_refusal(texts, governor, clock, composed, world_module):
    def throttled(sms):
        row = ProviderErrors.load().for_api(Provider.TWILIO, "20429", 429)
        return row.outcome(sms.message_id, "as told", retry_after_seconds=7.0)

    SmsSender(texts(throttled), governor).send(composed(1), clock)
    assert governor.told == [7.0, (ErrorClass.TRANSIENT, "20429")]


def test_every_text_costs_its_segments(texts, clock, composed, world_module):
    asked = []

    class Counting:
        def acquire_some(self, costs):
            asked.extend(costs)
            return len(costs)

        def record(self, outcomes):
            pass

    channel = texts(lambda sms: world_module.accepted(sms, "twilio"))
    SmsSender(channel, Counting()).send(composed(20, segments=3), clock)
    assert asked == [3] * 20


def test_threads_are_kept_between_chunks_and_do_not_outlive_their_sender(
    texts, governor, clock, composed, world_module
):
    used = set()

    def remember(sms):
        used.add(threading.current_thread())
        return world_module.accepted(sms, "twilio")

    sender = SmsSender(texts(remember), governor, calls_at_once=3)
    for _ in range(5):
        sender.send(composed(9), clock)
    assert 1 <= len(used) <= 3
    del sender
    for thread in used:
        thread.join(5)
    assert not any(thread.is_alive() for thread in used)


def test_no_calls_at_once_is_no_sender(texts, governor):
    with pytest.raises(ValueError, match="at least one call"):
        SmsSender(texts(None), governor, calls_at_once=0)


@pytest.mark.parametrize(("per_second", "in_a_chunk"), [(0.05, 1), (10, 100), (100, 1_000), (300, 3_000), (1e7, 3_000)])
def test_a_chunk_of_emails_is_what_leaves_in_ten_seconds(per_second, in_a_chunk):
    """A slow account's task that dies must not leave thousands of messages unknown that never left."""
    assert emails_in_a_chunk(per_second) == in_a_chunk
