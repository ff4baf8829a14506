"""Fills a step's templates for one lead, in a sandbox: templates reach values and filters, never Python.

RekindleError
└── RenderingError          this message is held; neither the lead nor the run is to blame
    ├── MissingMergeField   the lead lacks a field that the template gives no fallback for
    ├── MessageTooLong      a text costs more segments than its step allows
    └── TemplateFailed      the template itself does not work
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from html import escape

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from msgspec import Struct

from rekindle.campaigns.models import EmailStep, MessageTemplate, SmsStep
from rekindle.errors import RekindleError
from rekindle.rendering.fields import usable
from rekindle.rendering.segments import Encoding, fit_to_gsm7, is_gsm7, measure, smart_encode

#: Not in the language of a bill or a lawyer, and the same on every machine (calendar.month_name follows the locale).
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


class RenderingError(RekindleError):
    """A message could not be made. Its text names the template and the field, never a value of the lead's."""


class MissingMergeField(RenderingError):
    """The lead lacks a field that the template gives no fallback for."""

    def __init__(self, field: str, template: str) -> None:
        self.field, self.template = field, template
        super().__init__(f"{template}: no value for `{field}`. Give it a fallback: {{{{ {field} | default('…') }}}}")


class MessageTooLong(RenderingError):
    """A text costs more segments than its step allows."""

    def __init__(self, template: str, segments: int, max_segments: int, encoding: Encoding) -> None:
        self.template, self.segments, self.max_segments = template, segments, max_segments
        super().__init__(
            f"{template}: {segments} segments in {encoding}, but max_segments is {max_segments}. Shorten the text"
        )


class TemplateFailed(RenderingError):
    """The template itself does not work."""

    def __init__(self, template: str, reason: str, line: int = 1) -> None:
        self.template, self.reason, self.line = template, reason, line
        super().__init__(f"{template}:{line}: {reason}")


class RenderedEmail(Struct, frozen=True, gc=False):
    subject: str
    text: str
    html: str | None
    template_hash: str  # of what was meant: subject and body templates
    body_hash: str  # of what this lead is sent


class RenderedSms(Struct, frozen=True, gc=False):
    body: str
    encoding: Encoding
    units: int
    segments: int
    template_hash: str
    body_hash: str


class _Required(StrictUndefined):
    """A missing field; the message of its error is just the field's name."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        return str(self._undefined_name)


def month_and_year(day: date) -> str:
    """`March 2026`: how a person remembers when something was."""
    return f"{MONTHS[day.month - 1]} {day.year}"


def long_date(day: date) -> str:
    """`14 March 2026`."""
    return f"{day.day} {month_and_year(day)}"


def required(value: object) -> object:
    """The value; a message whose lead lacks it is held, on purpose."""
    if isinstance(value, _Required):
        raise UndefinedError(value._undefined_message)
    return value


def _environment(*, is_html: bool) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        autoescape=is_html,  # plain text has no markup to escape
        undefined=_Required,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=0,
    )
    environment.filters |= {"month_and_year": month_and_year, "long_date": long_date, "required": required}
    # The same lead must get the same body again, or its hash proves nothing.
    del environment.filters["random"], environment.globals["lipsum"]
    return environment


_PLAIN = _environment(is_html=False)
_HTML = _environment(is_html=True)

#: Names every template knows without being told: `range` and the like.
TEMPLATE_GLOBALS = frozenset(_PLAIN.globals)


@lru_cache(maxsize=1024)
def parse_template(template: MessageTemplate) -> nodes.Template:
    """The template's syntax tree; raises `TemplateFailed` with the line. A template may use no other file."""
    environment = _HTML if template.name.endswith(".html.j2") else _PLAIN
    try:
        tree = environment.parse(template.source)
        environment.compile(tree)  # finds unknown filters and tests
    except TemplateSyntaxError as error:
        raise TemplateFailed(template.name, str(error.message).removesuffix("."), error.lineno) from None
    other_files = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
    for node in tree.find_all(other_files):
        raise TemplateFailed(template.name, "a template can not use another file", node.lineno)
    return environment.parse(template.source)


class EmailRenderer:
    """Fills the templates of an e-mail step for one lead after the other: what is the same for all is done once."""

    def __init__(self, step: EmailStep) -> None:
        """Raises `TemplateFailed`."""
        self.fields = used_fields(step)
        self._subject = _Filling(_subject_template(step))
        self._text = _Filling(step.template)
        self._html = _Filling(step.html_template) if step.html_template else None
        self._template_hash = template_hash(step)

    def render(self, shown: Mapping[str, object], *, honeypot_link: str | None = None) -> RenderedEmail:
        """As `render_email`, of the used fields that can be shown (`rekindle.rendering.fields.usable`)."""
        subject = " ".join(self._subject.fill(shown).split())  # one line, whatever a field holds
        text = _tidy(self._text.fill(shown)) + "\n"
        html = self._html.fill(shown) if self._html else None
        if html is not None and honeypot_link is not None:
            html = _with_honeypot(html, honeypot_link)
        return RenderedEmail(subject, text, html, self._template_hash, _hash(subject, text, html or ""))


