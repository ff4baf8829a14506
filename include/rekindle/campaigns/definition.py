"""What a campaign file may say, word by word. The JSON schema for editors is made from these classes.

To add a kind of step: a `…StepDefinition` class here with one key besides `id`, an entry in `STEP_KINDS`, its
counterpart in `models.py`, and a line in `loader.py` that turns one into the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from rekindle.campaigns.durations import PATTERN as DURATION_PATTERN
from rekindle.campaigns.durations import format_duration, parse_duration
from rekindle.campaigns.findings import did_you_mean
from rekindle.timing.send_window import WEEKDAYS, LocalHours, SendWindow, UnknownTimeZone

#: The type of every error raised by the validators below; its context holds `message`, `advice` and perhaps `word`.
OWN_ERROR = "campaign"


def wrong(message: str, advice: str, word: str = "") -> PydanticCustomError:
    """An error in our words. `word` is the key the author wrote, if the line of the error is that key's line."""
    return PydanticCustomError(OWN_ERROR, "{message}", {"message": message, "advice": advice, "word": word})


def _text_like(pattern: str, what: str, example: str) -> Callable[[Any], Any]:
    compiled = re.compile(pattern)

    def check(value: Any) -> Any:
        if isinstance(value, str) and not compiled.fullmatch(value):
            raise wrong(f"`{value}` is not {what}", f"Write it like `{example}`.")
        return value

    return check


def _parsed_by(parse: Callable[[str], Any], example: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        try:
            return parse(value if isinstance(value, str) else str(value).lower())
        except ValueError as error:
            raise wrong(f"`{value}` can not be read: {error}", f"Write for example `{example}`.") from None

    return check


Text: TypeAlias = Annotated[str, Field(min_length=1)]
WholeNumber: TypeAlias = Annotated[int, Strict()]
Identifier: TypeAlias = Annotated[
    str,
    BeforeValidator(_text_like(r"[a-z][a-z0-9_]{0,62}", "an id (lower-case letters, digits and _)", "first_email")),
    Field(json_schema_extra={"pattern": "^[a-z][a-z0-9_]{0,62}$"}),
]
ActivationModel: TypeAlias = Annotated[
    str,
    BeforeValidator(_text_like(r"sync_[a-z0-9_]+", "an activation model (they start with sync_)", "sync_cold_leads")),
    Field(json_schema_extra={"pattern": "^sync_[a-z0-9_]+$"}),
]
TemplateName: TypeAlias = Annotated[
    str,
    BeforeValidator(
        _text_like(
            r"[a-z0-9_][a-z0-9_-]*(\.[a-z0-9_-]+)*\.txt\.j2", "the name of a plain-text template", "probe.txt.j2"
        )
    ),
]
HtmlTemplateName: TypeAlias = Annotated[
    str,
    BeforeValidator(
        _text_like(r"[a-z0-9_][a-z0-9_-]*(\.[a-z0-9_-]+)*\.html\.j2", "the name of an HTML template", "probe.html.j2")
    ),
]
Duration: TypeAlias = Annotated[
    timedelta,
    PlainValidator(_parsed_by(parse_duration, "72h")),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["72h", "7d"]}),
]
Hours: TypeAlias = Annotated[
    LocalHours,
    PlainValidator(_parsed_by(LocalHours.parse, "08:00-20:00")),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,2}:[0-9]{2}\\s*-\\s*[0-9]{1,2}:[0-9]{2}$"}),
]
Weekday: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Definition(BaseModel):
    """Base of all parts of a campaign file: unknown words are errors, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, use_attribute_docstrings=True)


class AfterDays(Definition):
    after_days: WholeNumber = Field(ge=1, examples=[180])
    """A lead may enter again this many days after its last entry."""


def _re_entry_tag(value: Any) -> str:
    return "re-entry after days" if isinstance(value, (Mapping, AfterDays)) else "re-entry rule"


def _re_entry_word(value: Any) -> Any:
    if not isinstance(value, (Mapping, AfterDays)) and value not in ("never", "each_time"):
        advice = "Write `never`, `each_time` or `{after_days: 180}`."
        raise wrong(f"`{str(value).lower()}` is not a re-entry rule", advice)
    return value


ReEntry: TypeAlias = Annotated[
    Annotated[Literal["never", "each_time"], Tag("re-entry rule")] | Annotated[AfterDays, Tag("re-entry after days")],
    Discriminator(_re_entry_tag),
    BeforeValidator(_re_entry_word),
]


class EnterDefinition(Definition):
    """Who comes in."""

    activation_model: ActivationModel = Field(examples=["sync_cold_leads"])
    """The dbt activation model whose rows are the leads that may enter."""
    re_entry: ReEntry = "never"
    """Whether a lead that left may enter again: `never`, `each_time` or `{after_days: N}`."""
    maximum_cohort_size: WholeNumber = Field(default=2000, ge=1, le=1_000_000)
    """At most so many leads enter on one day: those who crossed last first, then the coldest."""


class HoldoutDefinition(Definition):
    """The share of entries that is never sent to, so that the effect can be measured."""

    share: Annotated[float, Strict()] = Field(ge=0, le=0.5, examples=[0.10])
    """Part of the leads, from 0 to 0.5."""
    salt: Text = Field(examples=["cold-lead-2026"])
    """Draws the arms. A new salt draws new arms; never change it while the campaign runs."""


class SendWindowDefinition(Definition):
    """When a message may leave, in the lead's local time."""

    # 10-20 without Sunday keeps to nearly every US state's hours for texts, which are narrower than the federal 8-21.
    hours: tuple[Hours, ...] = Field(default=(LocalHours(10 * 60, 20 * 60),), min_length=1)
    """Stretches of the local day."""
    weekdays: tuple[Weekday, ...] = Field(default=("mon", "tue", "wed", "thu", "fri", "sat"), min_length=1)
    """Local weekdays."""
    unknown_time_zone: UnknownTimeZone = UnknownTimeZone.HOLD
    """`hold`: do not send without evidence. `intersection`: send when it suits every zone of the lead's country."""
    wider_than_quiet_hours: Annotated[bool, Strict()] = False
    """Says that hours outside 08:00-21:00 are meant. It widens e-mail only; a text keeps to 08:00-21:00."""

    def as_window(self) -> SendWindow:
        weekdays = frozenset(WEEKDAYS.index(day) for day in self.weekdays)
        return SendWindow(self.hours, weekdays, self.unknown_time_zone)


