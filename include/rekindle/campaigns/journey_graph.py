"""Flattens the steps of a campaign file, which hold steps, into a graph: reading order, and ways from step to step.

What a list of steps does not end goes on with what follows the step that holds it. So the graph has no cycle, and
reading order is an order in which every step stands before all that can follow it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rekindle.campaigns.definition import CampaignDefinition
from rekindle.campaigns.models import (
    NEXT,
    OTHERWISE,
    THEN,
    AskStep,
    BranchStep,
    EmailStep,
    EndStep,
    MessageTemplate,
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
from rekindle.campaigns.step_definitions import (
    AskStepDefinition,
    BranchStepDefinition,
    EmailStepDefinition,
    EndStepDefinition,
    OfferDefinition,
    SmsDefinition,
    SmsStepDefinition,
    SplitStepDefinition,
    StepDefinition,
    TagStepDefinition,
    UntilFieldDefinition,
    UntilLocalDefinition,
    WaitForStepDefinition,
    WaitStepDefinition,
    WebhookStepDefinition,
)
from rekindle.vocabulary import Exit

Place: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True)
class NestedSteps:
    """A list of steps inside a step: the way that leads to it, and where it stands in that step."""

    way: str
    place: Place
    steps: Sequence[StepDefinition]


@dataclass
class Graph:
    """A journey as steps in reading order and ways between them."""

    found: list[Step] = field(default_factory=list)
    ways: dict[str, dict[str, str]] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(self.found)


def build_graph(definition: CampaignDefinition, templates: Mapping[str, MessageTemplate]) -> Graph:
    """The graph of a checked definition whose templates are all there."""
    graph = Graph()
    maker = _Maker(templates, {offer.name: offer for offer in definition.offers})
    _walk(definition.steps, None, ("steps",), graph, maker)
    return graph


def nested_steps(step: StepDefinition) -> tuple[NestedSteps, ...]:
    """The lists of steps a step holds, in reading order; those that nobody wrote are empty."""
    match step:
        case WaitForStepDefinition():
            return (
                NestedSteps(THEN, (THEN,), step.then),
                NestedSteps(OTHERWISE, (OTHERWISE,), step.otherwise),
            )
        case BranchStepDefinition():
            return tuple(
                NestedSteps(
                    case_name(number, is_last_resort=case.when is None), ("branch", number, "steps"), case.steps
                )
                for number, case in enumerate(step.branch)
            )
        case SplitStepDefinition():
            return tuple(
                NestedSteps(way.name, ("split", number, "steps"), way.steps) for number, way in enumerate(step.split)
            )
        case AskStepDefinition():
            answers = [*step.answers, *(answer for answer in step.ask.expect if answer not in step.answers)]
            return (
                *(
                    NestedSteps(f"answer_{answer}", ("answers", answer), step.answers.get(answer, ()))
                    for answer in answers
                ),
                NestedSteps(OTHERWISE, (OTHERWISE,), step.otherwise),
            )
    return ()


def case_name(number: int, *, is_last_resort: bool) -> str:
    """What a case of a branch is called: `case_1` for the first, `otherwise` for the one without a condition."""
    return OTHERWISE if is_last_resort else f"case_{number + 1}"


def takes_everybody(step: StepDefinition) -> bool:
    """Whether the lists a step holds leave nobody who goes straight on."""
    if isinstance(step, BranchStepDefinition):
        return any(case.otherwise for case in step.branch)
    return isinstance(step, (WaitForStepDefinition, SplitStepDefinition, AskStepDefinition))


def raw_steps(content: Mapping[Any, Any]) -> Iterator[tuple[Place, Mapping[Any, Any]]]:
    """Every step of a file as it was written, right or wrong, with its place; in reading order."""
    yield from _raw_list(content.get("steps"), ("steps",))


def raw_lists(step: Mapping[Any, Any]) -> Iterator[tuple[Place, Any]]:
    """The lists of steps inside a written step, with their places in it."""
    for key in (THEN,):
        yield (key,), step.get(key)
    for kind in ("branch", "split"):
        options = step.get(kind)
        for number, option in enumerate(options if isinstance(options, list) else []):
            if isinstance(option, dict):
                yield (kind, number, "steps"), option.get("steps")
    answers = step.get("answers")
    for answer, steps in answers.items() if isinstance(answers, dict) else ():
        yield ("answers", ("yes" if answer else "no") if isinstance(answer, bool) else answer), steps
    yield (OTHERWISE,), step.get(OTHERWISE)


def _raw_list(steps: Any, place: Place) -> Iterator[tuple[Place, Mapping[Any, Any]]]:
    for number, step in enumerate(steps if isinstance(steps, list) else []):
        if isinstance(step, dict):
            yield (*place, number), step
            for inside, nested in raw_lists(step):
                yield from _raw_list(nested, (*place, number, *inside))


def _walk(steps: Sequence[StepDefinition], following: str | None, place: Place, graph: Graph, maker: _Maker) -> None:
    for number, step in enumerate(steps):
        here = (*place, number)
        after = steps[number + 1].step_id if number + 1 < len(steps) else following
        graph.found.append(maker.make(step))
        graph.places[step.step_id] = here
        nested = nested_steps(step)
        ways = {each.way: each.steps[0].step_id if each.steps else after for each in nested}
        if not isinstance(step, EndStepDefinition) and not takes_everybody(step):
            ways[NEXT] = after
        graph.ways[step.step_id] = {way: target for way, target in ways.items() if target is not None}
        for each in nested:
            _walk(each.steps, after, (*here, *each.place), graph, maker)


@dataclass(frozen=True)
class _Maker:
    """Turns what was written into what is run."""

    templates: Mapping[str, MessageTemplate]
    offers: Mapping[str, OfferDefinition]

    def make(self, step: StepDefinition) -> Step:
        return _MAKERS[type(step)](self, step)

    def _offer(self, name: str | None) -> OfferDefinition | None:
        return self.offers[name] if name else None

    def email(self, step: EmailStepDefinition) -> Step:
        email = step.email
        html = self.templates[email.html_template] if email.html_template else None
        return EmailStep(step.step_id, self.templates[email.template], email.subject, html, self._offer(email.offer))

    def sms(self, step: SmsStepDefinition) -> Step:
        return SmsStep(step.step_id, *self._text(step.sms))

    def ask(self, step: AskStepDefinition) -> Step:
        expected = tuple(step.ask.expect.items())
        return AskStep(step.step_id, *self._text(step.ask.sms), expected=expected, within=step.ask.within)

    def _text(self, sms: SmsDefinition) -> tuple[MessageTemplate, int, OfferDefinition | None]:
        return self.templates[sms.template], sms.max_segments, self._offer(sms.offer)

    def wait(self, step: WaitStepDefinition) -> Step:
        match step.wait:
            case UntilFieldDefinition() as until:
                return UntilFieldStep(step.step_id, until.until_field, until.plus)
            case UntilLocalDefinition() as until:
                hour, minute = until.until_local.split(":")
                return UntilLocalStep(step.step_id, int(hour) * 60 + int(minute))
            case duration:
                return WaitStep(step.step_id, duration)

    def wait_for(self, step: WaitForStepDefinition) -> Step:
        return WaitForStep(step.step_id, step.wait_for.event, step.wait_for.within)

    def branch(self, step: BranchStepDefinition) -> Step:
        cases = tuple(
            (case_name(number, is_last_resort=False), case.when)
            for number, case in enumerate(step.branch)
            if case.when is not None
        )
        return BranchStep(step.step_id, cases)

    def split(self, step: SplitStepDefinition) -> Step:
        return SplitStep(step.step_id, tuple((way.name, way.weight) for way in step.split))

    def tag(self, step: TagStepDefinition) -> Step:
        return TagStep(step.step_id, step.tag.add, step.tag.remove)

    def webhook(self, step: WebhookStepDefinition) -> Step:
        return WebhookStep(step.step_id, step.webhook.connection, step.webhook.event)

    def end(self, step: EndStepDefinition) -> Step:
        return EndStep(step.step_id, Exit(step.end))


_MAKERS: dict[type[StepDefinition], Callable[[_Maker, Any], Step]] = {
    EmailStepDefinition: _Maker.email,
    SmsStepDefinition: _Maker.sms,
    AskStepDefinition: _Maker.ask,
    WaitStepDefinition: _Maker.wait,
    WaitForStepDefinition: _Maker.wait_for,
    BranchStepDefinition: _Maker.branch,
    SplitStepDefinition: _Maker.split,
    TagStepDefinition: _Maker.tag,
    WebhookStepDefinition: _Maker.webhook,
    EndStepDefinition: _Maker.end,
}
