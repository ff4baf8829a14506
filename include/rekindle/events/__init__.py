"""What providers, people and the product told us: landing files read into rows of the warehouse."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rekindle.events.landing_root import (
    landing_name,
    landing_root,
    landing_root_from_environment,
    list_landing_files,
)

if TYPE_CHECKING:
    from rekindle.events.reader import LandingFile, read_landing_file
    from rekindle.events.rows import AppEvent, DeadLetter, MessageEvent, WebhookElement

__all__ = [
    "AppEvent",
    "DeadLetter",
    "LandingFile",
    "MessageEvent",
    "WebhookElement",
    "landing_name",
    "landing_root",
    "landing_root_from_environment",
    "list_landing_files",
    "read_landing_file",
]

#: Loaded when asked for: a campaign with a question needs `optout` at every parse of its DAG, and the reader of landing
#: files brings the numbering plan along (a third of a second).
_HOMES = {
    "reader": ("LandingFile", "read_landing_file"),
    "rows": ("AppEvent", "DeadLetter", "MessageEvent", "WebhookElement"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"rekindle.events.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
