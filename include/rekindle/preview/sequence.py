"""A campaign's whole sequence as one lead would live it in silence: the windows and the words of the real run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from rekindle.campaigns.conditions import Condition, EventCondition
from rekindle.campaigns.models import (
    NEXT,
    OTHERWISE,
    THEN,
    AskStep,
    BranchStep,
    Campaign,
    EmailStep,
    EndStep,
    MessageStep,
    SmsStep,
    SplitStep,
    Step,
    TagStep,
    UntilFieldStep,
    UntilLocalStep,
    WaitForStep,
    WaitStep,
    WebhookStep,
)
from rekindle.rendering.context import Company, message_context
from rekindle.rendering.fields import LONGEST_TRACKED_LINK, MERGE_FIELDS
from rekindle.rendering.render import RenderingError, render_email, render_sms
from rekindle.timing.quiet_hours import quiet_hours
from rekindle.timing.send_window import Interval, next_window
from rekindle.timing.zones import whereabouts
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
    """One step. `from_`: the first instant it may happen on any way; None if the send window never opens for this lead.

    `depth`: how deep it stands inside other steps. `after`: the steps and ways that lead to it, unless it simply
    follows the one before. `offer`: what the message offers; `offer_ends_at`: when that ends if the message leaves at
    once.
    """

    step_id: str
    kind: str
    from_: datetime | None
    until: datetime | None
    what: str
    message: PreviewedMessage | None
    depth: int = 0
    after: tuple[str, ...] = ()
    offer: str | None = None
    offer_ends_at: datetime | None = None


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
    walk = _Walk(campaign, lead, company, public_base_url)
    arrivals: dict[str, list[_Arrival]] = defaultdict(list)
    arrivals[campaign.first_step.step_id].append(_Arrival(now, ""))
    steps: list[PreviewedStep] = []
    for step in campaign.steps:
        came = arrivals[step.step_id]
        at = min((arrival.at for arrival in came if arrival.at), default=None)
        previewed = walk.look_at(step, at, tuple(arrival.by for arrival in came if arrival.by))
        steps.append(previewed)
        for way, following in campaign.ways[step.step_id].items():
            leaves = walk.leaves(step, way, previewed, at)
            follows_simply = way == NEXT and following == _next_in_order(campaign, step.step_id)
            by = "" if follows_simply else f"{step.step_id}: {describe_way(campaign, step, way)}"
            arrivals[following].append(_Arrival(leaves, by.removesuffix(": ")))
    return tuple(steps)


def describe_way(campaign: Campaign, step: Step, way: str) -> str:
    """What must happen for a lead to go this way; empty for the way everybody goes."""
    if isinstance(step, WaitForStep):
        return f"if `{step.event}` comes" if way == THEN else f"if not within {spelled(step.within)}"
    if isinstance(step, AskStep):
        return f"if not answered within {spelled(step.within)}" if way == OTHERWISE else f"on `{way[len('answer_') :]}`"
    if isinstance(step, SplitStep):
        weights = dict(step.ways)
        return f"way `{way}`, {weights[way] / sum(weights.values()):.0%}"
    if isinstance(step, BranchStep):
        conditions = dict(step.cases)
        return f"if {_condition(conditions[way])}" if way in conditions else "everybody else"
    return ""


def spelled(duration: timedelta) -> str:
    """`3 days`, `36 hours`."""
    hours = duration.total_seconds() / 3600
    number, unit = (hours / 24, "day") if hours >= 48 or hours == 24 else (hours, "hour")
    return f"{number:g} {unit}{'' if number == 1 else 's'}"


def _condition(condition: Condition) -> str:
    said = condition.model_dump(mode="json", by_alias=True, exclude_none=True)
    if isinstance(condition, EventCondition):
        return f"`{condition.event}` came in the last {spelled(condition.within)}"
    return ", ".join(f"{word} {_plainly(value)}" for word, value in said.items())


def _plainly(value: object) -> str:
    if isinstance(value, dict):
        return " and ".join(f"{word} {_plainly(inner)}" for word, inner in value.items())
    return f"`{value}`"


def _next_in_order(campaign: Campaign, step_id: str) -> str | None:
    order = [step.step_id for step in campaign.steps]
    position = order.index(step_id) + 1
    return order[position] if position < len(order) else None


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A way to a step: when a lead comes by it, and its name if it is worth one."""

    at: datetime | None
    by: str


