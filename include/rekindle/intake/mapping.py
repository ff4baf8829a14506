"""The mapping of the company's own tables: which table and column is which of ours.

It is the variable `rekindle__mapping` of `dbt_project.yml`, or of a file that is handed to dbt with `--vars`. The macro
`check_mapping` refuses the same at every build.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from rekindle.errors import ConfigurationError

VARIABLE = "rekindle__mapping"
UNITS = ("seconds", "milliseconds", "microseconds")

#: Table → what it must have → what it may have; the macro `mappable_columns` of the dbt project has the same.
_OFTEN = ("loaded_at", "source_file", "source_row", "is_made_up")
TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "events": (("user_id", "event_type", "occurred_at"), ("event_id", "properties", *_OFTEN)),
    "users": (
        ("user_id",),
        (
            *("email", "phone", "first_name", "time_zone", "country", "locale", "plan", "properties"),
            *("email_consented_at", "sms_consented_at", "signed_up_at", *_OFTEN),
        ),
    ),
    "support_tickets": (("ticket_id", "user_id", "opened_at"), ("closed_at", "category", "satisfaction", *_OFTEN)),
    "product_feedback": (("feedback_id", "user_id", "given_at"), ("survey", "feature_asked_for", *_OFTEN)),
}
_PLACES = ("database", "schema", "table", "columns")

#: Schema and table → the table's columns; None when there is no such table.
ColumnsOf = Callable[[str, str], Collection[str] | None]


@dataclass(frozen=True, order=True)
class Complaint:
    """One row of a mapping that can not be used."""

    path: Path
    line: int
    row: str  # events.columns.user_id
    told: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: error: {self.row}: {self.told}"


def check_mapping(path: Path, columns_of: ColumnsOf | None = None) -> list[Complaint]:
    """What is wrong with the mapping of a file; without `columns_of` only its words are looked at.

    Raises `ConfigurationError` when the file can not be read.
    """
    try:
        document = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: can not be read as YAML ({error})") from error
    mapping = _child(_child(document, "vars"), VARIABLE) or _child(document, VARIABLE)
    return sorted(_judge(path, mapping, columns_of)) if mapping is not None else []


def _judge(path: Path, mapping: yaml.Node, columns_of: ColumnsOf | None) -> Iterator[Complaint]:
    for key, table in _pairs(mapping):
        name = str(key.value)

        def refuse(node: yaml.Node, row: str, told: str) -> Complaint:
            return Complaint(path, node.start_mark.line + 1, row, told)

        if name not in TABLES:
            yield refuse(key, name, f"is no table of ours; {_nearest(name, TABLES)}")
            continue
        required, optional = TABLES[name]
        for place, _ in _pairs(table):
            if place.value not in _PLACES:
                yield refuse(place, f"{name}.{place.value}", f"is not known; {_nearest(str(place.value), _PLACES)}")
        columns = _child(table, "columns")
        wishes = {str(column.value): (column, wish) for column, wish in _pairs(columns)}
        for column in required:
            if column not in wishes:
                yield refuse(key, f"{name}.columns.{column}", "is missing; say which column of your table it is")
        schema = _text(_child(table, "schema")) or "rekindle_raw"
        place_name = _text(_child(table, "table")) or name
        there = columns_of(schema, place_name) if columns_of else None
        if columns_of and there is None:
            yield refuse(key, name, f"there is no table {schema}.{place_name}, or it may not be read")
        for column, (node, wish) in wishes.items():
            row = f"{name}.columns.{column}"
            if column not in (*required, *optional):
                yield refuse(node, row, f"is no column of ours; {_nearest(column, (*required, *optional))}")
                continue
            theirs = _text(wish) or _text(_child(wish, "column"))
            unit = _text(_child(wish, "unit"))
            if isinstance(wish, yaml.MappingNode) and _text(_child(wish, "expression")) is None:
                if theirs is None or unit not in UNITS:
                    yield refuse(
                        node, row, f"write a column's name, {{column: …, unit: {'|'.join(UNITS)}}} or {{expression: …}}"
                    )
            elif theirs is None and not isinstance(wish, yaml.MappingNode):
                yield refuse(node, row, "is blank; name a column or take the row out")
            if theirs and there is not None and theirs.lower() not in {each.lower() for each in there}:
                yield refuse(node, row, f"{schema}.{place_name} has no column `{theirs}`; {_nearest(theirs, there)}")


def _pairs(node: yaml.Node | None) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return [(key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    return next((value for key, value in _pairs(node) if key.value == name), None)


def _text(node: yaml.Node | None) -> str | None:
    return (str(node.value).strip() or None) if isinstance(node, yaml.ScalarNode) else None


def _nearest(word: str, known: Collection[str]) -> str:
    nearest = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean `{nearest[0]}`?" if nearest else f"there are {', '.join(known)}"
