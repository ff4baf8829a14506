"""What ends an entry, what does not, and which of several causes counts."""

from __future__ import annotations

import itertools

import pytest

from rekindle.vocabulary import Exit


@pytest.fixture
def mailed(world):
    """A lead who was mailed on day 0, and the message."""
    lead = world.lead()
    world.tick(0)
    world.now(1)
    return lead, world.message(lead)


@pytest.fixture
def texted(world):
    """A lead without an address who was texted on day 0, and the message."""
    lead = world.lead(email=None)
    world.tick(0)
    world.now(1)
    return lead, world.message(lead)


def exit_of(world, lead, day=1):
    world.ingest(day)
    state = world.state(lead)
    return state["exit_reason"]


@pytest.mark.parametrize("kind", ["log_in", "key_action"])
def test_a_sign_of_life_ends_the_entry_when_it_happened(world, mailed, kind):
    lead, _ = mailed
    world.sign_of_life(lead, world.at(0.5), kind)
    assert exit_of(world, lead) == Exit.RE_ENGAGED
    assert world.state(lead)["exited_at"] == world.at(0.5)


@pytest.mark.parametrize(("when", "ends"), [(-0.01, False), (0, False), (1 / 86_400, True), (1, True), (1.1, False)])
def test_a_sign_of_life_counts_after_the_entry_and_up_to_the_run(world, mailed, when, ends):
    lead, _ = mailed
    world.sign_of_life(lead, world.at(when))
    assert (exit_of(world, lead) == Exit.RE_ENGAGED) is ends


def test_a_persons_click_ends_the_entry_and_a_robots_does_not(world, mailed):
    lead, message = mailed
    world.land("link_clicks", world.click(message["message_id"], world.at(0.1), agent="Googlebot/2.1"))
    world.land("link_clicks", world.click(message["message_id"], world.at(0.2), method="HEAD"))
    world.land("link_clicks", world.click(message["message_id"], world.at(0.3), agent=""))
    assert exit_of(world, lead) is None
    world.land("link_clicks", world.click(message["message_id"], world.at(0.4)))
    assert exit_of(world, lead) == Exit.RE_ENGAGED
    assert world.state(lead)["exited_at"] == world.at(0.4)


def test_an_open_ends_nothing(world, mailed):
    lead, message = mailed
    world.land_mail_events(world.mail_event(message["message_id"], "open", world.at(0.1), lead.email))
    assert exit_of(world, lead) is None


@pytest.mark.parametrize(
    ("event", "words", "exit_reason"),
    [
        ("spamreport", {}, Exit.COMPLAINED),
        ("unsubscribe", {}, Exit.UNSUBSCRIBED),
        ("group_unsubscribe", {"asm_group_id": 3}, Exit.UNSUBSCRIBED),
        ("bounce", {"type": "bounce", "status": "5.1.1"}, Exit.INVALID_EMAIL),
        ("dropped", {"reason": "Bounced Address"}, Exit.INVALID_EMAIL),
        ("dropped", {"reason": "Invalid"}, Exit.INVALID_EMAIL),
        ("dropped", {"reason": "Unsubscribed Address"}, Exit.UNSUBSCRIBED),
        ("dropped", {"reason": "Spam Reporting Address"}, Exit.COMPLAINED),
    ],
)
def test_what_a_mail_provider_says_for_good_ends_the_entry(world, mailed, event, words, exit_reason):
    lead, message = mailed
    world.land_mail_events(world.mail_event(message["message_id"], event, world.at(0.1), lead.email, **words))
    assert exit_of(world, lead) == exit_reason
    assert lead.email_hash in world.values("select address_hash from rekindle_state.suppressions")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("bounce", {"type": "blocked", "status": "4.7.1"}),
        ("bounce", {"type": "expired"}),
        ("deferred", {"response": "400 try again"}),
        ("dropped", {"reason": "Spam Content"}),
        ("dropped", {"reason": "Recipient List over Package Quota"}),
        ("dropped", {"reason": "Invalid SMTPAPI header"}),
        ("dropped", {"reason": "something new"}),
        ("a new event", {}),
    ],
)
def test_a_soft_bounce_or_our_own_fault_ends_nobody_and_the_journey_goes_on(world, mailed, event, words):
    lead, message = mailed
    world.land_mail_events(world.mail_event(message["message_id"], event, world.at(0.1), lead.email, **words))
    assert exit_of(world, lead) is None
    assert world.values("select address_hash from rekindle_state.suppressions") == []
    for day in (1, 2, 3):
        world.tick(day)
    assert [row["channel"] for row in world.messages(lead)] == ["email", "sms"]


