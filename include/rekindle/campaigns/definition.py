"""What a campaign file may say, word by word; its steps are in `step_definitions.py`. The JSON schema for editors is
made from these classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
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

from rekindle.campaigns.conditions import FieldCondition, yes_or_no
from rekindle.campaigns.step_definitions import (
    AnyExitDefinition,
    AnyStepDefinition,
    OfferDefinition,
    VariantDefinition,
    check_draw,
)
from rekindle.campaigns.words import Definition, Identifier, Text, WholeNumber, parsed_by, text_like, wrong
from rekindle.channels.credentials import PLAIN_ADDRESS
from rekindle.timing.send_window import WEEKDAYS, LocalHours, SendWindow, UnknownTimeZone

ActivationModel: TypeAlias = Annotated[
    str,
    BeforeValidator(text_like(r"sync_[a-z0-9_]+", "an activation model (they start with sync_)", "sync_cold_leads")),
    Field(json_schema_extra={"pattern": "^sync_[a-z0-9_]+$"}),
]
Hours: TypeAlias = Annotated[
    LocalHours,
    PlainValidator(parsed_by(LocalHours.parse, "08:00-20:00")),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,2}:[0-9]{2}\\s*-\\s*[0-9]{1,2}:[0-9]{2}$"}),
]
Weekday: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
EmailAddress: TypeAlias = Annotated[
    str,
    BeforeValidator(text_like(PLAIN_ADDRESS.pattern, "one plain ASCII e-mail address", "mara@example.com")),
    Field(json_schema_extra={"pattern": f"^{PLAIN_ADDRESS.pattern}$"}),
]


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


Keyword: TypeAlias = Annotated[
    str,
    BeforeValidator(yes_or_no),
    BeforeValidator(text_like(r"[A-Za-z0-9]{2,20}", "one word of letters and digits", "JOIN")),
    Field(json_schema_extra={"pattern": "^[A-Za-z0-9]{2,20}$"}),
]
#: Key under `enter` → what it names. Exactly one of them says where the leads come from.
SOURCES = ("activation_model", "keyword", "opt_in", "group", "webhook")


class EnterDefinition(Definition):
    """Who comes in: one source, the filters that all must hold, and the rules."""

    activation_model: ActivationModel | None = Field(default=None, examples=["sync_cold_leads"])
    """The dbt activation model whose rows are the leads that may enter."""
    keyword: tuple[Keyword, ...] | None = Field(default=None, min_length=1, max_length=50, examples=[["JOIN"]])
    """An inbound text whose first word is one of these, in whatever case."""
    opt_in: Identifier | None = Field(default=None, examples=["newsletter"])
    """An opt-in to this topic, confirmed or with evidence."""
    group: Text | None = Field(default=None, examples=["vip"])
    """Joining this group of the product (a Segment `group` call)."""
    webhook: Text | None = Field(default=None, examples=["trial_ended"])
    """An app event, page or screen of this name, posted to the receiver."""
    audience: tuple[FieldCondition, ...] = ()
    """All must hold on the day the lead would enter."""
    re_entry: ReEntry = "never"
    """Whether a lead that left may enter again: `never`, `each_time` it happens anew, or `{after_days: N}`."""
    maximum_cohort_size: WholeNumber = Field(default=2000, ge=1, le=1_000_000)
    """At most so many leads enter on one day: those who crossed last first, then the coldest."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        said = [name for name in SOURCES if getattr(self, name) is not None]
        if not said:
            raise wrong("nobody says where the leads come from", f"Add one of: {', '.join(SOURCES)}.")
        if len(said) > 1:
            raise wrong(f"leads come from both `{said[0]}` and `{said[1]}`", "Make two campaigns of it.", said[1])
        return self

    @property
    def model(self) -> str:
        """The activation model that is read."""
        return self.activation_model or "sync_inbound_signals"

    @property
    def signal(self) -> tuple[str, tuple[str, ...]] | None:
        """Kind and names of the inbound signals that let a lead in; None if a model does."""
        if self.keyword:
            return "keyword", tuple(word.upper() for word in self.keyword)
        for kind in ("opt_in", "group", "webhook"):
            if name := getattr(self, kind):
                return kind, (name,)
        return None


class HoldoutDefinition(Definition):
    """The share of entries that is never sent to, so that the effect can be measured."""

    share: Annotated[float, Strict()] = Field(ge=0, le=0.5, examples=[0.10])
    """Part of the leads, from 0 to 0.5."""
    salt: Text = Field(examples=["cold-lead-2026"])
    """Draws the arms. A new salt draws new arms; never change it while the campaign runs."""


def _blackout(value: Any) -> Any:
    text = str(value)
    try:
        first, _, last = text.partition("/")
        dates = date.fromisoformat(first.strip()), date.fromisoformat((last or first).strip())
    except ValueError:
        raise wrong(f"`{text}` is no date", "Write `2027-01-01`, or `2026-12-24/2026-12-26` for a stretch.") from None
    if dates[0] > dates[1] or (dates[1] - dates[0]).days > _LONGEST_BLACKOUT:
        raise wrong(f"`{text}` is no stretch of days", "Write the first date before the last, within one year.")
    return dates


