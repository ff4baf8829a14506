"""The merge fields a template may use: who fills them, how long they can get, and which are missing for some leads."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

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
    needs_end: bool = False  # of an offer that runs out


def _always(name: str, meaning: str, sample: object, longest: int) -> MergeField:
    return MergeField(name, meaning, sample, longest, is_always_there=True)


def _of_offer(name: str, meaning: str, sample: object, longest: int, *, needs_end: bool = False) -> MergeField:
    return MergeField(name, meaning, sample, longest, is_always_there=True, needs_offer=True, needs_end=needs_end)


def _personal(name: str, meaning: str, sample: object, longest: int) -> MergeField:
    return MergeField(name, meaning, sample, longest, is_personal=True)


MERGE_FIELDS: Mapping[str, MergeField] = {
    field.name: field
    for field in (
        _personal("first_name", "given name, from the profile", "Ada", 30),
        _personal("plan", "plan or tariff, from the profile", "team", 20),
        _personal("last_key_action_on", "day of the last key action (a date)", date(2026, 3, 14), 10),
        _personal("last_purchase_on", "day of the last purchase (a date)", date(2026, 2, 3), 10),
        _personal("renewal_on", "day the subscription renews or ends (a date)", date(2026, 5, 1), 10),
        _personal("last_product_viewed", "what the lead looked at last", "the walnut desk", 30),
        _personal("cart_item", "what lies in the cart", "the reading lamp", 30),
        _personal("feature_asked_for", "what the lead asked us for", "CSV export", 30),
        _personal("feature_asked_in", "where it asked, like `the spring survey`", "the spring survey", 30),
        _personal("last_ticket_subject", "what the last support ticket was about", "a missing invoice", 60),
        _personal("last_ticket_on", "day of the last support ticket (a date)", date(2026, 1, 20), 10),
        MergeField("score_reasons", "why the lead is cold, for your own eyes", "no log-in for 95 days", 120),
        MergeField("segment", "segment of the score", "lapsed_buyer", 30),
        MergeField("cold_score", "0 (warm) to 100 (cold)", 87.5, 5),
        MergeField("variant", "the variant drawn for the lead", "story", 63),
        MergeField("locale", "language and region, like en-US", "en-US", 10),
        MergeField("country", "ISO 3166 code of the country", "US", 2),
        _always("tracked_link", "the one link that counts clicks", "https://example.com/c/token", LONGEST_TRACKED_LINK),
        _always("unsubscribe_link", "where the lead says stop", "https://example.com/u/token", 400),
        _always(
            "preferences_link", "where the lead says what to get and how often", "https://example.com/p/token", 400
        ),
        _always(
            "confirm_link", "where somebody says that an address is theirs", "https://example.com/confirm/token", 400
        ),
        _always("company_name", "who writes", "Example Works", 30),
        _always("postal_address", "the company's street address", "1 Example Street, Springfield, IL 62701, USA", 200),
        _always("sender_name", "who signs, from the campaign", "Mara", 30),
        _of_offer("offer_code", "code of the step's offer", "BACK20", 20),
        _of_offer("offer_description", "what the offer gives", "20 % off", 60),
        _of_offer(
            "offer_ends_on",
            "last day of the offer (a date), if it has `valid_for`",
            date(2026, 4, 2),
            10,
            needs_end=True,
        ),
    )
}

#: What comes from the lead, and not from us.
LEAD_FIELDS = tuple(name for name, field in MERGE_FIELDS.items() if not field.is_always_there)

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
        if isinstance(value, str):
            text = _usable_text(name, value)
            if text is not None:
                shown[name] = text
        else:
            shown[name] = value
    return shown


@lru_cache(maxsize=4096)
def _usable_text(name: str, value: str) -> str | None:
    """Remembered because most leads share their plan with many others, and their name with some."""
    field = MERGE_FIELDS.get(name)
    if field and field.is_always_there:
        return value.strip() or None
    text = _one_line(value)
    if not text or (field and len(text) > field.longest) or (name == "first_name" and not _is_a_name(text)):
        return None
    return text


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
