"""When and where the tick between two days listens."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_settings import BaseSettings, SettingsConfigDict

from rekindle.project import project_root
from rekindle_airflow.dag_defaults import dag_defaults
from rekindle_airflow.tags import Tag

if TYPE_CHECKING:
    from upath import UPath

FIVE_MINUTES = "*/5 * * * *"


class ListeningSettings(BaseSettings):
    """Read from `REKINDLE_*`."""

    model_config = SettingsConfigDict(env_prefix="REKINDLE_", extra="ignore")

    #: Cron of the tick; empty means "only when triggered", which is also the default under a stepped clock: time stands
    #: still there until somebody steps it.
    ingest_schedule: str | None = None
    clock_file: Path | None = None

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


@cache
def listening_settings() -> ListeningSettings:
    """The settings of this process."""
    return ListeningSettings()


def listening_dag(*tags: Tag) -> dict[str, Any]:
    """A DAG that runs between two days, every five minutes unless told otherwise."""
    return {"schedule": listening_settings().schedule, **dag_defaults(*tags)}


def landing_zone() -> Path | UPath | Any:
    """The landing zone's root, with the credentials of an Airflow connection if one is named."""
    from rekindle.events import landing_root

    settings = ListeningSettings()
    if settings.landing_conn_id:
        from airflow.sdk import ObjectStoragePath

        return ObjectStoragePath(settings.landing_root, conn_id=settings.landing_conn_id)
    return landing_root(settings.landing_root)
