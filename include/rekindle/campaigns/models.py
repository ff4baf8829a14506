"""A campaign as the rest of the program uses it: checked, complete with its templates, and versioned by content."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import Any, Literal, TypeAlias

from rekindle.campaigns.definition import (
    DESCRIPTIVE_WORDS,
    AfterDays,
    CampaignDefinition,
    CapsDefinition,
    EnterDefinition,
    HoldoutDefinition,
    OfferDefinition,
    SenderDefinition,
)
from rekindle.campaigns.findings import UnknownStep
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
    kind: Literal["email"] = field(default="email", init=False)
    channel: Literal[Channel.EMAIL] = field(default=Channel.EMAIL, init=False)


@dataclass(frozen=True)
class SmsStep:
    """Sends a text message of at most `max_segments`."""

    step_id: str
    template: MessageTemplate
    max_segments: int
    kind: Literal["sms"] = field(default="sms", init=False)
    channel: Literal[Channel.SMS] = field(default=Channel.SMS, init=False)


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
class EndStep:
    """Ends the entry with `exit`."""

    step_id: str
    exit: Exit
    kind: Literal["end"] = field(default="end", init=False)


MessageStep: TypeAlias = EmailStep | SmsStep
Step: TypeAlias = EmailStep | SmsStep | WaitStep | EndStep


@dataclass(frozen=True)
class Campaign:
    """One campaign. Equal campaigns have equal `journey_version`s, whatever the spelling of their files."""

    campaign_id: str
    definition: CampaignDefinition
    steps: tuple[Step, ...]
    source_file: str = field(default="", compare=False)

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
    def offer(self) -> OfferDefinition | None:
        return self.definition.offer

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
        return self.steps[self._position(step_id)]

    def step_after(self, step_id: str) -> Step | None:
        """The step that follows; None after the end. Raises `UnknownStep`."""
        position = self._position(step_id) + 1
        return self.steps[position] if position < len(self.steps) else None

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
        canonical = _canonical({"campaign_id": self.campaign_id, "definition": words, "templates": templates})
        return hashlib.sha256(canonical.encode()).hexdigest()[:VERSION_LENGTH]

    @cached_property
    def definition_json(self) -> str:
        """The whole campaign as one line of JSON, templates included; `loader.restore_campaign` reads it back."""
        words = self.definition.model_dump(mode="json", by_alias=True)
        templates = {name: template.source for name, template in self.templates.items()}
        return _canonical({"definition": words, "templates": templates})

    def _position(self, step_id: str) -> int:
        known = [step.step_id for step in self.steps]
        if step_id not in known:
            raise UnknownStep(self.campaign_id, step_id, known)
        return known.index(step_id)


def _canonical(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
