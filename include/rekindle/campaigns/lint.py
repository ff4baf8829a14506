"""Judges campaigns before anything is sent: what the law, the bill and a tired reader would hold against them."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

from rekindle.campaigns.conditions import EventCondition, SegmentCondition, VariantCondition
from rekindle.campaigns.durations import format_duration
from rekindle.campaigns.findings import Finding, InvalidCampaign, Level, did_you_mean
from rekindle.campaigns.lint_messages import lint_message
from rekindle.campaigns.lint_paths import judge_paths
from rekindle.campaigns.loader import campaign_files, load_with_source
from rekindle.campaigns.models import BranchStep, Campaign, EmailStep, SmsStep, SplitStep, WaitForStep
from rekindle.campaigns.step_definitions import EventExitDefinition
from rekindle.campaigns.yaml_document import YamlDocument
from rekindle.project import project_root
from rekindle.timing.send_window import QUIET_HOURS_COMPLEMENT
from rekindle.vocabulary import Channel, Segment

#: Activation models that offer nobody to a campaign.
_NOT_OFFERING = frozenset(
    {"sync_lead_contacts", "sync_life_signs", "sync_lead_context", "sync_named_events", "sync_inbound_signals"}
)
_MIDNIGHT = 24 * 60  # minutes
#: How alike two event names are when one of them is a slip of the pen.
_SLIP = 0.85


@dataclass(frozen=True)
class KnownNames:
    """What the dbt project and its seeds know; empty: nothing is known, so nothing is wrong."""

    activation_models: tuple[str, ...] = ()
    events: frozenset[str] = frozenset()


@cache
def known_names(dbt_project: Path) -> KnownNames:
    """The names a dbt project knows: its activation models, and the events its rules are about."""
    models = {path.stem for path in (dbt_project / "models").glob("*/sync_*.sql")}
    seed = dbt_project / "seeds" / "rule_events.csv"
    events: frozenset[str] = frozenset()
    if seed.is_file():
        with seed.open(newline="", encoding="utf-8") as file:
            events = frozenset(row["event_type"] for row in csv.DictReader(file))
    return KnownNames(tuple(sorted(models - _NOT_OFFERING)), events)


def lint_campaigns(folder: Path, templates_root: Path, names: KnownNames | None = None) -> list[Finding]:
    """Everything there is to say about the campaigns of a folder, in file and line order.

    `names` are by default those of this project's models.
    """
    names = names or known_names(project_root() / "dbt_project")
    findings: set[Finding] = set()
    for path in campaign_files(folder):
        try:
            campaign, document = load_with_source(path, templates_root)
        except InvalidCampaign as error:
            findings.update(error.findings)
        else:
            findings.update(lint_campaign(campaign, document, templates_root, names))
    return sorted(findings)


def lint_campaign(
    campaign: Campaign, document: YamlDocument, templates_root: Path, names: KnownNames
) -> Iterator[Finding]:
    """The findings of one campaign that loads."""
    yield from _judge_names(campaign, document, names)
    yield from _judge_window(campaign, document)
    yield from _judge_offers(campaign, document)
    yield from judge_paths(campaign, document)
    for step in campaign.message_steps:
        yield from lint_message(campaign, step, document, templates_root / campaign.campaign_id)


def _judge_names(campaign: Campaign, document: YamlDocument, names: KnownNames) -> Iterator[Finding]:
    """Words that must mean something elsewhere: models, segments, events."""
    model = campaign.enter.activation_model
    if model and names.activation_models and model not in names.activation_models:
        line = document.line_of(["enter", "activation_model"])
        message = f"dbt has no activation model `{model}`, so nobody would ever enter"
        yield Finding(document.file, line, Level.ERROR, message, did_you_mean(model, names.activation_models))
    segments = [str(segment) for segment in Segment]
    never_drawn = {variant.name for variant in campaign.variants if not variant.weight}
    for step in campaign.steps:
        place = campaign.places[step.step_id]
        if isinstance(step, WaitForStep):
            yield from _judge_event(step.event, document, [*place, "wait_for", "event"], names)
        for number, (_, condition) in enumerate(step.cases if isinstance(step, BranchStep) else ()):
            where = [*place, "branch", number, "when"]
            if isinstance(condition, EventCondition):
                yield from _judge_event(condition.event, document, [*where, "event"], names)
            elif isinstance(condition, SegmentCondition) and condition.segment not in segments:
                line = document.line_of([*where, "segment"])
                message = f"no lead is in a segment `{condition.segment}`"
                yield Finding(document.file, line, Level.ERROR, message, did_you_mean(condition.segment, segments))
            elif isinstance(condition, VariantCondition) and condition.variant in never_drawn:
                line = document.line_of([*where, "variant"])
                message = f"nobody is drawn into the variant `{condition.variant}`: its weight is 0"
                yield Finding(document.file, line, Level.WARNING, message, "Give it a weight, or remove the case.")
        for number, (way, weight) in enumerate(step.ways if isinstance(step, SplitStep) else ()):
            if not weight:
                line = document.line_of([*place, "split", number])
                message = f"nobody goes the way `{way}`: its weight is 0"
                yield Finding(document.file, line, Level.WARNING, message, "Give it a weight, or remove it.")
    for number, way_out in enumerate(campaign.exits):
        if isinstance(way_out, EventExitDefinition):
            yield from _judge_event(way_out.event, document, ["exits", number, "event"], names)


def _judge_event(
    event: str, document: YamlDocument, where: Sequence[str | int], names: KnownNames
) -> Iterator[Finding]:
    """Events are the company's own, so an unknown name is no error; one letter off a known one is hardly meant."""
    if event.strip().lower() in names.events:
        return
    for near in difflib.get_close_matches(event.strip().lower(), sorted(names.events), n=1, cutoff=_SLIP):
        message = f"no rule knows the event `{event}`, but one knows `{near}`"
        advice = f"Did you mean `{near}`? If not, add yours to dbt_project/seeds/rule_events.csv."
        yield Finding(document.file, document.line_of(where), Level.WARNING, message, advice)


