"""A campaign as the rest of the program uses it: checked, complete with its templates, and versioned by content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import field as dataclass_field
from datetime import date, timedelta
from functools import cached_property
from typing import Any, Literal, TypeAlias

from rekindle.campaigns.answers import as_said, words_for
from rekindle.campaigns.conditions import Condition
from rekindle.campaigns.definition import (
    DESCRIPTIVE_WORDS,
    AfterDays,
    CampaignDefinition,
    CapsDefinition,
    EnterDefinition,
    HoldoutDefinition,
    SenderDefinition,
)
from rekindle.campaigns.findings import UnknownStep
from rekindle.campaigns.step_definitions import AnyExitDefinition, OfferDefinition, VariantDefinition
from rekindle.timing.send_window import SendWindow
from rekindle.vocabulary import Channel, Exit

VERSION_LENGTH = 12  # hex digits


@dataclass(frozen=True)
class MessageTemplate:
    """A template and where it came from, so that a journey in flight keeps the words it started with."""

    name: str  # within the campaign's template folder
    source: str = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.source.encode()).hexdigest()


@dataclass(frozen=True)
class EmailStep:
    """Sends an e-mail."""

    step_id: str
    template: MessageTemplate
    subject: str = field(repr=False)  # a template too
    html_template: MessageTemplate | None = None
    offer: OfferDefinition | None = None
    kind: Literal["email"] = field(default="email", init=False)
    channel: Literal[Channel.EMAIL] = field(default=Channel.EMAIL, init=False)


@dataclass(frozen=True)
class SmsStep:
    """Sends a text message of at most `max_segments`."""

    step_id: str
    template: MessageTemplate
    max_segments: int
    offer: OfferDefinition | None = None
    kind: Literal["sms", "ask"] = field(default="sms", init=False)
    channel: Literal[Channel.SMS] = field(default=Channel.SMS, init=False)


@dataclass(frozen=True)
class AskStep(SmsStep):
    """Sends a question by text, then waits `within` for one of the expected answers."""

    expected: tuple[tuple[str, tuple[str, ...]], ...] = ()  # answer, words that mean it
    within: timedelta = timedelta()
    kind: Literal["sms", "ask"] = field(default="ask", init=False)

    @property
    def seconds(self) -> int:
        return int(self.within.total_seconds())

    @property
    def expect(self) -> dict[str, tuple[str, ...]]:
        """Answer → everything that means it, as `answers.as_said` spells it."""
        return {answer: words_for(answer, words) for answer, words in self.expected}

    def answer_in(self, text: str) -> str | None:
        """The expected answer that a text gives; None when it says anything else."""
        said = as_said(text)
        return next((answer for answer, words in self.expect.items() if said and said in words), None)


@dataclass(frozen=True)
class WaitStep:
    """Is due `duration` after the step before it was done."""

    step_id: str
    duration: timedelta
    kind: Literal["wait"] = field(default="wait", init=False)

    @property
    def seconds(self) -> int:
        return int(self.duration.total_seconds())


@dataclass(frozen=True)
class UntilFieldStep:
    """Is due at a date of the lead, moved by `plus`; at once without that date or when it is past."""

    step_id: str
    field: str  # a date column of sync_lead_context
    plus: timedelta
    kind: Literal["wait"] = dataclass_field(default="wait", init=False)

    @property
    def plus_seconds(self) -> int:
        return int(self.plus.total_seconds())


@dataclass(frozen=True)
class UntilLocalStep:
    """Is due at the next such time of day, in every zone the lead may be in."""

    step_id: str
    minute: int  # of the local day
    kind: Literal["wait"] = field(default="wait", init=False)


@dataclass(frozen=True)
class WaitForStep:
    """Goes `then` when the event comes, and `otherwise` when it has not come `within` the time."""

    step_id: str
    event: str
    within: timedelta
    kind: Literal["wait_for"] = field(default="wait_for", init=False)

    @property
    def seconds(self) -> int:
        return int(self.within.total_seconds())


@dataclass(frozen=True)
class BranchStep:
    """Goes the way of the first condition that holds."""

    step_id: str
    cases: tuple[tuple[str, Condition], ...]  # way, condition
    kind: Literal["branch"] = field(default="branch", init=False)


@dataclass(frozen=True)
class SplitStep:
    """Draws a way for each household."""

    step_id: str
    ways: tuple[tuple[str, int], ...]  # way, weight
    kind: Literal["split"] = field(default="split", init=False)


@dataclass(frozen=True)
class TagStep:
    """Writes and takes away tags."""

    step_id: str
    add: tuple[str, ...]
    remove: tuple[str, ...]
    kind: Literal["tag"] = field(default="tag", init=False)


@dataclass(frozen=True)
class WebhookStep:
    """Tells another system through an Airflow HTTP connection."""

    step_id: str
    connection: str
    event: str
    kind: Literal["webhook"] = field(default="webhook", init=False)


@dataclass(frozen=True)
class EndStep:
    """Ends the entry with `exit`."""

    step_id: str
    exit: Exit
    kind: Literal["end"] = field(default="end", init=False)


MessageStep: TypeAlias = EmailStep | SmsStep  # an AskStep is an SmsStep
Step: TypeAlias = (
    EmailStep
    | SmsStep
    | WaitStep
    | UntilFieldStep
    | UntilLocalStep
    | WaitForStep
    | BranchStep
    | SplitStep
    | TagStep
    | WebhookStep
    | EndStep
)

NEXT = "next"  # the way of a step that has one, and of whoever meets no case of a branch
THEN = "then"
OTHERWISE = "otherwise"


@dataclass(frozen=True)
class Campaign:
    """One campaign. Equal campaigns have equal `journey_version`s, whatever the spelling of their files."""

    campaign_id: str
    definition: CampaignDefinition = field(hash=False)
    #: In reading order: a step stands before all that can follow it.
    steps: tuple[Step, ...]
    #: Step id → way → the id of the step that follows there. An end has no way.
    ways: Mapping[str, Mapping[str, str]] = field(hash=False)
    source_file: str = field(default="", compare=False)
    #: Step id → where the step stands in the file, for `YamlDocument.line_of`.
    places: Mapping[str, tuple[str | int, ...]] = field(default_factory=dict, compare=False, repr=False)
    #: The version under which a stored definition is known: a later release may hash its words differently.
    stored_version: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def description(self) -> str:
        return self.definition.description

    @property
    def owner(self) -> str:
        return self.definition.owner

    @property
    def topic(self) -> str:
        return self.definition.topic

    @property
    def enter(self) -> EnterDefinition:
        return self.definition.enter

    @property
    def holdout(self) -> HoldoutDefinition:
        return self.definition.holdout

    @property
    def attribution_window_days(self) -> int:
        return self.definition.attribution_window_days

    @property
    def caps(self) -> CapsDefinition:
        return self.definition.caps

    @property
    def priority(self) -> int:
        return self.definition.priority

    @property
    def sender(self) -> SenderDefinition:
        return self.definition.sender

    @property
    def offers(self) -> tuple[OfferDefinition, ...]:
        return self.definition.offers

    @property
    def variants(self) -> tuple[VariantDefinition, ...]:
        return self.definition.variants

    @property
    def exits(self) -> tuple[AnyExitDefinition, ...]:
        return self.definition.exits

    @property
    def moves(self) -> Mapping[str, str] | None:
        return self.definition.moves

    @cached_property
    def send_window(self) -> SendWindow:
        return self.definition.send_window.as_window()

    def window_for(self, channel: Channel) -> SendWindow:
        """When messages of this channel may leave: the campaign's window, for texts without the quiet hours."""
        return self.send_window.for_channel(channel)

    @property
    def first_step(self) -> Step:
        return self.steps[0]

    @property
    def message_steps(self) -> tuple[MessageStep, ...]:
        """The steps that send, in order."""
        return tuple(step for step in self.steps if isinstance(step, (EmailStep, SmsStep)))

    @cached_property
    def templates(self) -> dict[str, MessageTemplate]:
        """Every template the steps use, by name."""
        used: dict[str, MessageTemplate] = {}
        for step in self.message_steps:
            used[step.template.name] = step.template
            if isinstance(step, EmailStep) and step.html_template:
                used[step.html_template.name] = step.html_template
        return used

    def step(self, step_id: str) -> Step:
        """The step of that id; raises `UnknownStep`."""
        try:
            return self._steps_by_id[step_id]
        except KeyError:
            raise UnknownStep(self.campaign_id, step_id, list(self._steps_by_id)) from None

    def has_step(self, step_id: str) -> bool:
        return step_id in self._steps_by_id

    def following(self, step_id: str) -> dict[str, Step]:
        """Way → the step that follows there; raises `UnknownStep`."""
        self.step(step_id)
        return {way: self.step(following) for way, following in self.ways[step_id].items()}

    def step_after(self, step_id: str) -> Step | None:
        """The step that follows when nothing else was chosen; None after the end. Raises `UnknownStep`."""
        following = self.following(step_id)
        return next((following[way] for way in (NEXT, OTHERWISE) if way in following), None)

    def stage_after_skipping(self, step_id: str) -> str | None:
        """Where a lead goes on whom a message step can not reach: past plain waits to whatever comes then.

        None when only an end comes: nothing is left that could reach the lead.
        """
        following = self.step_after(step_id)
        while isinstance(following, (WaitStep, UntilFieldStep, UntilLocalStep)):
            following = self.step_after(following.step_id)
        return None if following is None or isinstance(following, EndStep) else following.step_id

    @cached_property
    def _steps_by_id(self) -> dict[str, Step]:
        return {step.step_id: step for step in self.steps}

    def may_re_enter(self, last_entered_on: date, today: date) -> bool:
        """Whether a lead whose last entry began on that day may enter again today."""
        rule = self.enter.re_entry
        if isinstance(rule, AfterDays):
            return today - last_entered_on >= timedelta(days=rule.after_days)
        return rule == "each_time"

    @cached_property
    def journey_version(self) -> str:
        """Hash of everything a lead can meet: the definition without its descriptive words, and the templates.

        Values that equal the default are left out, so that a later release that adds words changes no version.
        """
        words = self.definition.model_dump(
            mode="json", by_alias=True, exclude_defaults=True, exclude=set(DESCRIPTIVE_WORDS)
        )
        templates = {name: template.sha256 for name, template in self.templates.items()}
        if self.stored_version:
            return self.stored_version
        canonical = _canonical({"campaign_id": self.campaign_id, "definition": words, "templates": templates})
        return hashlib.sha256(canonical.encode()).hexdigest()[:VERSION_LENGTH]

    @cached_property
    def definition_json(self) -> str:
        """The whole campaign as one line of JSON, templates included; `loader.restore_campaign` reads it back."""
        words = self.definition.model_dump(mode="json", by_alias=True)
        templates = {name: template.source for name, template in self.templates.items()}
        # in the order of the file, so that the steps come back in theirs
        whole = {"definition": words, "templates": dict(sorted(templates.items()))}
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))


def seconds_in(step: Step) -> int:
    """How long after reaching a step it is due, if nothing else says so: the length of a wait, else nothing."""
    return step.seconds if isinstance(step, (WaitStep, WaitForStep)) else 0


def _canonical(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
