"""What a person stopped by hand: everything, a channel, a provider or a campaign, until somebody lifts it."""

from rekindle.stops.stop import (
    Stop,
    Stops,
    cancel_stopped,
    lift_stop,
    list_stops,
    may_give_up_since,
    open_stops,
    set_stop,
)

__all__ = [
    "Stop",
    "Stops",
    "cancel_stopped",
    "lift_stop",
    "list_stops",
    "may_give_up_since",
    "open_stops",
    "set_stop",
]
