"""A reply that asks us to stop is understood; the mistakes made are on the side of stopping."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.events.optout import AWS_STOP_WORDS, CFR_STOP_WORDS, TWILIO_STOP_WORDS, read_reply
from rekindle.vocabulary import EventType


@pytest.mark.parametrize("word", sorted(TWILIO_STOP_WORDS | CFR_STOP_WORDS | AWS_STOP_WORDS))
@pytest.mark.parametrize("form", ["{}", " {} ", "{}!", "“{}.”", "{}\n\n", "🛑 {} 🛑", "{}\u200b"])
def test_every_keyword_in_every_dress(word: str, form: str) -> None:
    for dressed in (word, word.upper(), word.title(), " ".join(word), ".".join(word), "-".join(word)):
        assert read_reply(form.format(dressed)).event_type is EventType.UNSUBSCRIBED, dressed


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        # lists of the law and the networks, as people type them
        ("Opt Out", "keyword"),
        ("OPT-OUT", "keyword"),
        ("opt out.", "keyword"),
        ("Stop all", "keyword"),
        ("ARRÊT", "keyword"),
        ("Stpo", "keyword"),
        # a keyword and politeness
        ("stop please", "keyword_phrase"),
        ("STOP STOP STOP", "keyword_phrase"),
        ("Please cancel these texts, thank you", "keyword_phrase"),
        ("I want to end messages", "keyword_phrase"),
        ("please quit", "keyword_phrase"),
        ("i'd like to opt out please", "keyword_phrase"),
        # own words
        ("please stop texting me", "keyword_phrase"),
        ("Could you guys stop bugging me", "free_text:stop"),
        ("I asked you to stop already", "free_text:stop"),
        ("won't you stop texting", "free_text:stop"),
        ("leave me alone", "free_text:leave_me_alone"),
        ("Just leave me ALONE!!", "free_text:leave_me_alone"),
        ("remove me", "keyword_phrase"),
        ("Remove my number from your list", "free_text:remove_me"),
        ("take me off your list", "free_text:remove_me"),
        ("lose my number", "free_text:remove_me"),
        ("unsubscribe me", "keyword_phrase"),
        ("How do I unsubscribe from this?", "free_text:unsubscribe"),
        ("I am opting out of this", "free_text:opt_out"),
        ("Don’t text me again", "free_text:do_not_contact"),
        ("do not contact this number", "free_text:do_not_contact"),
        ("DONT MESSAGE ME", "free_text:do_not_contact"),
        ("no more texts", "free_text:do_not_contact"),
        ("never text me again", "free_text:do_not_contact"),
        ("I revoke my consent to be texted", "free_text:revoke"),
        ("not interested", "free_text:not_interested"),
        ("Wrong number", "free_text:wrong_number"),
        ("this is spam", "free_text:complaint"),
        ("I will report you to the FCC", "free_text:complaint"),
        ("arrêtez de m'écrire", "free_text:other_language"),
    ],
)
def test_own_words_that_ask_to_stop(body: str, detail: str) -> None:
    reading = read_reply(body)
    assert (reading.event_type, reading.detail) == (EventType.UNSUBSCRIBED, detail)


@pytest.mark.parametrize(
    "body",
    [
        "Yes",
        "yes please",
        "Who is this?",
        "Can you call me tomorrow at 5?",
        "I'll stop by the shop on Friday",
        "I can't stop using it!",
        "what is the price of the end table",
        "No problem, talk soon",
        "No, I will call you",
        "why don't you send me the price",
        "don't forget to send the link",
        "I don't have e-mail",
        "I did not get your e-mail",
        "my mail went to the spam folder",
        "drop me a line",
        "take me to the start",
        "Is there an unstoppable plan?",
        "👍",
        "",
    ],
)
def test_what_a_person_should_answer(body: str) -> None:
    assert read_reply(body).event_type is EventType.REPLIED


@pytest.mark.parametrize("body", ["START", "start", " Start! ", "UNSTOP", "un-stop"])
def test_start_is_evidence(body: str) -> None:
    assert read_reply(body).event_type is EventType.RESUBSCRIBED


@pytest.mark.parametrize("body", ["HELP", "Help?", "info", "I N F O"])
def test_help_is_help(body: str) -> None:
    assert (read_reply(body).event_type, read_reply(body).detail) == (EventType.OTHER, "help")


def test_what_twilio_handled_never_outvotes_a_stop() -> None:
    assert read_reply("please stop texting me", "START").event_type is EventType.UNSUBSCRIBED
    assert read_reply("anything", "stop").event_type is EventType.UNSUBSCRIBED


@given(body=st.text(st.characters(codec=None)), handled=st.none() | st.text())
def test_any_text_is_read(body: str, handled: str | None) -> None:
    assert read_reply(body, handled).detail


@given(
    before=st.sampled_from(["", "ok ", "please ", "PLEASE!! ", "hey, "]),
    word=st.sampled_from(sorted(TWILIO_STOP_WORDS | CFR_STOP_WORDS)),
    after=st.sampled_from(["", " please", " now", ", thanks", " texting me", " these messages"]),
)
def test_politeness_never_hides_a_keyword(before: str, word: str, after: str) -> None:
    assert read_reply(before + word + after).event_type is EventType.UNSUBSCRIBED


def test_a_long_text_is_read_quickly() -> None:
    for body in ("do not " * 20_000, "stop by " * 20_000, "a" * 200_000, "no more " * 20_000):
        assert read_reply(body).detail
