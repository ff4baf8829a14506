"""Judges one message of a campaign by reading its templates and rendering them for the most awkward leads."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from rekindle.campaigns.findings import Finding, Level, did_you_mean
from rekindle.campaigns.models import AskStep, Campaign, EmailStep, MessageStep, MessageTemplate, SmsStep
from rekindle.campaigns.yaml_document import YamlDocument
from rekindle.rendering.context import Company, message_context
from rekindle.rendering.fields import LONGEST_TRACKED_LINK, MERGE_FIELDS, MergeField
from rekindle.rendering.render import (
    MissingMergeField,
    RenderedEmail,
    RenderedSms,
    RenderingError,
    render_email,
    render_sms,
)
from rekindle.rendering.segments import is_gsm7, smart_encode
from rekindle.rendering.uses import FieldUse, field_uses, literal_texts

#: What every reader has seen too often; lower case, plain quotes.
GENERIC_PHRASES = (
    "we miss you",
    "we missed you",
    "we've missed you",
    "it's been a while",
    "it has been a while",
    "long time no see",
    "just checking in",
    "just following up",
    "touching base",
    "email finds you well",
    "e-mail finds you well",
    "hope you are doing well",
    "hope you're doing well",
    "valued customer",
    "dear customer",
    "come back to us",
    "act now",
    "don't miss out",
    "limited time only",
    "exclusive offer",
    "great news",
    "we have exciting news",
    "we noticed you haven't",
    "where have you been",
    "your account misses you",
    "click here",
    "check out our",
    "last chance",
)

_MOST_FIELDS_VARIED = 4  # 2 ** 5 renderings of one message, with the others together
_UNLIMITED_SEGMENTS = 1000  # so that the worst case can be counted instead of refused
#: Also without a scheme: a telephone makes a link of `shop.example/sale`.
_LINK = re.compile(r"(?:https?://|www\.|\b(?:[\w-]+\.)+[a-z]{2,}/)[^\s<>\"']+", re.IGNORECASE)
_STOP = re.compile(r"\bSTOP\b")
_FALSE_ANSWER = re.compile(r"\s*(re|aw|fw|fwd)\s*:", re.IGNORECASE)

# Stand-ins that can be recognised in a rendered message.
_TRACKED = "https://tracked.invalid/c/".ljust(LONGEST_TRACKED_LINK, "t")
_UNSUBSCRIBE = "https://unsubscribe.invalid/u/token"
_PREFERENCES = "https://preferences.invalid/p/token"
_CONFIRM = "https://confirm.invalid/confirm/token"
_COMPANY = Company("C" * MERGE_FIELDS["company_name"].longest, "Postal Address of the Company")

_OFFER_ENDS_AT = datetime(2026, 9, 30, 12, tzinfo=UTC)
#: September is the longest month, as "30 September 2026".
_LONG_DATE = date(2026, 9, 30)


def _awkward(field: MergeField) -> object:
    """The longest a lead's value gets: letters in a name; elsewhere the characters that cost two septets."""
    if isinstance(field.sample, date):
        return _LONG_DATE
    if isinstance(field.sample, float):
        return 100.0
    return ("W" if field.name in ("first_name", "country") else "[") * field.longest


_AWKWARD_LEAD: Mapping[str, object] = {
    field.name: _awkward(field) for field in MERGE_FIELDS.values() if not field.is_always_there
}


@dataclass(frozen=True)
class _Part:
    """A subject or a body, and where its author finds it."""

    template: MessageTemplate
    file: str
    first_line: int = 1

    def finding(self, line: int, message: str, advice: str, level: Level = Level.ERROR) -> Finding:
        return Finding(self.file, self.first_line + line - 1, level, message, advice)

    def line_with(self, text: str) -> int:
        """The first line of the template that holds the text, in any case and quotes."""
        lines = smart_encode(self.template.source).lower().splitlines()
        return next((number for number, line in enumerate(lines, start=1) if text in line), 1)