@pytest.mark.parametrize(
    ("status", "code", "exit_reason", "suppressed"),
    [
        ("undelivered", "30005", Exit.INVALID_PHONE, True),
        ("undelivered", "30006", Exit.INVALID_PHONE, True),
        ("undelivered", "30004", Exit.SUPPRESSED, True),
        ("failed", "63014", Exit.SUPPRESSED, True),
    ],
)
def test_a_carriers_receipt_for_good_ends_the_entry(world, texted, status, code, exit_reason, suppressed):
    lead, message = texted
    world.land("twilio_status", world.text_status(message["message_id"], status, world.at(0.1), lead.phone, code))
    assert exit_of(world, lead) == exit_reason
    found = world.values("select address_hash from rekindle_state.suppressions where channel = 'sms'")
    assert found == ([lead.phone_hash] if suppressed else [])


@pytest.mark.parametrize("code", ["30007", "30034", "30002", "30033", "30045"])
def test_a_configuration_code_ends_nobody(world, texted, code):
    lead, message = texted
    line = world.text_status(message["message_id"], "undelivered", world.at(0.1), lead.phone, code)
    world.land("twilio_status", line)
    assert exit_of(world, lead) is None
    assert world.values("select address_hash from rekindle_state.suppressions") == []


@pytest.mark.parametrize("code", ["99999", None, "30008", "30046", "30410", "30025"])
def test_a_code_nobody_knows_or_that_proves_nothing_is_only_counted(world, texted, code):
    lead, message = texted
    line = world.text_status(message["message_id"], "undelivered", world.at(0.1), lead.phone, code)
    world.land("twilio_status", line)
    assert exit_of(world, lead) is None
    assert world.values("select address_hash from rekindle_state.suppressions") == []
    assert world.message(lead)["status"] == "undelivered"
    assert world.broken() == {}


@pytest.mark.parametrize("code", ["30003", "30017"])
def test_a_text_that_did_not_arrive_ends_as_failed_and_suppresses_nobody(world, texted, code):
    lead, message = texted
    line = world.text_status(message["message_id"], "undelivered", world.at(0.1), lead.phone, code)
    world.land("twilio_status", line)
    assert exit_of(world, lead) == Exit.SMS_FAILED
    assert world.values("select address_hash from rekindle_state.suppressions") == []


def test_a_stop_by_text_ends_the_entry_and_silences_the_mailbox_too(world, mailed):
    lead, _ = mailed
    world.land("twilio_inbound", world.inbound_text(lead.phone, "STOP", world.at(0.1)))
    assert exit_of(world, lead) == Exit.UNSUBSCRIBED
    world.crosses_again(lead, on=2)
    again = world.campaign_with("another_campaign")
    world.freeze(2, again)
    world.campaign = again
    world.plan(2)
    assert world.state(lead)["exit_reason"] == Exit.SUPPRESSED


def test_an_answer_in_own_words_ends_the_entry_as_replied(world, mailed):
    lead, _ = mailed
    world.land("twilio_inbound", world.inbound_text(lead.phone, "who is this, my kid had surgery", world.at(0.1)))
    assert exit_of(world, lead) == Exit.REPLIED
    assert world.values("select address_hash from rekindle_state.suppressions") == []


def test_an_unsubscribe_by_link_ends_the_entry(world, mailed):
    lead, message = mailed
    line = world.unsubscribe(message["message_id"], lead.email_hash, "email", world.at(0.1))
    world.land("unsubscribes", line)
    assert exit_of(world, lead) == Exit.UNSUBSCRIBED


def test_a_message_refused_for_good_ends_the_entry_by_the_table(world, world_module):
    lead = world.lead(email=None)
    world.sms.answer = lambda item: world_module.refused(item, "twilio", "21614")
    world.tick(0)
    assert world.message(lead)["status"] == "failed"
    assert world.state(lead)["exit_reason"] == Exit.INVALID_PHONE


