"""The preview as a page for the terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from rekindle.campaigns.models import Campaign
from rekindle.preview.sequence import PreviewedStep
from rekindle.timing.zones import proper_zone

#: A link is counted as long as a signed one, and shown short.
_LONG_LINK = re.compile(r"(/c/)x+")


def preview_page(
    campaign: Campaign, steps: Sequence[PreviewedStep], time_zone: str | None, segment_price: float | None
) -> RenderableType:
    """One panel a message, one line for every other step, and what the texts cost at most."""
    name = proper_zone(time_zone or "")
    zone = ZoneInfo(name) if name else ZoneInfo("UTC")
    parts: list[RenderableType] = [
        Text(f"{campaign.campaign_id}: {campaign.name}", style="bold"),
        Text(
            f"Times are the earliest, in {name or 'UTC'}; a message leaves at the first run inside its window."
            " Links are shown short and counted in full.\n"
        ),
    ]
    for number, step in enumerate(steps, 1):
        shown = _panel(number, step, zone) if step.message else _line(number, step, zone)
        parts.append(Padding(shown, (0, 0, 0, 4 * step.depth)))
    texts = {step.step_id: step.message.segments for step in steps if step.message and step.kind != "email"}
    segments = _dearest_way(campaign, texts)
    price = f", {segments * segment_price:.4f} at {segment_price:g} a segment" if segment_price is not None else ""
    parts.append(Text(f"\nSegments to bill for one lead, on the dearest way to the end: {segments}{price}"))
    return Group(*parts)


def _dearest_way(campaign: Campaign, segments: Mapping[str, int]) -> int:
    """The most segments on any way through the journey."""
    spent = dict.fromkeys((step.step_id for step in campaign.steps), 0)
    for step in campaign.steps:  # each stands before all that can follow it
        spent[step.step_id] += segments.get(step.step_id, 0)
        for following in campaign.ways[step.step_id].values():
            spent[following] = max(spent[following], spent[step.step_id])
    return max(spent.values())


def _line(number: int, step: PreviewedStep, zone: tzinfo) -> Text:
    word = {"end": "on", "wait": "until"}.get(step.kind, "from")
    when = f" {word} {_minute(step.from_, zone)}" if step.from_ else ""
    line = Text(f"{number}. {step.step_id}: {step.what}{when}")
    return line.append(_after(step), style="dim")


def _panel(number: int, step: PreviewedStep, zone: tzinfo) -> Group:
    """What the lead would read in a frame; beside it, where no width cuts it off, when and at which price."""
    message = step.message
    assert message is not None
    when = f", {_minute(step.from_, zone)} to {_minute(step.until, zone)}" if step.from_ and step.until else ""
    title = Text(f"{number}. {step.step_id} ({step.kind}){when}" + (f": {step.what}" if step.what else ""))
    title.append(_after(step), style="dim")
    if message.problem:
        return Group(title, Panel(Text(f"held: {message.problem}", style="red")))
    subject = f"Subject: {message.subject}\n\n" if message.subject is not None else ""
    counted = "1 segment" if message.segments == 1 else f"{message.segments} segments"
    size = f"{counted}, {message.encoding}" if message.encoding else None
    also = "an HTML version goes along" if message.html is not None else None
    ends = f", until {_minute(step.offer_ends_at, zone)} if it leaves at once" if step.offer_ends_at else ""
    offer = f"{step.offer}{ends}" if step.offer else None
    notes = "; ".join(note for note in (size or also, offer) if note)
    words = Text(_LONG_LINK.sub(r"\1…", subject + message.text.rstrip()))
    return Group(title, Panel(words), *([Padding(Text(notes, style="dim"), (0, 0, 0, 2))] if notes else []))


def _after(step: PreviewedStep) -> str:
    return f"   (after {'; or '.join(step.after)})" if step.after else ""


def _minute(instant: datetime, zone: tzinfo) -> str:
    return f"{instant.astimezone(zone):%a %d %b %H:%M}"