class CapsDefinition(Definition):
    """The most messages a lead gets from all campaigns together, over a rolling stretch of days."""

    messages: WholeNumber = Field(default=3, ge=1, le=100)
    """At most so many messages"""
    per_days: WholeNumber = Field(default=7, ge=1, le=366)
    """in any stretch of so many days."""


class SenderDefinition(Definition):
    """Who signs the messages."""

    name: Text = Field(examples=["Mara"])
    """The person's name, as `sender_name` in the templates and in the From line."""
    reply_to: Text | None = None
    """Where answers go, if not to the sending address."""


class OfferDefinition(Definition):
    """What the lead gets for coming back."""

    code: Text = Field(examples=["BACK20"])
    """`offer_code` in the templates."""
    description: Text = Field(examples=["20 % off your next month"])
    """`offer_description` in the templates."""


class StepDefinition(Definition):
    step_id: Identifier = Field(alias="id", examples=["probe"])
    """Names the step in tables and reports; unique within the campaign. Never rename it while leads are in flight."""


class EmailDefinition(Definition):
    template: TemplateName = Field(examples=["probe.txt.j2"])
    """The plain-text body: a file in the campaign's folder of `include/templates`."""
    subject: Text = Field(examples=["Did we get in your way?"])
    """The subject line, itself a template."""
    html_template: HtmlTemplateName | None = None
    """An HTML body beside the plain text."""


class EmailStepDefinition(StepDefinition):
    """Sends an e-mail."""

    email: EmailDefinition


class SmsDefinition(Definition):
    template: TemplateName = Field(examples=["nudge.txt.j2"])
    """The text: a file in the campaign's folder of `include/templates`."""
    max_segments: WholeNumber = Field(default=2, ge=1, le=10)
    """The most segments it may cost; a longer text is held, not sent."""


class SmsStepDefinition(StepDefinition):
    """Sends a text message."""

    sms: SmsDefinition


class WaitStepDefinition(StepDefinition):
    """Waits for signs of life, a given time after the step before."""

    wait: Duration


class EndStepDefinition(StepDefinition):
    """Ends the entry of a lead that came all the way in silence."""

    end: Literal["archived"] = Field(examples=["archived"])


#: Key in the file → the class that reads it.
STEP_KINDS: dict[str, type[StepDefinition]] = {
    "email": EmailStepDefinition,
    "sms": SmsStepDefinition,
    "wait": WaitStepDefinition,
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
    | Annotated[EndStepDefinition, Tag("end step")],
    Discriminator(_step_tag),
    BeforeValidator(_one_kind),
]


class CampaignDefinition(Definition):
    """A campaign file. Its name without `.yaml` is the campaign's id."""

    name: Text = Field(examples=["Cold lead re-engagement"])
    """What people call it."""
    description: str = ""
    """When to use it, and why it is built as it is."""
    owner: Text = Field(examples=["growth@example.com"])
    """Who answers for it."""
    topic: Identifier = "marketing"
    """What the lead must have consented to, and what an opt-out ends."""
    enter: EnterDefinition = Field(examples=[{"activation_model": "sync_cold_leads"}])
    holdout: HoldoutDefinition = Field(examples=[{"share": 0.1, "salt": "cold-lead-2026"}])
    key_action: str = ""
    """What the campaign hopes for, in words. Which events count is decided in dbt."""
    attribution_window_days: WholeNumber = Field(default=30, ge=1, le=366)
    """A return within so many days of entering counts as the campaign's."""
    send_window: SendWindowDefinition = SendWindowDefinition()
    caps: CapsDefinition = CapsDefinition()
    priority: WholeNumber = Field(default=50, ge=0, le=100)
    """Between campaigns that want the same lead at the same time, the higher number wins."""
    sender: SenderDefinition = Field(examples=[{"name": "Mara"}])
    offer: OfferDefinition | None = None
    steps: tuple[AnyStepDefinition, ...] = Field(min_length=1, examples=[[{"id": "archive", "end": "archived"}]])
    """The journey, in order. It ends with an `end` step."""


#: Words that change nothing a lead meets: they do not make a new version of the journey.
DESCRIPTIVE_WORDS = frozenset({"name", "description", "owner", "key_action"})
