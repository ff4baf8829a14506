"""The merge fields a template may use: who fills them, how long they can get, and which are missing for some leads."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

#: A tracked link as it stands in a text: the public address and a signed token.
LONGEST_TRACKED_LINK = 110  # characters


@dataclass(frozen=True, slots=True)
class MergeField:
    """One word a template may use between double braces."""

    name: str
    meaning: str
    sample: object
    longest: int  # characters; a longer value of the lead's is as good as none
    is_always_there: bool = False  # ours, never the lead's: needs no fallback
    is_personal: bool = False  # differs from lead to lead and says we know this one
    needs_offer: bool = False


def _always(name: str, meaning: str, sample: str, longest: int, *, needs_offer: bool = False) -> MergeField:
    return MergeField(name, meaning, sample, longest, is_always_there=True, needs_offer=needs_offer)


MERGE_FIELDS: Mapping[str, MergeField] = {
    field.name: field
    for field in (
        MergeField("first_name", "given name, from the profile", "Ada", 30, is_personal=True),
        MergeField("plan", "plan or tariff, from the profile", "team", 20, is_personal=True),
        MergeField(
            "last_key_action_on", "day of the last key action (a date)", date(2026, 3, 14), 10, is_personal=True
        ),
        MergeField("locale", "language and region, like en-US", "en-US", 10),
        MergeField("country", "ISO 3166 code of the country", "US", 2),
        _always("tracked_link", "the one link that counts clicks", "https://example.com/c/token", LONGEST_TRACKED_LINK),
        _always("unsubscribe_link", "where the lead says stop", "https://example.com/u/token", 400),
        _always(
            "preferences_link", "where the lead says what to get and how often", "https://example.com/p/token", 400
        ),
        _always("company_name", "who writes", "Example Works", 30),
        _always("postal_address", "the company's street address", "1 Example Street, Springfield, IL 62701, USA", 200),
        _always("sender_name", "who signs, from the campaign", "Mara", 30),
        _always("offer_code", "code of the campaign's offer", "BACK20", 20, needs_offer=True),
        _always("offer_description", "what the offer gives", "20 % off", 60, needs_offer=True),
    )
}

_NAME_PUNCTUATION = frozenset(" '’ʼ-.·")
_BIDI_CONTROLS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F])


def usable(context: Mapping[str, object]) -> dict[str, object]:
    """The values that can be shown. None, NaN, blank text and implausible values of the lead's are left out.

    What is left out is *missing*: the template's fallback takes its place. Line breaks and control characters in what
    a lead typed become spaces, so that they can not add a header or a paragraph; a "first name" that is no name (a
    link, a price) is how sign-up forms are abused to send somebody else's words, and is left out.
    """
    shown: dict[str, object] = {}
    for name, value in context.items():
        if value is None or value != value:  # NaN and NaT differ from themselves
            continue
        field = MERGE_FIELDS.get(name)
        if isinstance(value, str):
            text = value.strip() if field and field.is_always_there else _one_line(value)
            if not text or (field and not field.is_always_there and len(text) > field.longest):
                continue
            if name == "first_name" and not _is_a_name(text):
                continue
            shown[name] = text
        else:
            shown[name] = value
    return shown


def _one_line(text: str) -> str:
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    visible = text.translate(_BIDI_CONTROLS)
    return " ".join("".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in visible).split())


def _is_a_name(text: str) -> bool:
    if text.isalpha():
        return True
    if any(not (c in _NAME_PUNCTUATION or unicodedata.category(c)[0] in "LM") for c in text):
        return False
    # "shop.example" is an address; "J. R." is a name: a dot must end a word.
    return all(part == "" or part.startswith((" ", "-")) for part in text.split(".")[1:])
