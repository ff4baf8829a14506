"""When and where the tick between two days listens."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import NonNegativeFloat, PositiveFloat
from pydantic_settings import BaseSettings, SettingsConfigDict

from rekindle.project import project_root
from rekindle_airflow.assets import ARRIVALS
from rekindle_airflow.dag_defaults import dag_defaults
from rekindle_airflow.tags import Tag

if TYPE_CHECKING:
    from upath import UPath

FIVE_MINUTES = "*/5 * * * *"

#: Seconds between two looks at the landing zone. A folder's look is a few `stat` calls; a store's is a paid request for
#: every stream.
FOLDER_POLL_SECONDS = 2.0
STORE_POLL_SECONDS = 30.0


class ListeningSettings(BaseSettings):
    """Read from `REKINDLE_*`."""

    model_config = SettingsConfigDict(env_prefix="REKINDLE_", extra="ignore")

    #: Cron of the tick; empty means "only when triggered", which is also the default under a stepped clock: time stands
    #: still there until somebody steps it.
    ingest_schedule: str | None = None
    clock_file: Path | None = None

    #: Whether what lands starts a tick by itself, within seconds; needs Airflow's triggerer. Off under a stepped clock.
    listen_on_arrival: bool | None = None
    #: Seconds between two looks; 2 at a folder and 30 at an object store unless told otherwise.
    arrival_poll_seconds: PositiveFloat | None = None
    #: Seconds after an arrival in which further ones start no tick of their own: the next look sees them together.
    arrival_quiet_seconds: NonNegativeFloat = 20.0

    #: A folder, `file://…`, or a prefix of an object store (`gs://…`, `s3://…`). The receiver must have the same.
    landing_root: str = str(project_root() / ".rekindle" / "landing")
    #: Airflow connection with the store's credentials; empty takes those of the process.
    landing_conn_id: str = ""

    @property
    def schedule(self) -> str | None:
        """What Airflow is told."""
        if self.ingest_schedule is None:
            return None if self.clock_file else FIVE_MINUTES
        return self.ingest_schedule or None

    @property
    def is_on_arrival(self) -> bool:
        """Whether arrivals start a tick."""
        return self.clock_file is None if self.listen_on_arrival is None else self.listen_on_arrival

    @property
    def poll_seconds(self) -> float:
        """Seconds between two looks at the landing zone."""
        is_store = "://" in self.landing_root and not self.landing_root.startswith("file:")
        return self.arrival_poll_seconds or (STORE_POLL_SECONDS if is_store else FOLDER_POLL_SECONDS)


@cache
def listening_settings() -> ListeningSettings:
    """The settings of this process."""
    return ListeningSettings()


def listening_dag(*tags: Tag) -> dict[str, Any]:
    """A DAG that runs between two days, every five minutes and on arrival unless told otherwise."""
    return {"schedule": listening_schedule(listening_settings()), **dag_defaults(*tags)}


def listening_schedule(settings: ListeningSettings) -> Any:
    """What starts a tick: the cron line, an arrival, either of them, or nothing but somebody's hand."""
    if not settings.is_on_arrival:
        return settings.schedule
    from airflow.sdk import Asset, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable

    from rekindle_airflow.triggers.landed_files_trigger import LandedFilesTrigger

    trigger = LandedFilesTrigger(settings.poll_seconds, settings.arrival_quiet_seconds)
    arrivals = Asset(ARRIVALS, watchers=[AssetWatcher(name="landing_zone", trigger=trigger)])
    if settings.schedule is None:
        return [arrivals]
    return AssetOrTimeSchedule(timetable=CronTriggerTimetable(settings.schedule, timezone="UTC"), assets=arrivals)


def landing_zone() -> Path | UPath | Any:
    """The landing zone's root, with the credentials of an Airflow connection if one is named."""
    from rekindle.events import landing_root

    settings = ListeningSettings()
    if settings.landing_conn_id:
        from airflow.sdk import ObjectStoragePath

        return ObjectStoragePath(settings.landing_root, conn_id=settings.landing_conn_id)
    return landing_root(settings.landing_root)
