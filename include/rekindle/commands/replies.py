"""`rekindle replies`: the texts that wait for a person, for the eyes of whoever answers them."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from rekindle.errors import RekindleError

app = typer.Typer(
    help="What people texted back and nobody has answered yet: read it, note it as done.", no_args_is_help=True
)
console = Console()


@app.command("list")
def list_replies() -> None:
    """Show every reply that waits, oldest first, with its words and number."""
    from rich.table import Table

    from rekindle.replies.queue import waiting_replies
    from rekindle.warehouse import open_warehouse

    waiting = waiting_replies(open_warehouse())
    table = Table("reply", "when (UTC)", "lead", "campaign", "from", "words")
    for reply in waiting:
        table.add_row(
            reply.event_key[:12],
            f"{reply.replied_at:%Y-%m-%d %H:%M}",
            escape(reply.lead_id or ""),
            escape(reply.campaign_id or ""),
            escape(reply.number),
            escape(reply.words),
        )
    console.print(table if waiting else "no reply waits")


@app.command()
def done(
    reply: Annotated[str, typer.Argument(help="The reply, or as many of its first characters as name no other.")],
    by: Annotated[str | None, typer.Option(help="Who has answered.", show_default="the user's name")] = None,
) -> None:
    """Note that a person has answered a reply; it leaves the list and stays in the warehouse."""
    from rekindle.clock import clock_from_environment
    from rekindle.replies.queue import mark_reply_handled, waiting_replies
    from rekindle.warehouse import open_warehouse

    warehouse = open_warehouse()
    named = [waiting.event_key for waiting in waiting_replies(warehouse) if waiting.event_key.startswith(reply)]
    if len(named) != 1:
        raise RekindleError(
            f"{len(named)} waiting replies begin with {reply}; `rekindle replies list` shows them, give one in full"
        )
    mark_reply_handled(warehouse, named[0], by or getpass.getuser(), clock_from_environment())
    console.print(f"{named[0][:12]} is done")
