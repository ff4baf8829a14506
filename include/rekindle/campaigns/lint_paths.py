"""Judges the ways through a journey: the worst one counts, because some lead will go it.

A journey is a graph without cycles in reading order, so what can be known about a step is known before it is reached.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TypeAlias

from rekindle.campaigns.durations import format_duration
from rekindle.campaigns.findings import Finding, Level
from rekindle.campaigns.models import (
    OTHERWISE,
    AskStep,
    Campaign,
    EmailStep,
    EndStep,
    SmsStep,
    Step,
    UntilFieldStep,
    UntilLocalStep,
    WaitForStep,
    WaitStep,
)
from rekindle.campaigns.yaml_document import YamlDocument

#: How long before the step each message left, newest first.
_Ages: TypeAlias = tuple[timedelta, ...]
#: Ways that differ in their messages, looked at for one step; of more, those with the most messages.
_MOST_WAYS = 64


def judge_paths(campaign: Campaign, document: YamlDocument) -> Iterator[Finding]:
    """Whether every message is listened to, the caps let it through, and all of it is measured."""
    if not campaign.message_steps:
        line = document.line_of(["steps"])
        yield Finding(document.file, line, Level.ERROR, "the campaign sends nothing", "Add an `email` or `sms` step.")
    yield from _judge_listening(campaign, document)
    yield from _judge_length(campaign, document)
    yield from _judge_caps(campaign, document)


def longest_way(campaign: Campaign) -> timedelta:
    """How long a lead can be under way at most, as far as the file alone tells; sending takes no time here."""
    reached = dict.fromkeys((step.step_id for step in campaign.steps), timedelta())
    for step in campaign.steps:
        for following in campaign.ways[step.step_id].values():
            reached[following] = max(reached[following], reached[step.step_id] + _longest(step))
    return max(reached.values())


def _judge_listening(campaign: Campaign, document: YamlDocument) -> Iterator[Finding]:
    for step in campaign.message_steps:
        if isinstance(step, AskStep):
            continue  # it listens itself
        for following in _first_pauses(campaign, step):
            if isinstance(following, (EmailStep, SmsStep, EndStep)):
                what = "ends" if isinstance(following, EndStep) else "writes again"
                message = f"after step `{step.step_id}` the journey {what} without waiting for an answer"
                line = document.line_of(campaign.places[step.step_id])
                yield Finding(document.file, line, Level.WARNING, message, "Add a `wait` step after it.")
                break


def _first_pauses(campaign: Campaign, step: Step) -> Iterator[Step]:
    """What a lead comes to after a step that is no matter of an instant: a wait, a message or an end."""
    for following in campaign.following(step.step_id).values():
        if isinstance(following, (EmailStep, SmsStep, WaitStep, UntilFieldStep, UntilLocalStep, WaitForStep, EndStep)):
            yield following
        else:
            yield from _first_pauses(campaign, following)


def _judge_length(campaign: Campaign, document: YamlDocument) -> Iterator[Finding]:
    length = longest_way(campaign)
    if length > timedelta(days=campaign.attribution_window_days):
        line = document.line_of(["attribution_window_days"])
        message = (
            f"the journey takes {format_duration(length)}, longer than the attribution window "
            f"of {campaign.attribution_window_days} days"
        )
        yield Finding(document.file, line, Level.WARNING, message, "Returns after it are not counted: widen it.")


def _judge_caps(campaign: Campaign, document: YamlDocument) -> Iterator[Finding]:
    """Whether the campaign's own caps let its own messages through, however soon a lead reaches them."""
    caps = campaign.caps
    stretch = timedelta(days=caps.per_days)
    arriving: Mapping[str, set[_Ages]] = defaultdict(set)
    arriving[campaign.first_step.step_id].add(())
    for step in campaign.steps:
        ways = sorted(arriving[step.step_id], key=lambda ages: (-len(ages), ages))[:_MOST_WAYS]
        if isinstance(step, (EmailStep, SmsStep)):
            if ways and len(ways[0]) >= caps.messages:
                line = document.line_of(campaign.places[step.step_id])
                message = (
                    f"step `{step.step_id}` would be message {caps.messages + 1} within {caps.per_days} days, "
                    f"and the caps allow {caps.messages}"
                )
                advice = "It would be deferred for every lead: wait longer before it, or raise `caps`."
                yield Finding(document.file, line, Level.WARNING, message, advice)
            ways = [(timedelta(), *ages) for ages in ways]
        for way, following in campaign.ways[step.step_id].items():
            passed = _shortest(step, way)
            for ages in ways:
                arriving[following].add(tuple(age + passed for age in ages if age + passed < stretch))


def _longest(step: Step) -> timedelta:
    if isinstance(step, WaitStep):
        return step.duration
    if isinstance(step, (WaitForStep, AskStep)):
        return step.within
    return timedelta(days=1) if isinstance(step, UntilLocalStep) else timedelta()


def _shortest(step: Step, way: str) -> timedelta:
    """An event or an answer may come at once, and a date may be past."""
    if isinstance(step, WaitStep):
        return step.duration
    if isinstance(step, (WaitForStep, AskStep)) and way == OTHERWISE:
        return step.within
    return timedelta()