def _judge_window(campaign: Campaign, document: YamlDocument) -> Iterator[Finding]:
    """Hours in which nobody may be disturbed."""
    line = document.line_of(["send_window", "hours"])
    window = campaign.send_window
    inside = window.within(QUIET_HOURS_COMPLEMENT)
    if inside != window and not campaign.definition.send_window.wider_than_quiet_hours:
        message = f"the send window reaches beyond {QUIET_HOURS_COMPLEMENT} local time"
        advice = "Narrow it, or say `wider_than_quiet_hours: true` if it is meant (texts keep to those hours anyway)."
        yield Finding(document.file, line, Level.ERROR, message, advice)
    if not any(window.week):
        line = document.line_of(["send_window"])
        message = "the send window opens on no day, so nothing can ever leave"
        yield Finding(document.file, line, Level.ERROR, message, "Give one of the weekdays hours.")
    elif any(isinstance(step, SmsStep) for step in campaign.steps) and not any(window.for_channel(Channel.SMS).week):
        advice = f"Add hours between {QUIET_HOURS_COMPLEMENT}."
        yield Finding(document.file, line, Level.ERROR, "no text can ever leave in these hours", advice)


def _judge_offers(campaign: Campaign, document: YamlDocument) -> Iterator[Finding]:
    """Offers that nobody makes, and those that may be over when the message leaves."""
    made = {step.offer.name for step in campaign.message_steps if step.offer}
    for number, offer in enumerate(campaign.offers):
        if offer.name not in made:
            line = document.line_of(["offers", number])
            message = f"no step makes the offer `{offer.name}`"
            advice = f"Add `offer: {offer.name}` to a message step, or remove the offer."
            yield Finding(document.file, line, Level.WARNING, message, advice)
    yield from _judge_escalation(campaign, document)
    for step in campaign.message_steps:
        longest = _longest_opening(campaign, step.channel)
        if step.offer and step.offer.valid_for and step.offer.valid_for <= longest:
            line = document.line_of(["offers", campaign.offers.index(step.offer), "valid_for"])
            message = (
                f"the offer `{step.offer.name}` ends {format_duration(step.offer.valid_for)} after step"
                f" `{step.step_id}` is planned, and that may leave as late as {format_duration(longest)} after"
            )
            yield Finding(document.file, line, Level.ERROR, message, "Let it be valid for longer.")


def _judge_escalation(campaign: Campaign, document: YamlDocument) -> Iterator[Finding]:
    """Whoever waited must not be offered less than before, whichever way she came."""
    best_before = dict.fromkeys((step.step_id for step in campaign.steps), 0.0)
    for step in campaign.steps:
        best = best_before[step.step_id]
        offer = step.offer if isinstance(step, (EmailStep, SmsStep)) else None
        if offer and offer.value is not None:
            if offer.value < best:
                line = document.line_of(campaign.places[step.step_id])
                message = f"step `{step.step_id}` offers {offer.value:g} to leads who were offered {best:g} before"
                advice = "Offer as much or more; or make the smaller offer first."
                yield Finding(document.file, line, Level.WARNING, message, advice)
            best = max(best, offer.value)
        for following in campaign.ways[step.step_id].values():
            best_before[following] = max(best_before[following], best)


def _longest_opening(campaign: Campaign, channel: Channel) -> timedelta:
    """How late after it was planned a message may leave: the longest stretch in which its window is open."""
    days = campaign.window_for(channel).week
    longest = max((hours.closes - hours.opens for day in days for hours in day), default=0)
    over_midnight = [
        ending.closes - ending.opens + beginning.closes - beginning.opens
        for day, next_day in zip(days, (*days[1:], days[0]), strict=True)
        for ending in day[-1:]
        for beginning in next_day[:1]
        if ending.closes == _MIDNIGHT and not beginning.opens
    ]
    return timedelta(minutes=max([longest, *over_midnight]))
