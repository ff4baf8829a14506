"""Conditions on one lead: for the audience of a campaign, for the cases of a branch, and for exits in SQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, Self, TypeAlias, cast

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from rekindle.campaigns.findings import did_you_mean
from rekindle.campaigns.sql_conditions import read_sql_condition
from rekindle.campaigns.words import Definition, Duration, Identifier, Text, wrong

#: The columns of `rekindle_activation.sync_lead_context`, and what each holds.
CONTEXT_FIELDS: Mapping[str, Literal["text", "date", "number"]] = {
    "last_product_viewed": "text",
    "feature_asked_for": "text",
    "feature_asked_in": "text",
    "last_ticket_subject": "text",
    "last_ticket_on": "date",
    "plan": "text",
    "locale": "text",
    "country": "text",
    "first_name": "text",
    "last_key_action_on": "date",
    "last_purchase_on": "date",
    "renewal_on": "date",
    "cart_item": "text",
    "score_reasons": "text",
    "segment": "text",
    "cold_score": "number",
}
OPERATORS = ("is", "is_not", "one_of", "not_one_of", "above", "below", "known")


def yes_or_no(value: Any) -> Any:
    """YAML 1.1 reads a bare yes as true and a bare no as false; here the words are meant."""
    return ("yes" if value else "no") if isinstance(value, bool) else value


def _context_field(value: Any) -> Any:
    if isinstance(value, str) and value not in CONTEXT_FIELDS:
        raise wrong(f"no lead has a field `{value}`", did_you_mean(value, CONTEXT_FIELDS))
    return value


def _context_date(value: Any) -> Any:
    dates = [name for name, kind in CONTEXT_FIELDS.items() if kind == "date"]
    if isinstance(value, str) and value not in dates:
        raise wrong(f"`{value}` is not a date of a lead", did_you_mean(value, dates))
    return value


ContextField: TypeAlias = Annotated[
    str, BeforeValidator(_context_field), Field(json_schema_extra={"enum": list(CONTEXT_FIELDS)})
]
ContextDate: TypeAlias = Annotated[
    str,
    BeforeValidator(_context_date),
    Field(json_schema_extra={"enum": [name for name, kind in CONTEXT_FIELDS.items() if kind == "date"]}),
]
Value: TypeAlias = Annotated[str, Field(min_length=1, strict=True), BeforeValidator(yes_or_no)]
Number: TypeAlias = Annotated[float, Field(strict=True)]
Comparable: TypeAlias = Annotated[
    Annotated[float, Field(strict=True), Tag("number")] | Annotated[date, Tag("date")],
    Discriminator(lambda value: "date" if isinstance(value, (date, str)) else "number"),
]


class FieldCondition(Definition):
    """What is known of the lead: one field of `sync_lead_context` and one comparison. An unknown value meets only
    `is_not`, `not_one_of` and `known: false`.
    """

    field: ContextField = Field(examples=["plan"])
    """A column of `sync_lead_context`."""
    is_: Value | None = Field(default=None, alias="is", examples=["pro"])
    """Equals this text."""
    is_not: Value | None = Field(default=None, examples=["free"])
    """Does not equal this text, or is unknown."""
    one_of: tuple[Value, ...] | None = Field(default=None, min_length=1, examples=[["pro", "team"]])
    """Equals one of these texts."""
    not_one_of: tuple[Value, ...] | None = Field(default=None, min_length=1, examples=[["free"]])
    """Equals none of these texts, or is unknown."""
    above: Comparable | None = Field(default=None, examples=[80])
    """More than this number, or later than this date."""
    below: Comparable | None = Field(default=None, examples=[80])
    """Less than this number, or earlier than this date."""
    known: Annotated[bool, Field(strict=True)] | None = None
    """Whether the field has a value at all."""

    @model_validator(mode="after")
    def _one_comparison(self) -> Self:
        said = self._said()
        if len(said) != 1:
            what = f"both `{said[0]}` and `{said[1]}`" if said else "no comparison"
            raise wrong(f"the condition on `{self.field}` says {what}", f"Say one of: {', '.join(OPERATORS)}.")
        kind = CONTEXT_FIELDS[self.field]
        if said[0] in ("is", "is_not", "one_of", "not_one_of") and kind != "text":
            advice = "Compare it with `above`, `below` or `known`."
            raise wrong(f"`{self.field}` is a {kind}, which equals no text", advice, said[0])
        if said[0] in ("above", "below"):
            given = "date" if isinstance(self.operand, date) else "number"
            if given != kind:
                advice = "Compare it with `is`, `one_of` or `known`." if kind == "text" else f"Give it a {kind}."
                raise wrong(f"`{self.field}` is a {kind} and can not be {said[0]} a {given}", advice, said[0])
        return self

    def _said(self) -> list[str]:
        return [name for name in OPERATORS if getattr(self, "is_" if name == "is" else name) is not None]

    @property
    def operator(self) -> str:
        """The comparison that is said: one of `OPERATORS`."""
        return self._said()[0]

    @property
    def operand(self) -> str | tuple[str, ...] | float | date | bool:
        """What the field is compared with."""
        name = self.operator
        return cast("str | tuple[str, ...] | float | date | bool", getattr(self, "is_" if name == "is" else name))


class EventCondition(Definition):
    """The lead did something in the product within the last stretch of time."""

    event: Text = Field(examples=["pricing_viewed"])
    """The name of an app event, as the product sends it."""
    within: Duration = Field(examples=["30d"])
    """Not longer ago than this."""


class ScoreRange(Definition):
    """Bounds, not included."""

    above: Number | None = Field(default=None, examples=[80])
    """More than this."""
    below: Number | None = Field(default=None, examples=[80])
    """Less than this."""

    @model_validator(mode="after")
    def _some_bound(self) -> Self:
        if self.above is None and self.below is None:
            raise wrong("the score is compared with nothing", "Write for example `score: {above: 80}`.")
        return self


class ScoreCondition(Definition):
    """The cold score with which the lead entered."""

    score: ScoreRange = Field(examples=[{"above": 80}])


class SegmentCondition(Definition):
    """The segment in which the lead entered."""

    segment: Text = Field(examples=["lapsed_buyer"])
    """The segment's name."""


