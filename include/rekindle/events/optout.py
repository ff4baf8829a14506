"""Reads an SMS reply: does it ask us to stop?

47 CFR 64.1200(a)(10) makes seven words valid by themselves and every other wording by what a reasonable person would
understand; a reply in own words raises a rebuttable presumption. So the reading errs to opt-out, and says how it
came to it. A wrong opt-out costs one lead; a missed one is a message to somebody who said no.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from rekindle.vocabulary import EventType


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


TWILIO_STOP_WORDS = _set_of("stop stopall unsubscribe cancel end quit revoke optout")
CFR_STOP_WORDS = _set_of("stop quit end revoke optout cancel unsubscribe")  # "opt out" is joined before it is looked up
AWS_STOP_WORDS = _set_of("arret cancel end optout quit remove stop td unsubscribe")
#: Whole messages only: what keyboards make of the words above, and their like in other languages of our markets.
MISTYPED_STOP_WORDS = _set_of(
    """
    stp stpo sotp stopp sstop stopo stoop dtop atop unsub unsubcribe unsuscribe unsubscibe unsubscrib unsubscribed
    opt optoff optouts endall cancelall quitall
    """
)
FOREIGN_STOP_WORDS = _set_of("arreter arretez desabonner desinscrire alto baja parar cancelar abmelden")
STOP_WORDS = TWILIO_STOP_WORDS | CFR_STOP_WORDS | AWS_STOP_WORDS | MISTYPED_STOP_WORDS | FOREIGN_STOP_WORDS

START_WORDS = _set_of("start unstop")  # not YES: it is an answer to a question far more often
HELP_WORDS = _set_of("help info")

#: Words that may stand around a stop word without changing what it says ("please cancel these texts").
_FILLERS = _set_of(
    """
    please pls plz kindly thanks thank you ok okay now immediately today all this that it these those the hi hello hey
    i id ill im we want wish would like need to a just my your me us from of and or sms mms text texts texting txt txts
    message messages messaging msg msgs alert alerts notification notifications offers promotions promo marketing
    subscription membership service list no more everything
    """
)

_TALK = r"(?:text|txt|sms|messag|msg|contact|send|call|e ?mail|bother|disturb|spam|writ|notif|reach|promot)\w*"

#: Phrases that hold the words of a rule and mean something else; they are taken out before the rules look.
_HARMLESS = re.compile(
    r"\b(?:"
    r"(?:cant|can not|cannot|couldnt|wont|didnt|never|dont|do not) (?:ever )?stop(?:ped)?"
    r" (?!text|messag|contact|send)\w+"
    r"|stop(?:ped|ping)? (?:by|in) (?!text|sms|messag)\w+"
    r"|(?:non|bus|one|pit) stop"
    r"|why (?:dont|do not) you"
    r"|(?:dont|do not) (?:forget|hesitate|worry|mind|have|see|get|receive|remember|know|understand|think|use)"
    r")\b"
)

_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile("|".join(patterns)))
    for name, patterns in {
        "stop": [r"\bstop(?:p|ped|ping|s)?\b"],
        "unsubscribe": [r"\bunsub\w*\b", r"\bunsuscrib\w*\b"],
        "opt_out": [r"\bopt(?:ed|ing)? (?:(?:me|us|this number) )?out\b", r"\boptout\b"],
        "leave_me_alone": [
            r"\b(?:leave|let) (?:me|us) alone\b",
            r"\blet me be$",
            r"\bgo away\b",
            r"\bget lost\b",
            r"\b(?:fuck|piss|bugger|sod) (?:off|you)\b",
        ],
        "remove_me": [
            r"\b(?:remove|delete|erase|scrub) (?:me|us|my|this (?:number|phone|contact))\b",
            r"\btake (?:me|us|my \w+|this number) (?:off|out)\b",
            r"\b(?:remove|drop me) from\b",
            r"\blose (?:my|this) number\b",
        ],
        "revoke": [
            r"\b(?:revok|withdraw|rescind)\w*\b(?: \w+){0,4} (?:consent|permission)\b",
            r"\b(?:do not|dont|never) (?:give |gave )?(?:you )?(?:my )?(?:consent|permission)\b",
        ],
        "do_not_contact": [
            rf"\b(?:do not|dont|no more|no longer|quit|cease|cancel)\b(?: \w+){{0,4}} {_TALK}",
            rf"\bnever (?:ever )?(?:again )?{_TALK} (?:me|us|this|again)\b",
        ],
        "not_interested": [
            r"\b(?:not|no longer|never|isnt|aint) (?:\w+ )?interested\b",
            r"\bno interest\b",
            r"\b(?:do not|dont|no longer) want (?:this|it|these|any|your|to (?:hear|get|receive|be))\b",
        ],
        "wrong_number": [r"\bwrong (?:number|person|phone)\b", r"\b(?:not|isnt) my (?:name|number)\b"],
        "complaint": [
            r"\bspamm(?:ing|ers?)\b",
            r"\b(?:is|its|as|this) spam\b",
            r"\bharass\w*",
            r"\breport(?:ing)? you\b",
            r"\b(?:lawyer|attorney|tcpa|fcc|ftc)\b",
            r"\bsu(?:e|ing) you\b",
        ],
        "other_language": [
            r"\barrete[rz]?\b",
            r"\bdesabonn\w*",
            r"\bdesinscri\w*",
            r"\bdar(?:me)? de baja\b",
            r"\bno me (?:escrib|envi|mand|molest)\w*",
            r"\bkeine (?:sms|nachrichten)\b",
        ],
    }.items()
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply means to us, and how that was found."""

    event_type: EventType
    detail: str


