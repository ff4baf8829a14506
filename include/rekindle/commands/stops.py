"""`rekindle stop`, `rekindle resume`, `rekindle stops`: the kill switch, for everything or for a part."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from rekindle.errors import BadInputError
from rekindle.vocabulary import StopMode, StopScope

stop_app = typer.Typer(help="Stop everything, a channel, a provider or a campaign, at once.", no_args_is_help=True)
resume_app = typer.Typer(help="Let what was stopped go on; nobody was skipped.", no_args_is_help=True)
console = Console()

_Mode = Annotated[
    StopMode,
    typer.Option(
        help="hold: everybody keeps their place. drain: nobody enters, those in flight go on."
        " cancel: those in flight end."
    ),
]
_Reason = Annotated[str, typer.Option(help="Why; whoever asks later reads it.")]
_By = Annotated[str | None, typer.Option(help="Who does this.", show_default="the user's name")]


@stop_app.command("everything")
def stop_everything(reason: _Reason, mode: _Mode = StopMode.HOLD, by: _By = None) -> None:
    """Stop every campaign on every channel."""
    _stop(StopScope.EVERYTHING, None, mode, reason, by)


@stop_app.command("channel")
def stop_channel(
    name: Annotated[str, typer.Argument(help="email or sms")],
    reason: _Reason,
    mode: _Mode = StopMode.HOLD,
    by: _By = None,
) -> None:
    """Stop one channel; the other goes on."""
    _stop(StopScope.CHANNEL, name, mode, reason, by)


@stop_app.command("provider")
def stop_provider(
    name: Annotated[str, typer.Argument(help="sendgrid or twilio")],
    reason: _Reason,
    mode: _Mode = StopMode.HOLD,
    by: _By = None,
) -> None:
    """Stop what one provider sends."""
    _stop(StopScope.PROVIDER, name, mode, reason, by)


@stop_app.command("campaign")
def stop_campaign(
    name: Annotated[str, typer.Argument(help="The campaign's id: its file name without .yaml.")],
    reason: _Reason,
    mode: _Mode = StopMode.HOLD,
    by: _By = None,
) -> None:
    """Stop one campaign; the others go on."""
    _stop(StopScope.CAMPAIGN, _known_campaign(name), mode, reason, by)


@resume_app.command("everything")
def resume_everything(by: _By = None) -> None:
    """Lift the stop of everything; stops of parts stay."""
    _resume(StopScope.EVERYTHING, None, by)


@resume_app.command("channel")
def resume_channel(name: Annotated[str, typer.Argument(help="email or sms")], by: _By = None) -> None:
    """Lift the stop of a channel."""
    _resume(StopScope.CHANNEL, name, by)


@resume_app.command("provider")
def resume_provider(name: Annotated[str, typer.Argument(help="sendgrid or twilio")], by: _By = None) -> None:
    """Lift the stop of a provider."""
    _resume(StopScope.PROVIDER, name, by)


@resume_app.command("campaign")
def resume_campaign(name: Annotated[str, typer.Argument(help="The campaign's id.")], by: _By = None) -> None:
    """Lift the stop of a campaign."""
    _resume(StopScope.CAMPAIGN, name, by)


def list_all_stops() -> None:
    """Show what is stopped, by whom and why, and what was lifted."""
    from rich.table import Table

    from rekindle.stops import list_stops
    from rekindle.warehouse import open_warehouse

    stops = list_stops(open_warehouse())
    table = Table("what", "mode", "since (UTC)", "by", "why", "lifted (UTC)")
    for stop in stops:
        lifted = f"{stop.lifted_at:%Y-%m-%d %H:%M} by {stop.lifted_by}" if stop.lifted_at else "in force"
        since = f"{stop.set_at:%Y-%m-%d %H:%M}"
        table.add_row(*map(escape, (stop.what, stop.mode, since, stop.set_by, stop.reason, lifted)))
    console.print(table if stops else "nothing is stopped, and nothing ever was")


def _stop(scope: StopScope, name: str | None, mode: StopMode, reason: str, by: str | None) -> None:
    from rekindle.clock import clock_from_environment
    from rekindle.stops import set_stop
    from rekindle.warehouse import open_warehouse

    is_new = set_stop(open_warehouse(), scope, name, mode, reason, by or getpass.getuser(), clock_from_environment())
    what = f"{scope} {name}" if name else str(scope)
    console.print(f"{what}: {mode}" if is_new else f"{what} was in {mode} already", markup=False)


def _resume(scope: StopScope, name: str | None, by: str | None) -> None:
    from rekindle.clock import clock_from_environment
    from rekindle.stops import lift_stop, list_stops
    from rekindle.warehouse import open_warehouse

    warehouse = open_warehouse()
    lifted = lift_stop(warehouse, scope, name, by or getpass.getuser(), clock_from_environment())
    what = f"{scope} {name}" if name else str(scope)
    console.print(f"{what} goes on" if lifted else f"{what} was not stopped", markup=False)
    for stop in list_stops(warehouse):
        if stop.lifted_at is None:
            console.print(f"still stopped: {stop.what} ({stop.mode}: {stop.reason})", markup=False)


def _known_campaign(name: str) -> str:
    from rekindle.campaigns.findings import did_you_mean
    from rekindle.campaigns.loader import campaign_files
    from rekindle.project import project_root

    known = [path.stem for path in campaign_files(project_root() / "include" / "campaigns")]
    if name not in known:
        raise BadInputError(f"there is no campaign {name!r}. {did_you_mean(name, known)}".strip())
    return name