class VariantCondition(Definition):
    """The variant of the campaign that was drawn for the lead."""

    variant: Identifier = Field(examples=["story"])
    """The variant's name."""


class ReplyCondition(Definition):
    """What the lead answered to an earlier question."""

    reply: Annotated[Text, BeforeValidator(yes_or_no)] = Field(examples=["yes"])
    """One of the answers that the question expects."""
    to: Identifier = Field(examples=["question"])
    """The id of the `ask` step."""


Condition: TypeAlias = (
    EventCondition | FieldCondition | ScoreCondition | SegmentCondition | VariantCondition | ReplyCondition
)
#: Key in the file → the class that reads it.
CONDITION_KINDS: dict[str, type[Definition]] = {
    "event": EventCondition,
    "field": FieldCondition,
    "score": ScoreCondition,
    "segment": SegmentCondition,
    "variant": VariantCondition,
    "reply": ReplyCondition,
}


def _condition_tag(value: Any) -> str | None:
    if isinstance(value, Mapping):
        return next((f"{kind} condition" for kind in CONDITION_KINDS if kind in value), None)
    return next((f"{kind} condition" for kind, cls in CONDITION_KINDS.items() if isinstance(value, cls)), None)


def _one_condition(value: Any) -> Any:
    if isinstance(value, Definition):
        return value
    if not isinstance(value, Mapping):
        raise wrong("a condition must be a mapping", "Write for example `when: {event: pricing_viewed, within: 30d}`.")
    kinds = [kind for kind in CONDITION_KINDS if kind in value]
    if len(kinds) > 1:
        raise wrong(f"one condition says both `{kinds[0]}` and `{kinds[1]}`", "Make two cases of it.")
    if not kinds:
        word = next(iter(map(str, value)), "")
        if word:
            raise wrong(f"`{word}` is not a condition", did_you_mean(word, CONDITION_KINDS), word)
        raise wrong("the condition says nothing", f"Add one of: {', '.join(CONDITION_KINDS)}.")
    return value


AnyCondition: TypeAlias = Annotated[
    Annotated[EventCondition, Tag("event condition")]
    | Annotated[FieldCondition, Tag("field condition")]
    | Annotated[ScoreCondition, Tag("score condition")]
    | Annotated[SegmentCondition, Tag("segment condition")]
    | Annotated[VariantCondition, Tag("variant condition")]
    | Annotated[ReplyCondition, Tag("reply condition")],
    Discriminator(_condition_tag),
    BeforeValidator(_one_condition),
]


def _sql_condition(value: Any) -> Any:
    if isinstance(value, str):
        try:
            read_sql_condition(value, CONTEXT_FIELDS)
        except ValueError as error:
            raise wrong(f"`{value}` is not a condition: {error}", "Write for example `plan = 'enterprise'`.") from None
    return value


SqlCondition: TypeAlias = Annotated[str, Field(min_length=1), BeforeValidator(_sql_condition)]
