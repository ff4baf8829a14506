"""What a person typed, and which answer of a question it means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rekindle.events.optout import read_reply, words_of
from rekindle.vocabulary import EventType

#: Words everybody uses; a question that expects `yes` or `no` knows them without being told.
BUILT_IN_WORDS: Mapping[str, tuple[str, ...]] = {
    "yes": (
        *("yes", "y", "yeah", "yep", "yup", "ya", "sure", "ok", "okay", "yes please", "please do", "absolutely"),
        *("definitely", "si", "oui", "ja"),
    ),
    "no": ("no", "n", "nope", "nah", "no thanks", "no thank you", "non", "nein"),
}


def as_said(text: str) -> str:
    """The words alone, in lower case, without accents and punctuation: `Yes, please!` → `yes please`."""
    return " ".join(words_of(text))


def is_spoken_for(word: str) -> bool:
    """Whether a word always means stop, start or help, whatever was asked."""
    return read_reply(word).event_type is not EventType.REPLIED


def words_for(answer: str, words: Iterable[str]) -> tuple[str, ...]:
    """Everything that means an answer: the words a campaign names, and those everybody uses for yes and no."""
    return tuple(dict.fromkeys(as_said(word) for word in (*words, *BUILT_IN_WORDS.get(answer, ()))))