def read_reply(body: str, opt_out_type: str | None = None) -> Reading:
    """Classify an inbound text; `opt_out_type` is what Twilio's Advanced Opt-Out made of it (STOP, START, HELP)."""
    words = words_of(body)
    joined = "".join(words)
    handled = (opt_out_type or "").strip().upper()
    if handled == "STOP":
        return Reading(EventType.UNSUBSCRIBED, "advanced_opt_out")
    if joined in STOP_WORDS:
        return Reading(EventType.UNSUBSCRIBED, "keyword")
    if joined in START_WORDS:
        return Reading(EventType.RESUBSCRIBED, "keyword")
    if joined in HELP_WORDS:
        return Reading(EventType.OTHER, "help")
    if _is_keyword_phrase(words):
        return Reading(EventType.UNSUBSCRIBED, "keyword_phrase")
    sentence = _HARMLESS.sub(" ", " ".join(words))
    for name, pattern in _RULES:
        if pattern.search(sentence):
            return Reading(EventType.UNSUBSCRIBED, f"free_text:{name}")
    if handled == "START":
        return Reading(EventType.RESUBSCRIBED, "advanced_opt_out")
    if handled == "HELP":
        return Reading(EventType.OTHER, "help")
    return Reading(EventType.REPLIED, "reply" if words else "no_text")


def _is_keyword_phrase(words: list[str]) -> bool:
    """Nothing but stop words and politeness around them: "STOP STOP", "please cancel these texts"."""
    rest = [word for word in words if word not in _FILLERS]
    return bool(rest) and ("".join(rest) in STOP_WORDS or all(word in STOP_WORDS for word in rest))


def words_of(body: str) -> list[str]:
    """Lower-case words without accents and apostrophes: "Arrêt!" becomes `arret`, "don’t" becomes `dont`."""
    decomposed = unicodedata.normalize("NFKD", body).casefold()
    kept: list[str] = []
    for character in decomposed:
        category = unicodedata.category(character)
        if category[0] in "LN":
            kept.append(character)
        elif category not in ("Mn", "Cf") and character not in "'’‘`´":
            kept.append(" ")
    return "".join(kept).split()
