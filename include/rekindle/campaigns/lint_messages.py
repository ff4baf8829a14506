"""Judges one message of a campaign by reading its templates and rendering them for the most awkward leads."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from rekindle.campaigns.findings import Finding, Level, did_you_mean
from rekindle.campaigns.models import Campaign, EmailStep, MessageStep, MessageTemplate, SmsStep
from rekindle.campaigns.yaml_document import YamlDocument
from rekindle.rendering.context import Company, message_context
from rekindle.rendering.fields import LONGEST_TRACKED_LINK, MERGE_FIELDS
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
    "last chance",
)

_MOST_FIELDS_VARIED = 6  # 2 ** 6 renderings of one message
_UNLIMITED_SEGMENTS = 1000  # so that the worst case can be counted instead of refused
_LINK = re.compile(r"(?:https?://|www\.)[^\s<>\"']+", re.IGNORECASE)
_STOP = re.compile(r"\bSTOP\b")
_FALSE_ANSWER = re.compile(r"\s*(re|aw|fw|fwd)\s*:", re.IGNORECASE)

# Stand-ins that can be recognised in a rendered message.
_TRACKED = "https://tracked.invalid/c/".ljust(LONGEST_TRACKED_LINK, "t")
_UNSUBSCRIBE = "https://unsubscribe.invalid/u/token"
_PREFERENCES = "https://preferences.invalid/p/token"
_COMPANY = Company("C" * MERGE_FIELDS["company_name"].longest, "Postal Address of the Company")

#: The longest a lead's values get: letters in a name; elsewhere the characters that cost two septets.
_AWKWARD_LEAD: Mapping[str, object] = {
    "first_name": "W" * MERGE_FIELDS["first_name"].longest,
    "plan": "[" * MERGE_FIELDS["plan"].longest,
    "last_key_action_on": date(2026, 9, 30),
    "locale": "[" * MERGE_FIELDS["locale"].longest,
    "country": "WW",
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
    campaign: Campaign, step: MessageStep, number: int, document: YamlDocument, template_folder: Path
) -> Iterator[Finding]:
    """Everything there is to say about one message."""
    body = _Part(step.template, str(template_folder / step.template.name))
    parts = [body]
    if isinstance(step, EmailStep):
        line = document.line_of(["steps", number, "email", "subject"])
        subject = _Part(MessageTemplate("subject", step.subject), document.file, line)
        parts.append(subject)
        if step.html_template:
            parts.append(_Part(step.html_template, str(template_folder / step.html_template.name)))

    uses = [(part, use) for part in parts for use in field_uses(part.template)]
    of_fields = list(_judge_fields(campaign, uses))
    yield from of_fields
    yield from _judge_copy(parts, {use.name for _, use in uses})

    try:
        if isinstance(step, EmailStep):
            emails = [render_email(step, lead) for lead in _awkward_leads(campaign, uses)]
            yield from _judge_email(parts, emails)
        else:
            unlimited = replace(step, max_segments=_UNLIMITED_SEGMENTS)
            texts = [render_sms(unlimited, lead) for lead in _awkward_leads(campaign, uses)]
            yield from _judge_sms(body, step, texts)
    except MissingMergeField as error:
        if not of_fields:
            yield body.finding(1, f"some leads have no `{error.field}`", "Give it a fallback wherever it is used.")
    except RenderingError as error:
        yield body.finding(1, f"the message can not be rendered: {error}", "Correct the template.")


def _awkward_leads(campaign: Campaign, uses: Sequence[tuple[_Part, FieldUse]]) -> Iterator[dict[str, object]]:
    """Leads with the longest value or none in each field the message uses, in every combination."""
    used = {use.name for _, use in uses}
    varied = sorted(name for name in _AWKWARD_LEAD if name in used)[:_MOST_FIELDS_VARIED]
    for there in itertools.product((True, False), repeat=len(varied)):
        absent = {name for name, is_there in zip(varied, there, strict=True) if not is_there}
        lead = {name: value for name, value in _AWKWARD_LEAD.items() if name not in absent}
        yield message_context(
            campaign,
            lead,
            _COMPANY,
            tracked_link=_TRACKED,
            unsubscribe_link=_UNSUBSCRIBE,
            preferences_link=_PREFERENCES,
        )


def _judge_fields(campaign: Campaign, uses: Sequence[tuple[_Part, FieldUse]]) -> Iterator[Finding]:
    """Merge fields that do not exist, or that some leads do not have."""
    has_offer = campaign.offer is not None
    known = [field.name for field in MERGE_FIELDS.values() if has_offer or not field.needs_offer]
    for part, use in uses:
        field = MERGE_FIELDS.get(use.name)
        if field is None:
            yield part.finding(use.line, f"there is no merge field `{use.name}`", did_you_mean(use.name, known))
        elif field.needs_offer and not has_offer:
            message = f"`{use.name}` needs an offer, and the campaign has none"
            yield part.finding(use.line, message, "Add `offer:` to the campaign.")
        elif not field.is_always_there and not use.has_fallback:
            message = f"`{use.name}` is missing for some leads and has no fallback"
            advice = f"Write `{{{{ {use.name} | default('…') }}}}`, or put it into `{{% if {use.name} is defined %}}`."
            yield part.finding(use.line, message, advice)


def _judge_copy(parts: Sequence[_Part], used: set[str]) -> Iterator[Finding]:
    """Words that could go to anybody."""
    for part in parts:
        said = " ".join(" ".join(smart_encode(text) for _, text in literal_texts(part.template)).lower().split())
        for phrase in GENERIC_PHRASES:
            if phrase in said:
                message = f"“{phrase}” is what everybody writes"
                advice = "Say what this lead did or asked for (`last_key_action_on`, `plan`), or ask something."
                yield part.finding(part.line_with(phrase), message, advice, Level.WARNING)
    personal = {name for name in used if name in MERGE_FIELDS and MERGE_FIELDS[name].is_personal}
    if personal <= {"first_name"}:
        message = "nothing in the message is about this lead" + (" but the first name" if personal else "")
        others = ", ".join(f"`{field.name}`" for field in MERGE_FIELDS.values() if field.is_personal)
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
    yield from _judge_links(part, bodies, at_least=1)
    if any(_UNSUBSCRIBE not in body for body in bodies):
        advice = "Add a line such as `Stop it here: {{ unsubscribe_link }}`."
        yield part.finding(1, "an e-mail must show how to unsubscribe", advice)
    if any(_COMPANY.postal_address not in body for body in bodies):
        advice = "Add `{{ postal_address }}` at the foot (15 USC 7704(a)(5))."
        yield part.finding(1, "an e-mail must show the postal address", advice)


def _judge_sms(part: _Part, step: SmsStep, texts: Sequence[RenderedSms]) -> Iterator[Finding]:
    """What the text costs at worst, who it is from, and how to stop it."""
    yield from _judge_links(part, [text.body for text in texts], at_least=0)
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
    for link in (_TRACKED, _UNSUBSCRIBE, _PREFERENCES):
        body = body.replace(link, " ")
    return body


def _judge_links(part: _Part, bodies: Sequence[str], *, at_least: int) -> Iterator[Finding]:
    """One tracked link is the one call to action; any other link is not counted, and in a text it is filtered."""
    counts = [body.count(_TRACKED) for body in bodies]
    if min(counts) < at_least:
        yield part.finding(1, "there is no call to action", "Add `{{ tracked_link }}` once.")
    if max(counts) > 1:
        message = f"there are {max(counts)} tracked links; a reader can answer one call to action"
        yield part.finding(part.line_with("tracked_link"), message, "Keep one `{{ tracked_link }}`.")
    others = {link for body in bodies for link in _LINK.findall(_without_our_links(body))}
    for link in sorted(others):
        message = f"the link {link} is not tracked, so a click on it is not a sign of life"
        yield part.finding(part.line_with(link.lower()), message, "Use `{{ tracked_link }}`, or leave it out.")
