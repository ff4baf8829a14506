"""pydantic's errors in the words of a campaign's author: which line, which word, which one is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_args

import yaml
from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from rekindle.campaigns.definition import CampaignDefinition
from rekindle.campaigns.findings import Finding, Level, did_you_mean
from rekindle.campaigns.words import OWN_ERROR
from rekindle.campaigns.yaml_document import YamlDocument

_MUST_BE = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "model_type": "a mapping of words",
    "model_attributes_type": "a mapping of words",
}
_LIMITS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def explain(error: ValidationError, document: YamlDocument) -> list[Finding]:
    """One finding for each error pydantic reports; a list whose items fail is not also called too short."""
    details = error.errors(include_url=False)
    return [_finding(detail, document) for detail in details if not (detail["type"] == "too_short" and detail["input"])]


def _finding(detail: ErrorDetails, document: YamlDocument) -> Finding:
    location = list(detail["loc"])
    line = document.line_of(location)
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    word = str(location[-1]) if location else ""
    here, around = _place(location, document), _place(location[:-1], document)

    if kind == OWN_ERROR:
        line = document.line_of([*location, context["word"]]) if context["word"] else line
        message, advice = f"{context['message']} (in {here})", str(context["advice"])
    elif kind == "extra_forbidden":
        message, advice = f"{around} has no word `{word}`", did_you_mean(word, _words_at(location[:-1]))
    elif kind == "missing":
        message, advice = f"{around} lacks `{word}`", f"Add `{word}: {_example(location)}`."
    elif kind in ("literal_error", "enum"):
        message = f"{here} can not be `{_shown(value)}`"
        advice = did_you_mean(_shown(value), _choices(context["expected"]))
    elif kind in _LIMITS:
        relation, key = _LIMITS[kind]
        message, advice = f"{here} is {_shown(value)}", f"It must be {relation} {context[key]}."
    elif kind in ("too_short", "string_too_short"):
        message, advice = f"{here} is empty", f"Write for example `{word}: {_example(location)}`."
    elif kind in _MUST_BE:
        message = f"{here} must be {_MUST_BE[kind]}, not {_described(value)}"
        advice = _type_advice(kind, value, location)
    else:
        message, advice = f"{here}: {detail['msg']}", "Correct the value."
    return Finding(document.file, line, Level.ERROR, message, advice)


def _place(location: Sequence[str | int], document: YamlDocument) -> str:
    """The place in words: `subject` of `email` of step `probe`. Of steps inside steps, the innermost is named."""
    parts: list[str] = []
    content: Any = document.content
    for part in location:
        if isinstance(part, int) and isinstance(content, (list, tuple)) and part < len(content):
            content = content[part]
            step = content.get("id") if isinstance(content, dict) else None
            if isinstance(step, str) or parts == ["`steps`"]:
                parts = [f"step `{step}`" if isinstance(step, str) else f"step number {part + 1}"]
            elif parts and parts[-1] in ("`branch`", "`split`", "`exits`", "`offers`", "`variants`"):
                parts.append(f"number {part + 1}")
        elif isinstance(content, dict) and (part in content or part == location[-1]) and " " not in str(part):
            content = content.get(part)
            parts.append(f"`{part}`")
    return " of ".join(reversed(parts)) or "the campaign"


def _models(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """The parts of a campaign that an annotation admits, each with its union tag ("" outside a union)."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield "", annotation
    arguments = get_args(annotation)
    tag = next((argument.tag for argument in arguments if isinstance(argument, Tag)), "")
    for argument in arguments:
        for inner, model in _models(argument):
            yield inner or tag, model


def _model_at(location: Sequence[str | int]) -> type[BaseModel]:
    """The class that reads the mapping at `location`."""
    model: type[BaseModel] = CampaignDefinition
    candidates = {"": model}
    for part in location:
        if part in candidates:  # a union's tag
            model = candidates[str(part)]
            continue
        for name, field in model.model_fields.items():
            if part == (field.alias or name):
                candidates = dict(_models(field.annotation))
                model = candidates.get("", model)
    return model


def _words_at(location: Sequence[str | int]) -> list[str]:
    return [field.alias or name for name, field in _model_at(location).model_fields.items()]


def _example(location: Sequence[str | int]) -> str:
    for name, field in _model_at(location[:-1]).model_fields.items():
        if location and location[-1] in (field.alias, name) and field.examples:
            return (
                yaml.safe_dump(field.examples[0], default_flow_style=True, sort_keys=False)
                .removesuffix("...\n")
                .strip()
            )
    return "…"


def _choices(expected: str) -> list[str]:
    """pydantic lists the right values as `'a', 'b' or 'c'`."""
    return [choice.strip(" '") for choice in expected.replace(" or ", ",").split(",")]


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _described(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return f"`{_shown(value)}`"


def _type_advice(kind: str, value: Any, location: Sequence[str | int]) -> str:
    if kind == "string_type" and value is not None and not isinstance(value, (dict, list)):
        return f'Put it into quotes: "{_shown(value)}".'
    if kind == "tuple_type" and isinstance(value, str):
        return f'Put it into brackets: ["{value}"].'
    if value is None:
        return "Give it a value or remove the line."
    if isinstance(value, str) and value.replace(".", "", 1).isdigit():
        return f"Remove the quotes: {value}."
    example = _example(location)
    return "Correct the value." if example == "…" else f"Write for example `{location[-1]}: {example}`."
