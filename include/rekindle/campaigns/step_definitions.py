"""What the steps of a campaign file may say. The JSON schema for editors is made from these classes.

To add a kind of step: a `…StepDefinition` class here with one key besides `id`, an entry in `STEP_KINDS`, its
counterpart in `models.py`, and a line in `loader.py` that turns one into the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    Tag,
    WithJsonSchema,
    model_validator,
)

from rekindle.campaigns.answers import BUILT_IN_WORDS, as_said, is_spoken_for
from rekindle.campaigns.conditions import AnyCondition, ContextDate, SqlCondition, yes_or_no
from rekindle.campaigns.durations import format_signed_duration, parse_signed_duration
from rekindle.campaigns.findings import did_you_mean
from rekindle.campaigns.words import Definition, Duration, Identifier, Text, WholeNumber, parsed_by, text_like, wrong

TemplateName: TypeAlias = Annotated[
    str,
    BeforeValidator(
        text_like(r"[a-z0-9_][a-z0-9_-]*(\.[a-z0-9_-]+)*\.txt\.j2", "the name of a plain-text template", "probe.txt.j2")
    ),
]
HtmlTemplateName: TypeAlias = Annotated[
    str,
    BeforeValidator(
        text_like(r"[a-z0-9_][a-z0-9_-]*(\.[a-z0-9_-]+)*\.html\.j2", "the name of an HTML template", "probe.html.j2")
    ),
]


SignedDuration: TypeAlias = Annotated[
    timedelta,
    PlainValidator(parsed_by(parse_signed_duration, "-3d")),
    PlainSerializer(format_signed_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^[-+]?[0-9]+(m|h|d|w)$", "examples": ["-3d"]}),
]
_LOCAL_TIME = re.compile(r"([01]?[0-9]|2[0-3]):[0-5][0-9]")


def _local_time(value: Any) -> Any:
    if isinstance(value, int):  # YAML 1.1 reads a bare 10:00 as sixty times ten
        value = f"{value // 60:02}:{value % 60:02}"
    if isinstance(value, str) and not _LOCAL_TIME.fullmatch(value):
        raise wrong(f"`{value}` is not a time of day", 'Write it like "10:00".')
    return value


LocalTime: TypeAlias = Annotated[
    str, BeforeValidator(_local_time), Field(json_schema_extra={"pattern": "^([01]?[0-9]|2[0-3]):[0-5][0-9]$"})
]
Weight: TypeAlias = Annotated[WholeNumber, Field(ge=0, le=1_000_000)]
#: Ends that a campaign may choose; the others are what happened to the lead.
PathExit: TypeAlias = Literal["archived", "converted", "replied", "superseded", "cancelled", "preference_paused"]


class OfferDefinition(Definition):
    """What the lead gets for coming back. A message step names it."""

    name: Identifier = Field(examples=["first"])
    """What the steps call it."""
    code: Text = Field(examples=["BACK20"])
    """`offer_code` in the templates."""
    description: Text = Field(examples=["20 % off your next month"])
    """`offer_description` in the templates."""
    value: Annotated[float, Strict()] | None = Field(default=None, gt=0, examples=[20])
    """What it is worth, all offers in one unit (percent, or money): lint sees that nobody is offered less later."""
    valid_for: Duration | None = Field(default=None, examples=["48h"])
    """From the planned send until then; `offer_ends_on` in the templates."""


class VariantDefinition(Definition):
    """One way to say it all; drawn once, when the lead enters."""

    name: Identifier = Field(examples=["story"])
    """`variant` in the templates, and in `when: {variant: story}`."""
    weight: Weight = Field(examples=[50])
    """Its share is its weight over the sum of all weights."""


class EventExitDefinition(Definition):
    """An app event after entering ends the entry."""

    event: Text = Field(examples=["purchase"])
    """The name of the event, as the product sends it."""
    exit: PathExit = Field(examples=["converted"])
    """How the entry ends."""


class SqlExitDefinition(Definition):
    """A condition on what is known of the lead ends the entry."""

    sql: SqlCondition = Field(examples=["plan = 'enterprise'"])
    """One condition on columns of `sync_lead_context`."""
    exit: PathExit = Field(examples=["superseded"])
    """How the entry ends."""


def _exit_tag(value: Any) -> str | None:
    if isinstance(value, Mapping):
        return "exit on an event" if "event" in value else "exit on a condition" if "sql" in value else None
    return "exit on an event" if isinstance(value, EventExitDefinition) else "exit on a condition"


def _one_exit(value: Any) -> Any:
    if isinstance(value, Definition) or (isinstance(value, Mapping) and ("event" in value) != ("sql" in value)):
        return value
    example = "{event: purchase, exit: converted}"
    raise wrong("an exit says either `event` or `sql`", f"Write for example `{example}`.")


AnyExitDefinition: TypeAlias = Annotated[
    Annotated[EventExitDefinition, Tag("exit on an event")] | Annotated[SqlExitDefinition, Tag("exit on a condition")],
    Discriminator(_exit_tag),
    BeforeValidator(_one_exit),
]


class StepDefinition(Definition):
    step_id: Identifier = Field(alias="id", examples=["probe"])
    """Names the step in tables and reports; unique within the campaign, nested steps included."""


class EmailDefinition(Definition):
    template: TemplateName = Field(examples=["probe.txt.j2"])
    """The plain-text body: a file in the campaign's folder of `include/templates`."""
    subject: Text = Field(examples=["Did we get in your way?"])
    """The subject line, itself a template."""
    html_template: HtmlTemplateName | None = None
    """An HTML body beside the plain text."""
    offer: Identifier | None = None
    """The name of the offer it makes."""


