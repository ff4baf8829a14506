"""A text is understood in the light of the question it may answer; a stop is never an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.errors import ConfigurationError
from rekindle.events.optout import STOP_WORDS, read_reply
from rekindle.replies import OpenQuestion, ReplyKind, classify_reply
from rekindle.vocabulary import EventType

STILL_THERE = OpenQuestion("still_there", {"yes": (), "no": ()})
WHICH = OpenQuestion("which", {"piano": ("1", "Piano"), "guitar": ("2", "guitar"), "neither": ("3",)})
COME_BACK = OpenQuestion("come_back", {"yes": (), "no": ()}, asks_to_resubscribe=frozenset({"yes"}))


@pytest.mark.parametrize(
    "body", ["STOP", "s t o p", "Opt Out", "OPT-OUT", "unsubscribe please", "please stop texting me"]
)
@pytest.mark.parametrize("question", [None, STILL_THERE, WHICH, COME_BACK])
def test_a_stop_wins_over_every_question(body, question):
    reply = classify_reply(body, question)
    assert (reply.kind, reply.event_type) == (ReplyKind.OPT_OUT, EventType.UNSUBSCRIBED)
    assert reply.detail == read_reply(body).detail  # how it was found is told


@pytest.mark.parametrize("body", ["yes", "YES!", " y ", "Yes please", "ok yes", "Sí"])
def test_a_bare_yes_is_an_opt_in_only_where_a_question_asked_for_one(body):
    assert classify_reply(body).kind is ReplyKind.PERSON
    answered = classify_reply(body, STILL_THERE)
    assert (answered.kind, answered.answer, answered.event_type) == (ReplyKind.ANSWER, "yes", EventType.OTHER)
    opted_in = classify_reply(body, COME_BACK)
    assert (opted_in.kind, opted_in.event_type) == (ReplyKind.OPT_IN, EventType.RESUBSCRIBED)
    assert opted_in.detail == "answer:come_back:yes"


@pytest.mark.parametrize(
    ("body", "answer"),
    [("1", "piano"), ("piano", "piano"), (" PIANO! ", "piano"), ("2, thanks", "guitar"), ("Option 3", "neither")],
)
def test_keywords_of_our_question(body, answer):
    assert classify_reply(body, WHICH).answer == answer


@pytest.mark.parametrize("body", ["1 or 2", "the piano is out of tune", "yes", "12", "piano guitar", "", "why?"])
def test_what_is_no_keyword_goes_to_a_person(body):
    reply = classify_reply(body, WHICH)
    assert (reply.kind, reply.event_type, reply.answer) == (ReplyKind.PERSON, EventType.REPLIED, None)


def test_no_to_a_question_is_an_answer_and_no_thanks_too():
    for body in ("No", "nope", "no thanks", "No, thank you"):
        assert classify_reply(body, STILL_THERE).answer == "no"
    assert classify_reply("not interested", STILL_THERE).kind is ReplyKind.OPT_OUT


def test_start_and_help_are_what_they_are_without_and_with_a_question():
    for question in (None, STILL_THERE):
        assert classify_reply("START", question).kind is ReplyKind.OPT_IN
        assert classify_reply("un-stop", question).kind is ReplyKind.OPT_IN
        assert classify_reply("Help?", question).kind is ReplyKind.HELP
    assert classify_reply("anything", None, "HELP").kind is ReplyKind.HELP
    assert classify_reply("anything", STILL_THERE, "STOP").kind is ReplyKind.OPT_OUT


@pytest.mark.parametrize(
    ("answers", "opt_in", "said"),
    [
        ({}, (), "at least one answer"),
        ({"yes": (" ! ",)}, (), "empty keyword"),
        ({"leave": ("Cancel",)}, (), "'cancel' can not mean leave, it is an opt-out"),
        ({"a": ("1",), "b": ("1",)}, (), "'1' means both a and b"),
        ({"yes": ()}, ("no",), "no is not an answer"),
    ],
)
def test_a_question_that_can_not_be_answered_is_refused(answers, opt_in, said):
    with pytest.raises(ConfigurationError, match=said):
        OpenQuestion("q", answers, frozenset(opt_in))


@given(body=st.text(), question=st.sampled_from([None, STILL_THERE, WHICH, COME_BACK]))
def test_a_question_never_hides_an_opt_out_and_never_makes_one(body, question):
    assert (classify_reply(body, question).kind is ReplyKind.OPT_OUT) == (
        read_reply(body).event_type is EventType.UNSUBSCRIBED
    )


@given(word=st.sampled_from(sorted(STOP_WORDS)), case=st.sampled_from([str.upper, str.title, " ".join, "-".join]))
def test_every_stop_word_in_any_case_and_spacing(word, case):
    assert classify_reply(case(word), COME_BACK).kind is ReplyKind.OPT_OUT
