"""Judges campaigns before anything is sent: what the law, the bill and a tired reader would hold against them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from rekindle.campaigns.durations import format_duration
from rekindle.campaigns.findings import Finding, InvalidCampaign, Level
from rekindle.campaigns.lint_messages import lint_message
from rekindle.campaigns.loader import campaign_files, load_with_source
from rekindle.campaigns.models import Campaign, EmailStep, EndStep, SmsStep, WaitStep
from rekindle.campaigns.yaml_document import YamlDocument
from rekindle.timing.send_window import QUIET_HOURS_COMPLEMENT
from rekindle.vocabulary import Channel


def lint_campaigns(folder: Path, templates_root: Path) -> list[Finding]:
    """Everything there is to say about the campaigns of a folder, in file and line order."""
    findings: set[Finding] = set()
    for path in campaign_files(folder):
        try:
            campaign, document = load_with_source(path, templates_root)
        except InvalidCampaign as error:
            findings.update(error.findings)
        else:
            findings.update(lint_campaign(campaign, document, templates_root))
    return sorted(findings)


def lint_campaign(campaign: Campaign, document: YamlDocument, templates_root: Path) -> Iterator[Finding]:
    """The findings of one campaign that loads."""
    yield from _judge_window(campaign, document)
    yield from _judge_path(campaign, document)
    yield from _judge_caps(campaign, document)
    for number, step in enumerate(campaign.steps):
        if isinstance(step, (EmailStep, SmsStep)):
            yield from lint_message(campaign, step, number, document, templates_root / campaign.campaign_id)


def _judge_window(campaign: Campaign, document: YamlDocument) -> Iterator[Finding]:
    """Hours in which nobody may be disturbed."""
    line = document.line_of(["send_window", "hours"])
    window = campaign.send_window
    inside = window.within(QUIET_HOURS_COMPLEMENT)
    if inside.hours != window.hours and not campaign.definition.send_window.wider_than_quiet_hours:
        message = f"the send window reaches beyond {QUIET_HOURS_COMPLEMENT} local time"
        advice = "Narrow it, or say `wider_than_quiet_hours: true` if it is meant (texts keep to those hours anyway)."
        yield Finding(document.file, line, Level.ERROR, message, advice)
    if any(isinstance(step, SmsStep) for step in campaign.steps) and not window.for_channel(Channel.SMS).hours:
        advice = f"Add hours between {QUIET_HOURS_COMPLEMENT}."
        yield Finding(document.file, line, Level.ERROR, "no text can ever leave in these hours", advice)


def _judge_path(campaign: Campaign, document: YamlDocument) -> Iterator[Finding]:
    """Whether every message is listened to, and the campaign is measured for as long as it runs."""
    if not campaign.message_steps:
        line = document.line_of(["steps"])
        yield Finding(document.file, line, Level.ERROR, "the campaign sends nothing", "Add an `email` or `sms` step.")
    for number, (step, following) in enumerate(itertools.pairwise(campaign.steps)):
        if isinstance(step, (EmailStep, SmsStep)) and not isinstance(following, WaitStep):
            what = "ends" if isinstance(following, EndStep) else "writes again"
            message = f"after step `{step.step_id}` the journey {what} without waiting for an answer"
            line = document.line_of(["steps", number])
            yield Finding(document.file, line, Level.WARNING, message, "Add a `wait` step after it.")
    length = sum((step.duration for step in campaign.steps if isinstance(step, WaitStep)), timedelta())
    if length > timedelta(days=campaign.attribution_window_days):
        line = document.line_of(["attribution_window_days"])
        message = (
            f"the journey takes {format_duration(length)}, longer than the attribution window "
            f"of {campaign.attribution_window_days} days"
        )
        yield Finding(document.file, line, Level.WARNING, message, "Returns after it are not counted: widen it.")


def _judge_caps(campaign: Campaign, document: YamlDocument) -> Iterator[Finding]:
    """Whether the campaign's own caps let its own messages through."""
    caps = campaign.caps
    stretch = timedelta(days=caps.per_days)
    sent_after: list[timedelta] = []
    elapsed = timedelta()
    for number, step in enumerate(campaign.steps):
        if isinstance(step, WaitStep):
            elapsed += step.duration
        elif isinstance(step, (EmailStep, SmsStep)):
            sent_after.append(elapsed)
            if sum(elapsed - each < stretch for each in sent_after) > caps.messages:
                line = document.line_of(["steps", number])
                message = (
                    f"step `{step.step_id}` would be message {caps.messages + 1} within {caps.per_days} days, "
                    f"and the caps allow {caps.messages}"
                )
                advice = "It would be deferred for every lead: wait longer before it, or raise `caps`."
                yield Finding(document.file, line, Level.WARNING, message, advice)
