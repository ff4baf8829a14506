"""`rekindle dead-letters`: what was answered 2xx and could not be understood."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

app = typer.Typer(
    help="What was answered 2xx and could not be understood: count it by reason, read it again.",
    no_args_is_help=True,
)
console = Console()


@app.command("list")
def list_dead_letters() -> None:
    """Count the dead letters by stream and reason."""
    from rich.table import Table

    from rekindle.ingest import count_dead_letters
    from rekindle.warehouse import open_warehouse

    reasons = count_dead_letters(open_warehouse())
    table = Table("stream", "reason", "letters", "latest")
    for one in reasons:
        latest = f"{one.latest:%Y-%m-%d %H:%M}" if one.latest else ""
        table.add_row(one.stream, escape(one.reason), f"{one.letters:,}", latest)
    console.print(table if reasons else "no dead letters")


@app.command("retry")
def retry_dead_letters(
    reason: Annotated[str | None, typer.Option(help="Only letters with exactly this reason.")] = None,
) -> None:
    """Read them again with today's code; what can be read now is applied like anything that arrives. Safe to repeat."""
    from rekindle.clock import clock_from_environment
    from rekindle.events import landing_root_from_environment
    from rekindle.ingest import retry_dead_letters as retry
    from rekindle.run import Run
    from rekindle.warehouse import open_warehouse

    now = clock_from_environment().now()
    run = Run(as_of=now, run_id=f"dead_letters__{now.isoformat()}", recorded_at=now)
    counts = retry(open_warehouse(), landing_root_from_environment(), run, reason)
    told = ("letters", "mended", "still_dead", "file_missing", "elements", "new_events", "suppressed", "ended")
    console.print(", ".join(f"{name} {counts[name]:,}" for name in told if name in counts), highlight=False)
