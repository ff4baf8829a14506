"""What this installation is called and where its parts are; every value comes from `REKINDLE_*` or has a sane
default.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from rekindle.project import project_root

#: Not on the hour: the daily cycle starts there.
HOURLY = "15 * * * *"


class Settings(BaseSettings):
    """Installation settings. Secrets of providers are not here: they live in Airflow connections. Rates and allowances
    are in `rekindle.governor.settings`.
    """

    model_config = SettingsConfigDict(env_prefix="REKINDLE_", extra="ignore")

    #: Cron of the daily cycle. 20:00 UTC is 10:00 in Honolulu and 15:00 or 16:00 in New York: inside the default send
    #: window in every US zone. Empty means "only when triggered".
    daily_schedule: str = "0 20 * * *"
    #: Cron of the look between two scorings, for campaigns that must enter within hours; empty means "only when
    #: triggered", which is also the default under a stepped clock.
    refresh_schedule: str | None = None
    clock_file: Path | None = None

    inbox_root: Path = project_root() / ".rekindle" / "inbox"
    dbt_cache_root: Path = project_root() / ".rekindle" / "dbt_cache"

    public_base_url: str = "http://127.0.0.1:8290"
    app_url: str = "http://127.0.0.1:8290/healthz"
    token_keys: SecretStr = SecretStr("")

    company_name: str = "Example Records"
    postal_address: str = "1 Example Street, Springfield, IL 62701, USA"
    from_email: str = "hello@example.com"
    default_region: str = "US"
    #: What the account pays for a segment of a text; limits on cost need it.
    segment_price: Annotated[float | None, BeforeValidator(lambda given: None if given == "" else given)] = None

    dbt_target: str = "duckdb"
    #: The Airflow connection of the warehouse; empty: `REKINDLE_WAREHOUSE_*` say where it is.
    warehouse_connection: str = ""

    @property
    def hourly_schedule(self) -> str | None:
        """What Airflow is told of the look between two scorings."""
        if self.refresh_schedule is None:
            return None if self.clock_file else HOURLY
        return self.refresh_schedule or None


@cache
def settings() -> Settings:
    """The settings of this process."""
    return Settings()
