"""Nothing is said back, but to a HELP that the installation wants to answer itself."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from rekindle.replies.answers import NO_ANSWER, twiml_answer

HELP = "Rekindle & Sons: help at https://example.com/help?a=1&b=2. Reply STOP to end <now>."


def test_help_is_answered_with_the_configured_words():
    answer = ET.fromstring(twiml_answer("help", help_answer=HELP))
    assert [message.text for message in answer] == [HELP]


@pytest.mark.parametrize(
    ("body", "handled", "help_answer"),
    [
        ("help", None, ""),  # Twilio answers
        ("help", "HELP", HELP),  # Twilio has answered: not a second time
        ("STOP", None, HELP),  # Twilio confirms; the law allows one confirmation
        ("please stop texting me", None, HELP),
        ("who is this?", None, HELP),  # a person answers
        ("", None, HELP),
    ],
)
def test_nothing_else_is_answered(body, handled, help_answer):
    answer = twiml_answer(body, handled, help_answer)
    assert answer == NO_ANSWER
    assert len(ET.fromstring(answer)) == 0