def _written_dates(dates: tuple[date, date]) -> str:
    return str(dates[0]) if dates[0] == dates[1] else f"{dates[0]}/{dates[1]}"


_LONGEST_BLACKOUT = 366  # days
Blackout: TypeAlias = Annotated[
    tuple[date, date],
    PlainValidator(_blackout),
    PlainSerializer(_written_dates, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}(/[0-9]{4}-[0-9]{2}-[0-9]{2})?$"}),
]


class SendWindowDefinition(Definition):
    """When a message may leave, in the lead's local time. With neither hours nor weekdays: Tuesday to Friday from 10 to
    11 and from 13 to 14, and Monday from 13 to 14.
    """

    hours: tuple[Hours, ...] = Field(default=(LocalHours(10 * 60, 11 * 60), LocalHours(13 * 60, 14 * 60)), min_length=1)
    """Stretches of the local day."""
    weekdays: tuple[Weekday, ...] = Field(default=("tue", "wed", "thu", "fri"), min_length=1)
    """Local weekdays on which these hours hold."""
    by_weekday: dict[Weekday, tuple[Hours, ...]] = Field(default={}, examples=[{"mon": ["13:00-14:00"]}])
    """Other hours for single weekdays; an empty list is a day without."""
    blackout_dates: tuple[Blackout, ...] = Field(default=(), examples=[["2026-12-24/2026-12-26", "2027-01-01"]])
    """Local dates on which nothing leaves."""
    unknown_time_zone: UnknownTimeZone = UnknownTimeZone.HOLD
    """`hold`: do not send without evidence. `intersection`: send when it suits every zone of the lead's country."""
    wider_than_quiet_hours: Annotated[bool, Strict()] = False
    """Says that hours outside 08:00-21:00 are meant. It widens e-mail only; a text keeps to 08:00-21:00."""

    @model_validator(mode="before")
    @classmethod
    def _not_on_monday_morning(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and not {"hours", "weekdays", "by_weekday"} & set(value):
            return {**value, "by_weekday": {"mon": ["13:00-14:00"]}}
        return value

    def as_window(self) -> SendWindow:
        weekdays = frozenset(WEEKDAYS.index(day) for day in self.weekdays)
        by_weekday = tuple((WEEKDAYS.index(day), hours) for day, hours in self.by_weekday.items())
        return SendWindow(self.hours, weekdays, self.unknown_time_zone, by_weekday, self.blackout_dates)


class CapsDefinition(Definition):
    """The most messages a lead gets from all campaigns together, over a rolling stretch of days."""

    messages: WholeNumber = Field(default=3, ge=1, le=100)
    """At most so many messages"""
    per_days: WholeNumber = Field(default=7, ge=1, le=366)
    """in any stretch of so many days."""


class ApprovalDefinition(Definition):
    """A run above one of these waits for a person, in Airflow's own approval task. Without a limit nothing waits."""

    above_messages: WholeNumber | None = Field(default=None, ge=0, examples=[5000])
    """Messages that may leave in one run."""
    above_cost: Annotated[float, Strict()] | None = Field(default=None, ge=0, examples=[200.0])
    """Cost of one run, in the money that the price of a segment is given in."""
    above_times_usual: Annotated[float, Strict()] | None = Field(default=None, ge=1, examples=[3.0])
    """Today's cohort over the median of the last 14 days; also when nobody enters and usually somebody does."""


class SenderDefinition(Definition):
    """Who signs the messages."""

    name: Text = Field(examples=["Mara"])
    """The person's name, as `sender_name` in the templates. The From line is the account's."""
    reply_to: EmailAddress | None = Field(default=None, examples=["mara@example.com"])
    """Where answers to the e-mails go, if not where the account says."""


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
    approval: ApprovalDefinition = ApprovalDefinition()
    sender: SenderDefinition = Field(examples=[{"name": "Mara"}])
    variants: tuple[VariantDefinition, ...] = ()
    """Ways to say it all, drawn when a lead enters, once per household."""
    offers: tuple[OfferDefinition, ...] = ()
    """What the messages may offer; a message step names one of them."""
    exits: tuple[AnyExitDefinition, ...] = ()
    """What ends an entry beside what always does; looked at in every run and once more before a message leaves."""
    moves: dict[Identifier, Identifier] | None = None
    """Old step → new step: leads in flight leave their version for this one. Without this word they stay on theirs."""
    steps: tuple[AnyStepDefinition, ...] = Field(min_length=1, examples=[[{"id": "archive", "end": "archived"}]])
    """The journey, in order. Every way through it ends with an `end` step."""

    @model_validator(mode="after")
    def _variants_can_be_drawn(self) -> Self:
        check_draw(self.variants, "variants")
        return self


#: Words that change nothing a lead meets: they do not make a new version of the journey.
DESCRIPTIVE_WORDS = frozenset({"name", "description", "owner", "key_action", "moves", "approval"})
