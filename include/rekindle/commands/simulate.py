"""`rekindle simulate`: a campaign lived through with made-up people, in a minute, without writing to anybody."""

from __future__ import annotations

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
    campaign: Campaign,
    days: int,
    leads: str,
    count: int,
    seed: int,
    out: Path | None,
    keep: Path | None,
    console: Console,
) -> None:
    """Play it, show what came of it, exit 1 if an invariant is broken. `out` is the picture of the funnel."""
    from rekindle.simulate.people import gather_people
    from rekindle.simulate.play import FIRST_DAY
    from rekindle.simulate.play import simulate as play
    from rekindle.simulate.report import draw_funnel, played_page

    if out is not None and out.suffix not in PICTURES:
        raise BadInputError(f"--out {out} is no picture; end it in {' or '.join(PICTURES)}")
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
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"{campaign.campaign_id}, {len(people):,} leads", total=days)
        played = play(campaign, people, days, seed, lambda day: progress.update(task, completed=day), keep)
    console.print(played_page(played))
    if out is not None:
        draw_funnel(played, out)
        console.print(f"the funnel by day: {out}")
    if not played.holds:
        raise typer.Exit(1)
