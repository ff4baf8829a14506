"""What a text says, given the question we asked, if there is one.

A stop always wins, whatever was asked: "cancel" may be an answer to a question of ours and is an opt-out by 47 CFR
64.1200(a)(10). A bare YES is an opt-in only where an open question of ours asked for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rekindle.campaigns.answers import words_for
from rekindle.errors import ConfigurationError
from rekindle.events.optout import STOP_WORDS, read_reply, words_of
from rekindle.vocabulary import EventType


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


#: May stand around an answer without changing it.
_POLITE = _set_of("please pls plz thanks thank you thx ok okay hi hello hey sir madam option answer number merci danke")


class ReplyKind(StrEnum):
    """Who has to do something about a text."""

    OPT_OUT = "opt_out"  # nobody writes to this person any more
    OPT_IN = "opt_in"  # evidence of a wish to be written to again; lifts nothing by itself
    HELP = "help"  # answered with the text the installation configured, or by Twilio
    ANSWER = "answer"  # answers the question we asked
    PERSON = "person"  # anything else: the sequence stops and a person reads it


_EVENT_TYPES = {
    ReplyKind.OPT_OUT: EventType.UNSUBSCRIBED,
    ReplyKind.OPT_IN: EventType.RESUBSCRIBED,
    ReplyKind.HELP: EventType.OTHER,
    ReplyKind.ANSWER: EventType.OTHER,  # it stops nothing: the journey goes where the answer leads
    ReplyKind.PERSON: EventType.REPLIED,
}


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question we asked in a text and nobody has answered: each answer's id and the keywords that mean it.

    An answer called `yes` or `no` knows its usual words by itself. `asks_to_resubscribe` names the answers that are an
    opt-in. Raises `ConfigurationError` for a keyword that means two answers, or that is an opt-out to everybody else.
    """

    question_id: str
    answers: Mapping[str, tuple[str, ...]]
    asks_to_resubscribe: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        if not self.answers:
            raise ConfigurationError(f"question {self.question_id}: give it at least one answer")
        unknown = self.asks_to_resubscribe - set(self.answers)
        if unknown:
            raise ConfigurationError(
                f"question {self.question_id}: {', '.join(sorted(unknown))} is not an answer of it"
            )
        seen: dict[str, str] = {}
        for answer in self.answers:
            for keyword in self.keywords(answer):
                if not keyword:
                    raise ConfigurationError(f"question {self.question_id}: an empty keyword of {answer}")
                if keyword in STOP_WORDS:
                    raise ConfigurationError(
                        f"question {self.question_id}: {keyword!r} can not mean {answer}, it is an opt-out"
                    )
                if seen.setdefault(keyword, answer) != answer:
                    raise ConfigurationError(
                        f"question {self.question_id}: {keyword!r} means both {seen[keyword]} and {answer}"
                    )

    def keywords(self, answer: str) -> frozenset[str]:
        """Everything that means this answer, in the form texts are compared in."""
        return frozenset("".join(words_of(keyword)) for keyword in words_for(answer, self.answers[answer]))

    def answered_by(self, text: str) -> str | None:
        """The answer a text gives: a keyword alone, or with politeness around it ("yes please", "b, thanks")."""
        words = words_of(text)
        said = {"".join(words), "".join(word for word in words if word not in _POLITE)} - {""}
        given = [answer for answer in self.answers if said & self.keywords(answer)]
        return given[0] if len(given) == 1 else None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a text says, and how that was found; `answer` is the open question's own id of it."""

    kind: ReplyKind
    detail: str
    answer: str | None = None

    @property
    def event_type(self) -> EventType:
        """The word of the message event it becomes."""
        return _EVENT_TYPES[self.kind]


def classify_reply(text: str, open_question: OpenQuestion | None = None, opt_out_type: str | None = None) -> Reply:
    """What a text says; `opt_out_type` is what Twilio's Advanced Opt-Out made of it (STOP, START, HELP)."""
    reading = read_reply(text, opt_out_type)
    if reading.event_type is EventType.UNSUBSCRIBED:
        return Reply(ReplyKind.OPT_OUT, reading.detail)
    if open_question is not None:
        answer = open_question.answered_by(text)
        if answer is not None:
            kind = ReplyKind.OPT_IN if answer in open_question.asks_to_resubscribe else ReplyKind.ANSWER
            return Reply(kind, f"answer:{open_question.question_id}:{answer}", answer)
    if reading.event_type is EventType.RESUBSCRIBED:
        return Reply(ReplyKind.OPT_IN, reading.detail)
    if reading.detail == "help":
        return Reply(ReplyKind.HELP, reading.detail)
    return Reply(ReplyKind.PERSON, reading.detail)
