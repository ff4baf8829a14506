"""A campaign's whole sequence as one lead would live it in silence: the windows and the words of the real run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from rekindle.campaigns.models import Campaign, EmailStep, EndStep, MessageStep, SmsStep, WaitStep
from rekindle.rendering.context import Company, message_context
from rekindle.rendering.fields import LONGEST_TRACKED_LINK, MERGE_FIELDS
from rekindle.rendering.render import RenderingError, render_email, render_sms
from rekindle.timing.send_window import next_window
from rekindle.timing.zones import candidate_zones
from rekindle.vocabulary import Channel


@dataclass(frozen=True, slots=True)
class PreviewedMessage:
    """The words as they would leave. `problem` says why they would be held instead; then there are no words."""

    subject: str | None
    text: str
    html: str | None
    segments: int
    encoding: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class PreviewedStep:
    """One step. `from_`: the first instant it may happen; None if the send window never opens for this lead."""

    step_id: str
    kind: str
    from_: datetime | None
    until: datetime | None
    what: str
    message: PreviewedMessage | None


def sample_lead(*, with_fields: bool = True) -> dict[str, object]:
    """A made-up lead in New York; without fields, somebody of whom only the address is known."""
    known = {name: field.sample for name, field in MERGE_FIELDS.items() if not field.is_always_there}
    place = {"time_zone": "America/New_York", "country": "US"}
    return {"email": "ada@example.com", "phone": "+12125550100"} | (known if with_fields else {}) | place


def preview_sequence(
    campaign: Campaign, lead: Mapping[str, object], company: Company, now: datetime, public_base_url: str
) -> tuple[PreviewedStep, ...]:
    """Every step in order for a lead who enters at `now` and never answers; links are placeholders that lead nowhere.

    Pure. A message leaves at the first run of the campaign inside [`from_`, `until`), so the real times are those of
    the runs.
    """
    zones = candidate_zones(_text(lead.get("time_zone")), _zones(lead), _text(lead.get("country")))
    context = message_context(
        campaign,
        lead,
        company,
        # as long as a signed one, or the segments would be counted too low
        tracked_link=f"{public_base_url}/c/".ljust(LONGEST_TRACKED_LINK, "x"),
        unsubscribe_link=f"{public_base_url}/u/preview",
        preferences_link=f"{public_base_url}/p/preview",
    )
    steps: list[PreviewedStep] = []
    at: datetime | None = now
    for step in campaign.steps:
        if isinstance(step, WaitStep):
            at = at + step.duration if at else None
            steps.append(PreviewedStep(step.step_id, step.kind, at, None, f"{_duration(step)} of listening", None))
        elif isinstance(step, EndStep):
            steps.append(PreviewedStep(step.step_id, step.kind, at, None, f"ends as {step.exit}", None))
        else:
            previewed = _message_step(campaign, step, lead, context, zones, at)
            # who can not be written to on a channel moves on at once, as in a real run
            at = previewed.from_ if previewed.from_ or _has_address(step, lead) else at
            steps.append(previewed)
    return tuple(steps)


def _message_step(
    campaign: Campaign,
    step: MessageStep,
    lead: Mapping[str, object],
    context: Mapping[str, object],
    zones: tuple[str, ...],
    at: datetime | None,
) -> PreviewedStep:
    message = _email(step, context) if isinstance(step, EmailStep) else _sms(step, context)
    if not _has_address(step, lead):
        return PreviewedStep(step.step_id, step.kind, None, None, f"skipped, no {step.channel} address", message)
    window = at and next_window(campaign.window_for(step.channel), zones, at, country=_text(lead.get("country")))
    if at is None or not window:
        return PreviewedStep(step.step_id, step.kind, None, None, "held, the time zone is not known", message)
    return PreviewedStep(step.step_id, step.kind, max(at, window.opens_at), window.closes_at, "", message)


def _email(step: EmailStep, context: Mapping[str, object]) -> PreviewedMessage:
    try:
        rendered = render_email(step, context)
    except RenderingError as held:
        return PreviewedMessage(None, "", None, 1, None, str(held))
    return PreviewedMessage(rendered.subject, rendered.text, rendered.html, 1, None, None)


def _sms(step: SmsStep, context: Mapping[str, object]) -> PreviewedMessage:
    try:
        rendered = render_sms(step, context)
    except RenderingError as held:
        return PreviewedMessage(None, "", None, 0, None, str(held))
    return PreviewedMessage(None, rendered.body, None, rendered.segments, str(rendered.encoding), None)


def _has_address(step: MessageStep, lead: Mapping[str, object]) -> bool:
    return bool(lead.get("email" if step.channel is Channel.EMAIL else "phone"))


def _zones(lead: Mapping[str, object]) -> tuple[str, ...]:
    zones = lead.get("phone_time_zones")
    return tuple(zones.split(",")) if isinstance(zones, str) and zones else ()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _duration(step: WaitStep) -> str:
    hours = step.seconds / 3600
    return f"{hours / 24:g} days" if hours >= 24 else f"{hours:g} hours"