def lint_message(
    campaign: Campaign, step: MessageStep, document: YamlDocument, template_folder: Path
) -> Iterator[Finding]:
    """Everything there is to say about one message."""
    body = _Part(step.template, str(template_folder / step.template.name))
    parts = [body]
    if isinstance(step, EmailStep):
        line = document.line_of([*campaign.places[step.step_id], "email", "subject"])
        subject = _Part(MessageTemplate("subject", step.subject), document.file, line)
        parts.append(subject)
        if step.html_template:
            parts.append(_Part(step.html_template, str(template_folder / step.html_template.name)))

    uses = [(part, use) for part in parts for use in field_uses(part.template)]
    of_fields = list(_judge_fields(step, uses))
    yield from of_fields
    yield from _judge_offer(body, step, {use.name for _, use in uses})
    yield from _judge_copy(parts, {use.name for _, use in uses})

    try:
        if isinstance(step, EmailStep):
            emails = [render_email(step, lead) for lead in _awkward_leads(campaign, step, uses)]
            yield from _judge_email(parts, emails)
        else:
            unlimited = replace(step, max_segments=_UNLIMITED_SEGMENTS)
            texts = [render_sms(unlimited, lead) for lead in _awkward_leads(campaign, step, uses)]
            yield from _judge_sms(body, step, texts)
    except MissingMergeField as error:
        if not of_fields:
            yield body.finding(1, f"some leads have no `{error.field}`", "Give it a fallback wherever it is used.")
    except RenderingError as error:
        yield body.finding(1, f"the message can not be rendered: {error}", "Correct the template.")


def _awkward_leads(
    campaign: Campaign, step: MessageStep, uses: Sequence[tuple[_Part, FieldUse]]
) -> Iterator[dict[str, object]]:
    """Leads with the longest value or none in each field the message uses, in every combination; of many fields, the
    others are all there or all missing. What holds the message when it is missing is always there.
    """
    used = {use.name for _, use in uses} & _AWKWARD_LEAD.keys()
    held = {use.name for _, use in uses if use.holds}
    varied = sorted(used - held)
    each, together = varied[:_MOST_FIELDS_VARIED], varied[_MOST_FIELDS_VARIED:]
    for there in itertools.product((True, False), repeat=len(each) + bool(together)):
        absent = {name for name, is_there in zip(each, there, strict=False) if not is_there}
        absent |= set(together) if together and not there[-1] else set()
        lead = {name: value for name, value in _AWKWARD_LEAD.items() if name not in absent}
        yield message_context(
            campaign,
            lead | {"offer_ends_at": _OFFER_ENDS_AT},
            _COMPANY,
            tracked_link=_TRACKED,
            unsubscribe_link=_UNSUBSCRIBE,
            preferences_link=_PREFERENCES,
            confirm_link=_CONFIRM,
            offer=step.offer,
        )


def _judge_fields(step: MessageStep, uses: Sequence[tuple[_Part, FieldUse]]) -> Iterator[Finding]:
    """Merge fields that do not exist, or that some leads do not have."""
    has_end = bool(step.offer and step.offer.valid_for)
    known = [
        field.name
        for field in MERGE_FIELDS.values()
        if (step.offer or not field.needs_offer) and (has_end or not field.needs_end)
    ]
    for part, use in uses:
        field = MERGE_FIELDS.get(use.name)
        if field is None:
            yield part.finding(use.line, f"there is no merge field `{use.name}`", did_you_mean(use.name, known))
        elif field.needs_offer and not step.offer:
            message = f"`{use.name}` needs an offer, and step `{step.step_id}` makes none"
            yield part.finding(use.line, message, "Name one of the campaign's `offers` in the step: `offer: first`.")
        elif field.needs_end and not has_end:
            message = f"`{use.name}` needs an offer that ends, and the one of step `{step.step_id}` does not"
            yield part.finding(use.line, message, "Give the offer `valid_for: 48h`, or leave the date out.")
        elif not field.is_always_there and not use.has_fallback and not use.holds:
            message = f"`{use.name}` is missing for some leads and has no fallback"
            advice = (
                f"Write `{{{{ {use.name} | default('…') }}}}`, put it into `{{% if {use.name} is defined %}}`, or hold"
                f" the message without it: `{{{{ {use.name} | required }}}}`."
            )
            yield part.finding(use.line, message, advice)


def _judge_offer(body: _Part, step: MessageStep, used: set[str]) -> Iterator[Finding]:
    if step.offer and not used & {"offer_code", "offer_description"}:
        message = f"step `{step.step_id}` makes the offer `{step.offer.name}`, and the message does not say so"
        advice = "Add `{{ offer_code }}` or `{{ offer_description }}`, or take the offer out of the step."
        yield body.finding(1, message, advice, Level.WARNING)


def _judge_copy(parts: Sequence[_Part], used: set[str]) -> Iterator[Finding]:
    """Words that could go to anybody."""
    for part in parts:
        said = " ".join(" ".join(smart_encode(text) for _, text in literal_texts(part.template)).lower().split())
        for phrase in GENERIC_PHRASES:
            if phrase in said:
                message = f"“{phrase}” is what everybody writes"
                advice = "Say what this lead did or asked for (`last_key_action_on`, `cart_item`), or ask something."
                yield part.finding(part.line_with(phrase), message, advice, Level.WARNING)
    personal = {name for name in used if name in MERGE_FIELDS and MERGE_FIELDS[name].is_personal}
    # who confirms an address is not known yet, and asked for this very message
    if personal <= {"first_name"} and "confirm_link" not in used:
        message = "nothing in the message is about this lead" + (" but the first name" if personal else "")
        others = ", ".join(
            f"`{one.name}`" for one in MERGE_FIELDS.values() if one.is_personal and one.name != "first_name"
        )
        yield parts[0].finding(1, message, f"Use another personal field: {others}.", Level.WARNING)


