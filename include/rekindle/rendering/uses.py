"""Which merge fields a template uses, in which line, and whether it works without them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jinja2 import meta, nodes

from rekindle.campaigns.models import Campaign, MessageTemplate
from rekindle.rendering.fields import MERGE_FIELDS
from rekindle.rendering.render import TEMPLATE_GLOBALS, parse_template, used_fields

_FALLBACK_FILTERS = ("default", "d")
_HOLDING_FILTER = "required"
#: What a contact and an entry know; every other field of a lead is in `sync_lead_context`.
_OF_CONTACT_AND_ENTRY = frozenset({"first_name", "plan", "locale", "last_key_action_on", "segment", "variant"})
_LEAD_CONTEXT = frozenset(
    name for name, field in MERGE_FIELDS.items() if not field.is_always_there and name not in _OF_CONTACT_AND_ENTRY
)
_Names = frozenset[str]


@dataclass(frozen=True, slots=True)
class FieldUse:
    """One mention of a field. `has_fallback`: the template still renders when the lead lacks it. `holds`: it is meant
    not to.
    """

    name: str
    line: int
    has_fallback: bool
    holds: bool = False


def field_uses(template: MessageTemplate) -> list[FieldUse]:
    """Every mention of a merge field, in order. Raises `TemplateFailed` if the template can not be read."""
    tree = parse_template(template)
    fields = frozenset(meta.find_undeclared_variables(tree)) - TEMPLATE_GLOBALS
    return [use for use in _walk(tree, frozenset()) if use.name in fields]


def needs_lead_context(campaign: Campaign) -> bool:
    """Whether some template says what only `sync_lead_context` knows. Raises `TemplateFailed`."""
    return any(not _LEAD_CONTEXT.isdisjoint(used_fields(step)) for step in campaign.message_steps)


def literal_texts(template: MessageTemplate) -> list[tuple[int, str]]:
    """What the template says by itself: its text and its fallbacks, with their lines. Comments say nothing."""
    tree = parse_template(template)
    texts = [(node.lineno, node.data) for node in tree.find_all(nodes.TemplateData)]
    return texts + [(node.lineno, node.value) for node in tree.find_all(nodes.Const) if isinstance(node.value, str)]


def _walk(node: nodes.Node, known: _Names) -> Iterator[FieldUse]:
    """`known` are the fields that a condition around this node has shown to be there."""
    match node:
        case nodes.Name():
            yield FieldUse(node.name, node.lineno, node.name in known)
        case nodes.Filter(node=nodes.Name() as field, name=filter_name) if filter_name in _FALLBACK_FILTERS:
            yield FieldUse(field.name, field.lineno, True)
            for argument in node.args:
                yield from _walk(argument, known)
        case nodes.Filter(node=nodes.Name() as field, name=filter_name) if filter_name == _HOLDING_FILTER:
            yield FieldUse(field.name, field.lineno, field.name in known, holds=True)
        case nodes.Test(node=nodes.Name() as field, name="defined" | "undefined"):
            yield FieldUse(field.name, field.lineno, True)
        case nodes.And():
            yield from _walk(node.left, known)
            yield from _walk(node.right, known | _shown_by(node.left, True))
        case nodes.Or():
            yield from _walk(node.left, known)
            yield from _walk(node.right, known | _shown_by(node.left, False))
        case nodes.CondExpr():
            yield from _walk(node.test, known)
            yield from _walk(node.expr1, known | _shown_by(node.test, True))
            if node.expr2 is not None:
                yield from _walk(node.expr2, known | _shown_by(node.test, False))
        case nodes.If():
            yield from _walk(node.test, known)
            for child in node.body:
                yield from _walk(child, known | _shown_by(node.test, True))
            otherwise = known | _shown_by(node.test, False)
            for branch in node.elif_:
                yield from _walk(branch, otherwise)
                otherwise |= _shown_by(branch.test, False)
            for child in node.else_:
                yield from _walk(child, otherwise)
        case _:
            for child in node.iter_child_nodes():
                yield from _walk(child, known)


def _shown_by(test: nodes.Node, outcome: bool) -> _Names:
    """The fields that are certainly there when `test` comes out as `outcome`."""
    match test:
        case nodes.Test(node=nodes.Name() as field, name="defined") if outcome:
            return frozenset({field.name})
        case nodes.Test(node=nodes.Name() as field, name="undefined") if not outcome:
            return frozenset({field.name})
        case nodes.Not():
            return _shown_by(test.node, not outcome)
        case nodes.And() if outcome:
            return _shown_by(test.left, True) | _shown_by(test.right, True)
        case nodes.Or() if not outcome:
            return _shown_by(test.left, False) | _shown_by(test.right, False)
        case _:
            return frozenset()
