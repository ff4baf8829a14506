"""Tells Airflow that something has landed, so that `listen` need not wait for the clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

log = logging.getLogger(__name__)


class LandedFilesTrigger(BaseEventTrigger):
    """Fires when finished files are in the landing zone that were not there at the last look.

    Looks every `poll_seconds`, and rests `quiet_seconds` after it has fired. It fires once when it starts and finds
    files: a tick that finds nothing new writes nothing. The event says nothing; what there is to load, the manifest
    knows.
    """

    def __init__(self, poll_seconds: float, quiet_seconds: float) -> None:
        super().__init__()
        self.poll_seconds = poll_seconds
        self.quiet_seconds = quiet_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How the triggerer makes this trigger again. Where to look it reads from its own environment."""
        return (
            "rekindle_airflow.triggers.landed_files_trigger.LandedFilesTrigger",
            {"poll_seconds": self.poll_seconds, "quiet_seconds": self.quiet_seconds},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch for ever. A store that can not be listed is asked again; until then the clock starts `listen`."""
        from rekindle.clock import clock_from_environment
        from rekindle.events.arrivals import ArrivalWatch
        from rekindle_airflow.listening import landing_zone

        clock = clock_from_environment()
        watch = ArrivalWatch(await asyncio.to_thread(landing_zone))
        while True:
            try:
                has_landed = await asyncio.to_thread(watch.look, clock.now().date())
            except Exception as error:  # noqa: BLE001 - each store's client has exceptions of its own
                log.warning("the landing zone can not be looked at: %s", type(error).__name__)
                has_landed = False
            if has_landed:
                yield TriggerEvent({})
            await asyncio.sleep(self.quiet_seconds if has_landed else self.poll_seconds)
