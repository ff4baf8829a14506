"""What became of the files, for a person to read."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rekindle.intake.checking import Counts, Example

_PERSONAL = frozenset({"email", "phone", "first_name"})
_VALUE_WIDTH = 60


def summarise(counts: Sequence[Counts]) -> RenderableType:
    """Per file: rows read, kept and rejected, the reasons, and the first examples with how to mend them."""
    files = Table(title="Files taken in", title_justify="left")
    files.add_column("file", overflow="fold")
    files.add_column("table")
    for heading in ("rows read", "kept", "rejected", "cells emptied"):
        files.add_column(heading, justify="right")
    for count in counts:
        files.add_row(
            Text(count.source_file),
            count.table,
            f"{count.rows_read:,}",
            f"{count.rows_kept:,}",
            f"{count.rows_rejected:,}",
            f"{count.cells_emptied:,}",
        )
    parts: list[RenderableType] = [files]
    parts += [Text(f"{count.source_file}: {notice}") for count in counts for notice in count.notices]
    if any(count.by_reason for count in counts):
        parts.append(_faults(counts))
    return Group(*parts)


def _faults(counts: Sequence[Counts]) -> Table:
    faults = Table(title="What was not taken, and how to mend it", title_justify="left", show_lines=True)
    faults.add_column("reason")
    faults.add_column("count", justify="right")
    faults.add_column("for example (file:row column value)", overflow="fold")
    faults.add_column("remedy", overflow="fold")
    for count in counts:
        for reason, number in count.by_reason.items():
            examples = count.examples[reason]
            shown = "\n".join(_show(count.source_file, example) for example in examples)
            faults.add_row(reason.value, f"{number:,}", Text(shown), Text(examples[0].remedy))
    return faults


def _show(source_file: str, example: Example) -> str:
    place = f"{source_file}:{example.source_row}"
    value = "(blank)" if example.value is None else _cut(_veil(example.column_name, example.value))
    return " ".join(part for part in (place, example.column_name, value) if part)


def _veil(column: str | None, value: str) -> str:
    """Letters and digits of personal data, and of whole lines, become dots: the shape shows the fault."""
    if column is not None and column not in _PERSONAL:
        return value
    return value[:1] + re.sub(r"\w", "•", value[1:])


def _cut(value: str) -> str:
    flat = " ".join(value.split())
    return flat if len(flat) <= _VALUE_WIDTH else flat[: _VALUE_WIDTH - 1] + "…"