class EmailStepDefinition(StepDefinition):
    """Sends an e-mail."""

    email: EmailDefinition


class SmsDefinition(Definition):
    template: TemplateName = Field(examples=["nudge.txt.j2"])
    """The text: a file in the campaign's folder of `include/templates`."""
    max_segments: WholeNumber = Field(default=2, ge=1, le=10)
    """The most segments it may cost; a longer text is held, not sent."""
    offer: Identifier | None = None
    """The name of the offer it makes."""


class SmsStepDefinition(StepDefinition):
    """Sends a text message."""

    sms: SmsDefinition


class UntilFieldDefinition(Definition):
    """Waits for a date that is known of the lead. Without one, or when it is past, the lead goes on at once."""

    until_field: ContextDate = Field(examples=["renewal_on"])
    """A date column of `sync_lead_context`; its day begins at 00:00 UTC."""
    plus: SignedDuration = timedelta()
    """So long after that date, or before it: `-3d`."""


class UntilLocalDefinition(Definition):
    """Waits for a time of day where the lead is, in every zone the lead may be in."""

    until_local: LocalTime = Field(examples=["10:00"])
    """The next such time of day."""


def _wait_tag(value: Any) -> str:
    if isinstance(value, Mapping):
        return "until a time of day" if "until_local" in value else "until a date"
    if isinstance(value, UntilFieldDefinition):
        return "until a date"
    return "until a time of day" if isinstance(value, UntilLocalDefinition) else "duration"


class WaitStepDefinition(StepDefinition):
    """Waits for signs of life: a given time after the step before, until a date of the lead, or a time of day."""

    wait: Annotated[
        Annotated[Duration, Tag("duration")]
        | Annotated[UntilFieldDefinition, Tag("until a date")]
        | Annotated[UntilLocalDefinition, Tag("until a time of day")],
        Discriminator(_wait_tag),
    ]


class AwaitedDefinition(Definition):
    """What is waited for."""

    event: Text = Field(examples=["project_created"])
    """The name of an app event, as the product sends it."""
    within: Duration = Field(examples=["7d"])
    """How long to wait for it at most."""


class WaitForStepDefinition(StepDefinition):
    """Waits for an app event, and no longer than told."""

    wait_for: AwaitedDefinition
    then: tuple[AnyStepDefinition, ...] = ()
    """What happens when the event came."""
    otherwise: tuple[AnyStepDefinition, ...] = ()
    """What happens when the time ran out."""


