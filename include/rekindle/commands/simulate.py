"""`rekindle simulate`: campaigns lived through with made-up people, in a minute, without writing to anybody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from rekindle.errors import BadInputError

if TYPE_CHECKING:
    from rekindle.campaigns.models import Campaign

PICTURES = (".svg", ".png")


def simulate(
    campaigns: Sequence[Campaign],
    days: int,
    leads: str,
    count: int,
    seed: int,
    out: Path | None,
    keep: Path | None,
    as_json: bool,
    console: Console,
) -> None:
    """Play them together, show what came of it, exit 1 if an invariant is broken. `out` pictures one funnel."""
    from rekindle.simulate.people import gather_people
    from rekindle.simulate.play import FIRST_DAY
    from rekindle.simulate.play import simulate as play
    from rekindle.simulate.report import draw_funnel, played_page

    if out is not None and out.suffix not in PICTURES:
        raise BadInputError(f"--out {out} is no picture; end it in {' or '.join(PICTURES)}")
    if out is not None and len(campaigns) > 1:
        raise BadInputError("--out draws the funnel of one campaign; name one, or leave it out")
    if keep is not None and keep.exists():
        raise BadInputError(f"--keep {keep} is there already; name a new file")
    people = gather_people(leads, count, seed, FIRST_DAY)
    columns = (
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    what = campaigns[0].campaign_id if len(campaigns) == 1 else f"{len(campaigns)} campaigns"
    with Progress(*columns, console=console, transient=True, disable=as_json) as progress:
        task = progress.add_task(f"{what}, {len(people):,} leads", total=days)
        played = play(campaigns, people, days, seed, lambda day: progress.update(task, completed=day), keep)
    if as_json:
        console.print_json(data=played.as_json(), default=str)
    else:
        console.print(played_page(played))
    if out is not None:
        draw_funnel(played, out)
        if not as_json:
            console.print(f"the funnel by day: {out}")
    if not played.holds:
        raise typer.Exit(1)
