"""What can be wrong between the steps of a file: ids, ends, and words that name other parts of the campaign."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rekindle.campaigns.conditions import ReplyCondition, VariantCondition
from rekindle.campaigns.definition import CampaignDefinition
from rekindle.campaigns.findings import Finding, Level, did_you_mean
from rekindle.campaigns.journey_graph import Place, nested_steps, raw_lists, raw_steps
from rekindle.campaigns.step_definitions import (
    AskStepDefinition,
    BranchStepDefinition,
    EmailStepDefinition,
    EndStepDefinition,
    SmsStepDefinition,
    StepDefinition,
)
from rekindle.campaigns.yaml_document import YamlDocument


def check_journey(document: YamlDocument) -> Iterator[Finding]:
    """Ids said twice, steps that are never reached, ways that do not end.

    Reads the file as it was written, so that it is said together with what is wrong inside the steps.
    """
    steps = document.content.get("steps")
    if not isinstance(steps, list) or not steps:
        return
    first_line: dict[str, int] = {}
    for place, step in raw_steps(document.content):
        step_id, line = step.get("id"), document.line_of(place)
        if isinstance(step_id, str):
            if step_id in first_line:
                message = f"two steps have the id `{step_id}` (the other is in line {first_line[step_id]})"
                yield _error(document, line, message, "Give one of them another id.")
            first_line.setdefault(step_id, line)
    yield from _unreachable(steps, ("steps",), document)
    if isinstance(steps[0], dict) and "end" in steps[0]:
        yield _error(document, document.line_of(["steps", 0]), "the journey ends before it begins", "Remove the end.")
    elif _goes_on(steps):
        line = document.line_of(["steps", len(steps) - 1])
        advice = "Add a last step: `- id: archive` and under it `end: archived`."
        yield _error(document, line, "the journey does not end", advice)


def _unreachable(steps: Any, place: Place, document: YamlDocument) -> Iterator[Finding]:
    for number, step in enumerate(steps if isinstance(steps, list) else []):
        if not isinstance(step, dict):
            continue
        for inside, nested in raw_lists(step):
            yield from _unreachable(nested, (*place, number, *inside), document)
        left = len(steps) - 1 - number
        if left and not _goes_on([step]):
            line = document.line_of([*place, number])
            more = f"there {'are' if left > 1 else 'is'} {left} more step{'s' if left > 1 else ''}"
            if "end" in step:
                message, advice = f"nothing comes after the end, but {more}", "Move the end to the end"
            else:
                message, advice = f"every way of step `{step.get('id')}` ends, but {more}", "Let one of the ways go on"
            yield _error(document, line, message, f"{advice}, or remove what follows.")
            return


def _goes_on(steps: Any) -> bool:
    """Whether somebody can come to the end of a list of steps without having left."""
    if not isinstance(steps, list):
        return True
    return all(_step_goes_on(step) for step in steps if isinstance(step, dict))


def _step_goes_on(step: Mapping[Any, Any]) -> bool:
    if "end" in step:
        return False
    if not {"wait_for", "branch", "split", "ask"} & step.keys():
        return True
    branch = step.get("branch")
    if isinstance(branch, list) and not any(isinstance(case, dict) and case.get("otherwise") for case in branch):
        return True
    lists = [
        nested
        for place, nested in raw_lists(step)
        if (place[0] not in ("then", "otherwise") or "wait_for" in step or ("ask" in step and place[0] == "otherwise"))
    ]
    ask = step.get("ask")
    expected = ask.get("expect") if isinstance(ask, dict) else None
    answers = step.get("answers")
    if isinstance(expected, dict) and set(expected) - set(answers if isinstance(answers, dict) else ()):
        return True
    return any(_goes_on(nested) for nested in lists)


def check_references(definition: CampaignDefinition, document: YamlDocument) -> Iterator[Finding]:
    """Words that name an offer, a variant, a question or a step which is not there."""
    offers = [offer.name for offer in definition.offers]
    for number, name in enumerate(offers):
        if name in offers[:number]:
            message = f"two offers are called `{name}`"
            yield _error(document, document.line_of(["offers", number]), message, "Give one of them another name.")
    steps = list(_all_steps(definition.steps, ("steps",)))
    questions: dict[str, AskStepDefinition] = {}
    for place, step in steps:
        yield from _check_offer(step, place, offers, document)
        if isinstance(step, AskStepDefinition):
            questions[step.step_id] = step
        if isinstance(step, BranchStepDefinition):
            for number, case in enumerate(step.branch):
                line = document.line_of([*place, "branch", number, "when"])
                yield from _check_case(case.when, definition, questions, line, document)
    goals = [step.step_id for _, step in steps if not isinstance(step, EndStepDefinition)]
    for old, new in (definition.moves or {}).items():
        if new not in goals:
            message = f"`moves` names `{new}`, which is no step that a lead can stand on"
            yield _error(document, document.line_of(["moves", old]), message, did_you_mean(new, goals))


def _check_offer(step: StepDefinition, place: Place, offers: list[str], document: YamlDocument) -> Iterator[Finding]:
    name, inside = _offer_of(step)
    if name is not None and name not in offers:
        advice = did_you_mean(name, offers) or "Add it to `offers`."
        line = document.line_of([*place, *inside])
        yield _error(document, line, f"the campaign has no offer `{name}`", advice)


def _offer_of(step: StepDefinition) -> tuple[str | None, Place]:
    match step:
        case EmailStepDefinition():
            return step.email.offer, ("email", "offer")
        case SmsStepDefinition():
            return step.sms.offer, ("sms", "offer")
        case AskStepDefinition():
            return step.ask.sms.offer, ("ask", "sms", "offer")
    return None, ()


def _check_case(
    condition: object,
    definition: CampaignDefinition,
    questions: Mapping[str, AskStepDefinition],
    line: int,
    document: YamlDocument,
) -> Iterator[Finding]:
    if isinstance(condition, VariantCondition):
        variants = [variant.name for variant in definition.variants]
        if condition.variant not in variants:
            advice = did_you_mean(condition.variant, variants) or "Add it to `variants`."
            yield _error(document, line, f"the campaign has no variant `{condition.variant}`", advice)
    elif isinstance(condition, ReplyCondition):
        question = questions.get(condition.to)
        if question is None:
            advice = did_you_mean(condition.to, questions) or "Ask first: add an `ask` step before."
            yield _error(document, line, f"no question `{condition.to}` is asked before this", advice)
        elif condition.reply not in question.ask.expect:
            message = f"the question `{condition.to}` does not expect `{condition.reply}`"
            yield _error(document, line, message, did_you_mean(condition.reply, question.ask.expect))


def _all_steps(steps: tuple[StepDefinition, ...], place: Place) -> Iterator[tuple[Place, StepDefinition]]:
    for number, step in enumerate(steps):
        yield (*place, number), step
        for nested in nested_steps(step):
            yield from _all_steps(tuple(nested.steps), (*place, number, *nested.place))


def _error(document: YamlDocument, line: int, message: str, advice: str) -> Finding:
    return Finding(document.file, line, Level.ERROR, message, advice)