class CaseDefinition(Definition):
    """One case of a branch: its steps are for those who meet its condition and none before it."""

    when: AnyCondition | None = Field(default=None, examples=[{"event": "pricing_viewed", "within": "30d"}])
    """The condition."""
    otherwise: Literal[True] | None = None
    """Says that this last case takes everybody else."""
    steps: tuple[AnyStepDefinition, ...] = ()
    """What happens in this case."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.when is None) == (self.otherwise is None):
            advice = "Write `when: {event: pricing_viewed, within: 30d}` or `otherwise: true`."
            raise wrong("a case says either `when` or `otherwise`", advice)
        return self


class BranchStepDefinition(StepDefinition):
    """Goes the way of the first case that holds; who meets none goes on with the step after."""

    branch: tuple[CaseDefinition, ...] = Field(
        min_length=1, examples=[[{"when": {"event": "pricing_viewed", "within": "30d"}, "steps": []}]]
    )
    """The cases, in the order in which they are looked at."""

    @model_validator(mode="after")
    def _otherwise_is_last(self) -> Self:
        if any(case.otherwise for case in self.branch[:-1]):
            raise wrong(
                "a case stands after `otherwise` and is never reached", "Move `otherwise` to the end.", "branch"
            )
        return self


class WayDefinition(Definition):
    """One way of a split."""

    name: Identifier = Field(examples=["a"])
    """Names the way in reports."""
    weight: Weight = Field(examples=[50])
    """Its share is its weight over the sum of all weights."""
    steps: tuple[AnyStepDefinition, ...] = ()
    """What happens on this way."""


def check_draw(options: tuple[WayDefinition, ...] | tuple[VariantDefinition, ...], what: str) -> None:
    """Raise unless the names differ and some weight is left to draw by."""
    names = [option.name for option in options]
    for name in names:
        if names.count(name) > 1:
            raise wrong(f"two {what} are called `{name}`", "Give one of them another name.")
    if options and not sum(option.weight for option in options):
        raise wrong(f"all {what} have the weight 0", "Give at least one of them a weight.")


class SplitStepDefinition(StepDefinition):
    """Draws a way for each lead, always the same one for the same household."""

    split: tuple[WayDefinition, ...] = Field(
        min_length=2, examples=[[{"name": "a", "weight": 50, "steps": []}, {"name": "b", "weight": 50, "steps": []}]]
    )
    """The ways, with their weights."""

    @model_validator(mode="after")
    def _can_be_drawn(self) -> Self:
        check_draw(self.split, "ways")
        return self


def _read_answers(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {yes_or_no(answer): words for answer, words in value.items()}


def _read_words(value: Any) -> Any:
    return [yes_or_no(word) for word in value] if isinstance(value, (list, tuple)) else value


Answer: TypeAlias = Annotated[
    str,
    BeforeValidator(text_like(r"[a-z0-9][a-z0-9_]{0,62}", "an answer (lower-case letters, digits and _)", "yes")),
]
AnswerWords: TypeAlias = Annotated[tuple[Text, ...], BeforeValidator(_read_words)]


class AskDefinition(Definition):
    """A question and what may be answered."""

    sms: SmsDefinition
    """The question. Only texts are asked by: nobody reads the answers to an e-mail here."""
    expect: Annotated[dict[Answer, AnswerWords], BeforeValidator(_read_answers)] = Field(
        min_length=1, examples=[{"yes": ["sure"], "no": ["later"]}]
    )
    """Answer → words that mean it, whatever their case, spacing and punctuation; `yes` and `no` know the usual ones."""
    within: Duration = Field(examples=["48h"])
    """How long to wait for the answer at most."""

    @model_validator(mode="after")
    def _answers_differ(self) -> Self:
        meaning: dict[str, str] = {}
        for answer, words in self.expect.items():
            if answer not in BUILT_IN_WORDS and not words:
                raise wrong(f"no word means `{answer}`", f"Write for example `{answer}: [{answer}]`.", "expect")
            for word in (*words, *BUILT_IN_WORDS.get(answer, ())):
                said = as_said(word)
                if not said:
                    raise wrong(f"`{word}` has no letter or digit", "Give a word that can be typed.", "expect")
                if is_spoken_for(said):
                    advice = "Whatever was asked, it means stop, start or help; ask for another word."
                    raise wrong(f"`{word}` can not be an answer", advice, "expect")
                if meaning.setdefault(said, answer) != answer:
                    message = f"`{word}` means both `{meaning[said]}` and `{answer}`"
                    raise wrong(message, "Keep it in one of them.", "expect")
        return self


class AskStepDefinition(StepDefinition):
    """Asks a question by text and waits for the answer."""

    ask: AskDefinition
    answers: Annotated[dict[Answer, tuple[AnyStepDefinition, ...]], BeforeValidator(_read_answers)] = Field(
        default_factory=dict
    )
    """Answer → what happens then; an answer that is not named goes on with the step after."""
    otherwise: tuple[AnyStepDefinition, ...] = ()
    """What happens when no answer came in time."""

    @model_validator(mode="after")
    def _expects_its_answers(self) -> Self:
        for answer in self.answers:
            if answer not in self.ask.expect:
                advice = did_you_mean(answer, self.ask.expect)
                raise wrong(f"the question does not expect `{answer}`", advice, "answers")
        return self


class TagDefinition(Definition):
    """Tags of the lead."""

    add: tuple[Identifier, ...] = Field(default=(), examples=[["hot"]])
    """Tags the lead gets."""
    remove: tuple[Identifier, ...] = ()
    """Tags the lead loses."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not self.add and not self.remove:
            raise wrong("the step adds no tag and removes none", "Write for example `tag: {add: [hot]}`.")
        return self