def _judge_email(parts: Sequence[_Part], emails: Sequence[RenderedEmail]) -> Iterator[Finding]:
    """One call to action, the way out and the postal address, whatever the lead lacks."""
    text, subject, *html = parts
    if any(not email.subject for email in emails):
        yield subject.finding(1, "the subject is empty for some leads", "Write one.")
    if any(_FALSE_ANSWER.match(email.subject) for email in emails):
        advice = "Remove the prefix: a deceptive subject is unlawful (15 USC 7704(a)(2))."
        yield subject.finding(1, "the subject pretends to be an answer", advice)
    yield from _judge_email_body(text, [email.text for email in emails])
    for part in html:
        yield from _judge_email_body(part, [email.html or "" for email in emails])


def _judge_email_body(part: _Part, bodies: Sequence[str]) -> Iterator[Finding]:
    yield from _judge_links(part, bodies)
    if any(_UNSUBSCRIBE not in body for body in bodies):
        advice = "Add a line such as `Stop it here: {{ unsubscribe_link }}`."
        yield part.finding(1, "an e-mail must show how to unsubscribe", advice)
    if any(_COMPANY.postal_address not in body for body in bodies):
        advice = "Add `{{ postal_address }}` at the foot (15 USC 7704(a)(5))."
        yield part.finding(1, "an e-mail must show the postal address", advice)


def _judge_sms(part: _Part, step: SmsStep, texts: Sequence[RenderedSms]) -> Iterator[Finding]:
    """What the text costs at worst, who it is from, and how to stop it."""
    yield from _judge_links(part, [text.body for text in texts], is_question=isinstance(step, AskStep))
    if any(not _STOP.search(text.body) for text in texts):
        yield part.finding(1, "a text must say how to stop it", "Add `Reply STOP to opt out`.")
    if any(_COMPANY.name not in text.body for text in texts):
        yield part.finding(1, "a text must say who it is from", "Begin with `{{ company_name }}: `.")
    if any(_PREFERENCES in text.body for text in texts):
        message = "the preference link is too long for a text"
        yield part.finding(part.line_with("preferences_link"), message, "Leave it out; STOP is the way out of texts.")
    for line, literal in literal_texts(step.template):
        foreign = next((character for character in smart_encode(literal) if not is_gsm7(character)), None)
        if foreign:
            at = line + literal.split(foreign)[0].count("\n") if foreign in literal else line
            message = f"the character `{foreign}` is not in GSM-7 and more than doubles the price of the text"
            yield part.finding(at, message, "Write it with another character.", Level.WARNING)
            break
    worst = max(texts, key=lambda text: (text.segments, text.units))
    if worst.segments > step.max_segments:
        message = (
            f"at worst the text takes {worst.segments} segments ({worst.units} units of {worst.encoding}), "
            f"and the step allows {step.max_segments}"
        )
        yield part.finding(1, message, "Shorten it, or raise `max_segments`.")


def _without_our_links(body: str) -> str:
    for link in (_TRACKED, _UNSUBSCRIBE, _PREFERENCES, _CONFIRM):
        body = body.replace(link, " ")
    return body


def _judge_links(part: _Part, bodies: Sequence[str], *, is_question: bool = False) -> Iterator[Finding]:
    """One call to action: a tracked link, a link that confirms, a question, or else the preference page.

    Any other link is not counted, and in a text it is filtered.
    """
    calls = [body.count(_TRACKED) + body.count(_CONFIRM) + is_question for body in bodies]
    if any(not count and _PREFERENCES not in body for count, body in zip(calls, bodies, strict=True)):
        yield part.finding(1, "there is no call to action", "Add `{{ tracked_link }}` once.")
    if max(calls) > 1:
        if is_question:
            message, advice = "a question and a link are two calls to action", "Leave the link out of the question."
        else:
            message = f"there are {max(calls)} tracked links; a reader can answer one call to action"
            advice = "Keep one `{{ tracked_link }}`."
        yield part.finding(part.line_with("_link }}"), message, advice)
    others = {link for body in bodies for link in _LINK.findall(_without_our_links(body))}
    for link in sorted(others):
        message = f"the link {link} is not tracked, so a click on it is not a sign of life"
        yield part.finding(part.line_with(link.lower()), message, "Use `{{ tracked_link }}`, or leave it out.")
