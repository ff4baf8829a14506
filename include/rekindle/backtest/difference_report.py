"""What `rekindle diff-score` does once its options are read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rekindle.backtest.commands import Question, progress_bar
from rekindle.backtest.difference import Difference, Side, compare_rules
from rekindle.backtest.event_log import read_instants, spelled
from rekindle.errors import BadInputError


def diff_score(
    base: str,
    seeds: Path | None,
    events: Question | None,
    as_of: str | None,
    as_json: bool,
    console: Console,
    complaints: Console,
) -> None:
    """Compare, and print who changes sides."""
    instants = read_instants([as_of]) if as_of else ()
    if len(instants) > 1:
        raise BadInputError(f"--as-of {as_of}: give one date")
    with progress_bar(complaints) as progress:
        task = progress.add_task("running the models by both rules", total=2, note="")
        found = compare_rules(base, seeds, events, instants[0] if instants else None, lambda: progress.advance(task))
    if as_json:
        console.file.write(json.dumps(found.as_json(), indent=2) + "\n")
        return
    _print(found, console)


def _print(found: Difference, console: Console) -> None:
    console.print(
        f"As of {spelled(found.as_of)}, {found.leads:,} leads, compared with {found.base}: cold {found.cold_before:,} →"
        f" {found.cold_after:,}, the score moves by {found.mean_shift:+.2f} on average.",
        highlight=False,
        soft_wrap=True,
    )
    for title, sides in (("Would enter the cold side", found.entering), ("Would leave it", found.leaving)):
        console.print(_table(title, sides))


def _table(title: str, sides: Sequence[Side]) -> Table:
    table = Table(title=f"{title}: {sum(side.leads for side in sides):,}", title_justify="left")
    table.add_column("segment")
    table.add_column("leads", justify="right")
    table.add_column("for example", overflow="fold")
    for side in sides:
        table.add_row(side.segment, f"{side.leads:,}", ", ".join(side.samples))
    return table