class TagStepDefinition(StepDefinition):
    """Writes tags into `rekindle_state.lead_tags`."""

    tag: TagDefinition


class WebhookDefinition(Definition):
    """Whom to tell, and what."""

    connection: Identifier = Field(examples=["crm"])
    """The id of an Airflow HTTP connection."""
    event: Text = Field(examples=["lead_silent"])
    """What the other side is told has happened."""


class WebhookStepDefinition(StepDefinition):
    """Tells another system, at least once; never about somebody who is held out."""

    webhook: WebhookDefinition


class EndStepDefinition(StepDefinition):
    """Ends the entry."""

    end: PathExit = Field(examples=["archived"])


#: Key in the file → the class that reads it.
STEP_KINDS: dict[str, type[StepDefinition]] = {
    "email": EmailStepDefinition,
    "sms": SmsStepDefinition,
    "wait": WaitStepDefinition,
    "wait_for": WaitForStepDefinition,
    "branch": BranchStepDefinition,
    "split": SplitStepDefinition,
    "ask": AskStepDefinition,
    "tag": TagStepDefinition,
    "webhook": WebhookStepDefinition,
    "end": EndStepDefinition,
}


def _step_tag(value: Any) -> str | None:
    if isinstance(value, Mapping):
        return next((f"{kind} step" for kind in STEP_KINDS if kind in value), None)
    return next((f"{kind} step" for kind, cls in STEP_KINDS.items() if isinstance(value, cls)), None)


def _one_kind(value: Any) -> Any:
    """A step says one thing; a step that says none or several is explained here, in better words than a union's."""
    if isinstance(value, StepDefinition):
        return value
    if not isinstance(value, Mapping):
        raise wrong("a step must be a mapping", "Write for example `- id: listen` and under it `wait: 72h`.")
    kinds = [kind for kind in STEP_KINDS if kind in value]
    if len(kinds) > 1:
        raise wrong(f"one step says both `{kinds[0]}` and `{kinds[1]}`", "Make two steps of it, each with its own id.")
    if not kinds:
        word = next((str(key) for key in value if key != "id"), "")
        if word:
            raise wrong(f"`{word}` is not a kind of step", did_you_mean(word, STEP_KINDS), word)
        raise wrong("the step does nothing", f"Add one of: {', '.join(STEP_KINDS)}.")
    return value


AnyStepDefinition: TypeAlias = Annotated[
    Annotated[EmailStepDefinition, Tag("email step")]
    | Annotated[SmsStepDefinition, Tag("sms step")]
    | Annotated[WaitStepDefinition, Tag("wait step")]
    | Annotated[WaitForStepDefinition, Tag("wait_for step")]
    | Annotated[BranchStepDefinition, Tag("branch step")]
    | Annotated[SplitStepDefinition, Tag("split step")]
    | Annotated[AskStepDefinition, Tag("ask step")]
    | Annotated[TagStepDefinition, Tag("tag step")]
    | Annotated[WebhookStepDefinition, Tag("webhook step")]
    | Annotated[EndStepDefinition, Tag("end step")],
    Discriminator(_step_tag),
    BeforeValidator(_one_kind),
]
for _definition in STEP_KINDS.values():
    _definition.model_rebuild(force=True)  # steps that hold steps could not be read before the union had its name