@pytest.mark.parametrize(
    ("provider", "code", "reason"),
    [
        ("twilio", "21610", "provider_optout"),
        ("twilio", "21614", "invalid_number"),
        ("sendgrid", "400:personalizations.to", "hard_bounced"),
    ],
)
def test_a_refusal_that_suppresses_by_the_table_writes_the_suppression(world, world_module, provider, code, reason):
    lead = world.lead(**({"email": None} if provider == "twilio" else {}))
    sender = world.sms if provider == "twilio" else world.email
    sender.answer = lambda item: world_module.refused(item, provider, code)
    world.tick(0)
    assert world.state(lead)["exit_reason"] is not None
    found = world.query("select address_hash, reason from rekindle_state.suppressions")
    hashed = lead.phone_hash if provider == "twilio" else lead.email_hash
    assert found == [{"address_hash": hashed, "reason": reason}]


CAUSES = {
    "unsubscribed": lambda world, lead, message, at: world.land(
        "unsubscribes", world.unsubscribe(message["message_id"], lead.email_hash, "email", at)
    ),
    "invalid_email": lambda world, lead, message, at: world.land_mail_events(
        world.mail_event(message["message_id"], "bounce", at, lead.email, type="bounce")
    ),
    "replied": lambda world, lead, message, at: world.land(
        "twilio_inbound", world.inbound_text(lead.phone, "not now, thanks for asking", at)
    ),
    "re_engaged": lambda world, lead, message, at: world.sign_of_life(lead, at),
}


@pytest.mark.parametrize(("stronger", "weaker"), list(itertools.combinations(CAUSES, 2)))
def test_of_two_causes_the_persons_stop_wins_then_the_dead_address_then_the_answer(world, mailed, stronger, weaker):
    lead, message = mailed
    CAUSES[weaker](world, lead, message, world.at(0.1))
    CAUSES[stronger](world, lead, message, world.at(0.2))
    assert exit_of(world, lead) == stronger
    assert world.state(lead)["exited_at"] == world.at(0.2)


def test_of_two_causes_of_one_rank_the_earlier_wins(world, mailed):
    lead, message = mailed
    world.land_mail_events(world.mail_event(message["message_id"], "spamreport", world.at(0.2), lead.email))
    world.land("unsubscribes", world.unsubscribe(message["message_id"], lead.email_hash, "email", world.at(0.1)))
    assert exit_of(world, lead) == Exit.UNSUBSCRIBED


def test_an_ended_entry_never_ends_again(world, mailed):
    lead, message = mailed
    world.sign_of_life(lead, world.at(0.1))
    exit_of(world, lead)
    before = world.state(lead)
    world.land("unsubscribes", world.unsubscribe(message["message_id"], lead.email_hash, "email", world.at(0.1)))
    world.ingest(2)
    world.advance(2)
    assert world.state(lead) == before
    assert world.values("select reason from rekindle_state.suppressions") == ["unsubscribed"]
    assert world.broken() == {}


def test_silence_to_the_end_is_archived_when_the_last_wait_is_over(world):
    lead = world.lead()
    for day in range(12):
        world.tick(day)
    state = world.state(lead)
    assert (state["exit_reason"], state["exited_at"], state["stage"]) == (Exit.ARCHIVED, world.at(10), "exited")
    reasons = world.values("select reason from rekindle_state.journey_transitions order by sequence")
    assert reasons == ["entered", "message_accepted", "wait_over", "message_accepted", "wait_over"]


@pytest.mark.parametrize(("day", "stage"), [(2.99, "listen_after_probe"), (3, "nudge")])
def test_a_wait_ends_at_its_second(world, mailed, day, stage):
    lead, _ = mailed
    world.advance(day)
    assert world.state(lead)["stage"] == stage


def test_a_missed_week_is_caught_up_without_skipping_anybody(world, mailed):
    lead, _ = mailed
    world.tick(9)
    assert [row["channel"] for row in world.messages(lead)] == ["email", "sms"]
    assert world.state(lead)["stage"] == "listen_after_nudge"
    assert world.state(lead)["due_at"] == world.at(16)


def test_a_life_sign_beats_the_archive_that_is_due_in_the_same_run(world, mailed):
    lead, _ = mailed
    world.tick(3)
    world.sign_of_life(lead, world.at(9.9))
    world.tick(11)
    assert world.state(lead)["exit_reason"] == Exit.RE_ENGAGED