class SmsRenderer:
    """Fills the template of a text step for one lead after the other."""

    def __init__(self, step: SmsStep) -> None:
        """Raises `TemplateFailed`."""
        self.fields = used_fields(step)
        self._template_name = step.template.name
        self._max_segments = step.max_segments
        self._body = _Filling(step.template)
        self._is_gsm7 = _is_gsm7_template(step.template)
        self._template_hash = template_hash(step)

    def render(self, shown: Mapping[str, object]) -> RenderedSms:
        """As `render_sms`, of the used fields that can be shown (`rekindle.rendering.fields.usable`)."""
        if self._is_gsm7:
            fitted = {
                name: fit_to_gsm7(value) if isinstance(value, str) and not is_gsm7(value) else value
                for name, value in shown.items()
            }
            shown = {name: value for name, value in fitted.items() if value is not None}
        body = smart_encode(_tidy(self._body.fill(shown)))
        size = measure(body)
        if size.segments > self._max_segments:
            raise MessageTooLong(self._template_name, size.segments, self._max_segments, size.encoding)
        return RenderedSms(body, size.encoding, size.units, size.segments, self._template_hash, _hash(body))


_email_renderer = lru_cache(maxsize=1024)(EmailRenderer)
_sms_renderer = lru_cache(maxsize=1024)(SmsRenderer)


def render_email(step: EmailStep, context: Mapping[str, object], *, honeypot_link: str | None = None) -> RenderedEmail:
    """Subject and bodies for one lead; raises `RenderingError`.

    With `honeypot_link` the HTML body gets a link that no person can see: whoever follows it is software. The plain
    text can hide nothing and gets none.
    """
    renderer = _email_renderer(step)
    return renderer.render(_shown(renderer.fields, context), honeypot_link=honeypot_link)


def render_sms(step: SmsStep, context: Mapping[str, object]) -> RenderedSms:
    """The text for one lead, smart-encoded and counted as it will be billed; raises `RenderingError`.

    A template written in GSM-7 stays in GSM-7 for everybody: a name loses its accents if it must, and a name in another
    script gives way to the fallback, because one foreign letter more than doubles the price of the whole text.
    """
    renderer = _sms_renderer(step)
    return renderer.render(_shown(renderer.fields, context))


def _shown(used: frozenset[str], context: Mapping[str, object]) -> dict[str, object]:
    """What can be shown of what the templates ask for: no template sees what it does not name."""
    return usable({name: context[name] for name in used if name in context})


def _with_honeypot(html: str, link: str) -> str:
    """The link before the end of the body, out of sight, out of the tab order and silent in a screen reader."""
    anchor = f'<a href="{escape(link)}" style="display:none" tabindex="-1" aria-hidden="true" rel="nofollow"></a>'
    before, tag, after = html.rpartition("</body>")
    return f"{before}{anchor}{tag}{after}" if tag else f"{html}{anchor}"


@lru_cache(maxsize=1024)
def template_hash(step: EmailStep | SmsStep) -> str:
    """Hash of what a step means to say, known before any lead is: equal for all its messages."""
    if isinstance(step, SmsStep):
        return _hash(step.template.source)
    return _hash(step.subject, step.template.source, step.html_template.source if step.html_template else "")


class _Filling:
    """One template, filled for one lead after the other."""

    def __init__(self, template: MessageTemplate) -> None:
        self._name = template.name
        self._is_the_same_for_all = not meta.find_undeclared_variables(parse_template(template))
        self._template = _compiled(template.source, template.name.endswith(".html.j2"))
        self._for_all: str | None = None

    def fill(self, fields: Mapping[str, object]) -> str:
        if self._for_all is not None:
            return self._for_all
        filled = self._filled(fields)
        if self._is_the_same_for_all:
            self._for_all = filled
        return filled

    def _filled(self, fields: Mapping[str, object]) -> str:
        try:
            # As the template's own `render`, but for two copies of what it is told.
            context = self._template.new_context({**self._template.globals, **fields}, shared=True)
            return "".join(self._template.root_render_func(context))
        except UndefinedError as error:
            raise MissingMergeField(str(error.message), self._name) from None
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            # Only the kind of error: its text may quote what the lead typed.
            raise TemplateFailed(self._name, f"rendering failed with {type(error).__name__}") from None


@lru_cache(maxsize=1024)
def _compiled(source: str, is_html: bool) -> Template:
    template = (_HTML if is_html else _PLAIN).from_string(source)
    # Jinja chains two dictionaries here and copies the chain for every message, which costs more than the rendering.
    template.globals = dict(template.globals)
    return template


def _subject_template(step: EmailStep) -> MessageTemplate:
    return MessageTemplate(f"subject of {step.step_id}", step.subject)


@lru_cache(maxsize=1024)
def used_fields(step: EmailStep | SmsStep) -> frozenset[str]:
    """Every field that some template of the step mentions: what none mentions need not be made for every lead.

    Raises `TemplateFailed`.
    """
    templates = [step.template]
    if isinstance(step, EmailStep):
        templates += [_subject_template(step)] + ([step.html_template] if step.html_template else [])
    return frozenset().union(*(meta.find_undeclared_variables(parse_template(one)) for one in templates))


def _is_gsm7_template(template: MessageTemplate) -> bool:
    """Whether everything the template says by itself fits into GSM-7; comments do not count."""
    tree = parse_template(template)
    said = [node.data for node in tree.find_all(nodes.TemplateData)]
    said += [node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)]
    return all(is_gsm7(smart_encode(text)) for text in said)


#: All white space of ASCII but a blank and a line break, and what is too much of these.
_UNTIDY_ASCII = (" \n", "\n\n\n", *"\t\r\x0b\x0c\x1c\x1d\x1e\x1f")


def _tidy(text: str) -> str:
    """No blanks at line ends, no blank lines at either end, never more than one blank line in a row."""
    text = text.strip()
    # Nearly every text is tidy, and finding that out is quicker.
    if text.isascii():
        for mess in _UNTIDY_ASCII:
            if mess in text:
                break
        else:
            return text
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(line for i, line in enumerate(lines) if line or lines[i - 1])


def _hash(*parts: str) -> str:
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()
