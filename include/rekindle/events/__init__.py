"""What providers, people and the product told us: landing files read into rows of the warehouse."""

from __future__ import annotations

from rekindle.events.landing_root import (
    landing_name,
    landing_root,
    landing_root_from_environment,
    list_landing_files,
)
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