class _Walk:
    """One lead going every way of one campaign."""

    def __init__(self, campaign: Campaign, lead: Mapping[str, object], company: Company, public_base_url: str) -> None:
        self._campaign = campaign
        self._lead = lead
        self._company = company
        self._base = public_base_url
        self._place = _text(lead.get("country")), _text(lead.get("state")), _text(lead.get("postal_code"))
        self._zones = whereabouts(_text(lead.get("time_zone")), _zones(lead), *self._place).zones

    def look_at(self, step: Step, at: datetime | None, after: tuple[str, ...]) -> PreviewedStep:
        depth = _depth(self._campaign.places.get(step.step_id, ()))
        if isinstance(step, (EmailStep, SmsStep)):
            return self._message_step(step, at, depth, after)
        if isinstance(step, (WaitStep, UntilFieldStep, UntilLocalStep)):
            at = self._over(step, at)
        return PreviewedStep(step.step_id, step.kind, at, None, _what(step), None, depth, after)

    def leaves(self, step: Step, way: str, previewed: PreviewedStep, at: datetime | None) -> datetime | None:
        """When a lead goes on this way at the earliest."""
        if isinstance(step, (WaitForStep, AskStep)):
            begun = previewed.from_ or at
            return begun + step.within if begun and way == OTHERWISE else begun
        if isinstance(step, (EmailStep, SmsStep)):
            # who can not be written to on a channel moves on at once, as in a real run
            return previewed.from_ if previewed.from_ or _has_address(step, self._lead) else at
        return previewed.from_

    def _over(self, step: WaitStep | UntilFieldStep | UntilLocalStep, at: datetime | None) -> datetime | None:
        if at is None:
            return None
        if isinstance(step, WaitStep):
            return at + step.duration
        if isinstance(step, UntilLocalStep):
            return max((_next_local(at, zone, step.minute) for zone in self._zones), default=at)
        day = self._lead.get(step.field)
        if not isinstance(day, date):
            return at
        return max(at, datetime(day.year, day.month, day.day, tzinfo=UTC) + step.plus)

    def _message_step(
        self, step: MessageStep, at: datetime | None, depth: int, after: tuple[str, ...]
    ) -> PreviewedStep:
        window = at and self._window(step, at)
        from_ = max(at, window.opens_at) if at and window else None
        ends_at = from_ + step.offer.valid_for if from_ and step.offer and step.offer.valid_for else None
        context = message_context(
            self._campaign,
            dict(self._lead) | {"offer_ends_at": ends_at or at},
            self._company,
            # as long as a signed one, or the segments would be counted too low
            tracked_link=f"{self._base}/c/".ljust(LONGEST_TRACKED_LINK, "x"),
            unsubscribe_link=f"{self._base}/u/preview",
            preferences_link=f"{self._base}/p/preview",
            confirm_link=f"{self._base}/confirm/preview",
            offer=step.offer,
        )
        message = _email(step, context) if isinstance(step, EmailStep) else _sms(step, context)
        what = _what(step)
        if not _has_address(step, self._lead):
            from_, window, what = None, None, f"skipped, no {step.channel} address"
        elif not window:
            what = "held, the time zone is not known"
        until = window.closes_at if window else None
        offer = f"{step.offer.code}: {step.offer.description}" if step.offer else None
        return PreviewedStep(step.step_id, step.kind, from_, until, what, message, depth, after, offer, ends_at)

    def _window(self, step: MessageStep, at: datetime) -> Interval | None:
        limited = quiet_hours().limit(
            self._campaign.send_window, step.channel, *self._place, zones=self._zones, on=at.date()
        )
        return next_window(limited, self._zones, at, country=self._place[0])


def _depth(place: Sequence[str | int]) -> int:
    """How many steps a step stands inside: the numbers in its place, but for those of cases and ways, and its own."""
    numbers = [part for before, part in pairwise(place) if isinstance(part, int) and before not in ("branch", "split")]
    return max(len(numbers) - 1, 0)


def _next_local(at: datetime, zone: str, minute: int) -> datetime:
    local = at.astimezone(ZoneInfo(zone))
    today = local.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0)
    return (today if today >= local else today + timedelta(days=1)).astimezone(UTC)


def _what(step: Step) -> str:
    match step:
        case WaitStep():
            return f"{spelled(step.duration)} of listening"
        case UntilFieldStep():
            moved = f" {'plus' if step.plus > timedelta() else 'minus'} {spelled(abs(step.plus))}" if step.plus else ""
            return f"waits until `{step.field}`{moved}; goes on at once without that date"
        case UntilLocalStep():
            return f"waits until {step.minute // 60:02}:{step.minute % 60:02} where the lead is"
        case WaitForStep():
            return f"waits for `{step.event}`, at most {spelled(step.within)}"
        case AskStep():
            answers = ", ".join(f"`{answer}`" for answer, _ in step.expected)
            return f"waits for {answers}, at most {spelled(step.within)}"
        case BranchStep():
            return "the first way that holds"
        case SplitStep():
            return "a draw, always the same for a household"
        case TagStep():
            changes = [f"adds `{tag}`" for tag in step.add] + [f"removes `{tag}`" for tag in step.remove]
            return f"tags: {', '.join(changes)}"
        case WebhookStep():
            return f"tells `{step.connection}`: {step.event}"
        case EndStep():
            return f"ends as {step.exit}"
    return ""


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
