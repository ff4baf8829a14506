"""How fast each provider account may send, how much a day, and when its breaker opens: `REKINDLE_*`."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from rekindle.clock import clock_from_environment
from rekindle.errors import ConfigurationError
from rekindle.governor.allowance import Allowance
from rekindle.governor.breaker import BreakerLimits
from rekindle.governor.rate import Governor, ProviderRate
from rekindle.governor.stores import AccountStore, SqliteStore, StoreUnavailableError, open_store
from rekindle.project import project_root

ACCOUNTS = ("sendgrid", "twilio")
#: Recipients of one request to SendGrid, which leave together.
SENDGRID_BLOCK = 1_000

_Count = Annotated[int, Field(ge=1)]
_Share = Annotated[float, Field(gt=0, le=1)]
_Curve = Annotated[tuple[_Count, ...], NoDecode]


class GovernorSettings(BaseSettings):
    """Read from `REKINDLE_*`; raises `ConfigurationError` naming the variable."""

    model_config = SettingsConfigDict(env_prefix="REKINDLE_", extra="ignore", env_ignore_empty=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            problems = error.errors(include_input=False, include_url=False)
            told = "; ".join(f"REKINDLE_{str(one['loc'][0]).upper()}: {one['msg']}" for one in problems)
            raise ConfigurationError(told) from None

    #: Where the shared file is, while no other store is named.
    governor_root: Path = project_root() / ".rekindle" / "governor"
    #: `sqlite:////file` for one machine, `redis://…` or `postgresql://…` for several. May hold a password.
    governor_store: SecretStr | None = None

    #: Provider units a second over all workers: recipients for e-mail, segments for SMS.
    sendgrid_rate: _Count = 2_000
    twilio_rate: _Count = 100

    #: Provider units a UTC day; none for no cap.
    sendgrid_daily_cap: _Count | None = None
    twilio_daily_cap: _Count | None = None
    #: At most so many units on day 1, day 2, … of a new sender: `50,100,500,1000`.
    sendgrid_warm_up: _Curve = ()
    twilio_warm_up: _Curve = ()
    sendgrid_warm_up_starts: date | None = None
    twilio_warm_up_starts: date | None = None

    breaker_configuration_errors: _Count = 5
    breaker_complaints: _Share = 0.003
    breaker_bounces: _Share = 0.10
    breaker_carrier_filtering: _Share = 0.10
    breaker_minimum_sample: _Count = 500
    breaker_minimum_probe_sample: _Count = 20
    breaker_window_hours: Annotated[float, Field(gt=0)] = 24.0
    breaker_cool_down_minutes: Annotated[float, Field(gt=0, le=1_440)] = 30.0
    breaker_probe_units: _Count = 100

    @field_validator("sendgrid_warm_up", "twilio_warm_up", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return value.split(",") if isinstance(value, str) else value

    def rate(self, account: str) -> ProviderRate:
        """The account's rate in its provider's units."""
        if account == "sendgrid":
            return ProviderRate(self.sendgrid_rate, block=SENDGRID_BLOCK)
        return ProviderRate(self.twilio_rate)

    def allowance(self, account: str) -> Allowance:
        """What the account may send in a day."""
        sendgrid = account == "sendgrid"
        try:
            return Allowance(
                self.sendgrid_daily_cap if sendgrid else self.twilio_daily_cap,
                self.sendgrid_warm_up if sendgrid else self.twilio_warm_up,
                self.sendgrid_warm_up_starts if sendgrid else self.twilio_warm_up_starts,
            )
        except ValueError as error:
            name = f"REKINDLE_{account.upper()}_WARM_UP"
            raise ConfigurationError(f"{name} and {name}_STARTS: {error}") from error

    def breaker_limits(self) -> BreakerLimits:
        """When a breaker opens; the same for every account."""
        return BreakerLimits(
            configuration_errors=self.breaker_configuration_errors,
            complaints=self.breaker_complaints,
            bounces=self.breaker_bounces,
            carrier_filtering=self.breaker_carrier_filtering,
            minimum_sample=self.breaker_minimum_sample,
            minimum_probe_sample=self.breaker_minimum_probe_sample,
            window=timedelta(hours=self.breaker_window_hours),
            cool_down=timedelta(minutes=self.breaker_cool_down_minutes),
            probe_units=self.breaker_probe_units,
        )

    def open_store(self) -> AccountStore:
        """The store every process of this installation shares."""
        if self.governor_store is None:
            return SqliteStore(self.governor_root / "governor.sqlite")
        return open_store(self.governor_store.get_secret_value())


def open_governor(account: str, settings: GovernorSettings | None = None) -> Governor:
    """The governor of `sendgrid` or `twilio`, as this installation is set. Make it after forking.

    Raises `ConfigurationError` for a wrong setting or when the shared store does not answer.
    """
    settings = settings or GovernorSettings()
    if account not in ACCOUNTS:
        raise ConfigurationError(f"there is no account {account!r}; accounts are {', '.join(ACCOUNTS)}")
    try:
        store = settings.open_store()
    except StoreUnavailableError as error:
        raise ConfigurationError(f"{error}; see REKINDLE_GOVERNOR_ROOT and REKINDLE_GOVERNOR_STORE") from error
    return Governor(
        account,
        settings.rate(account),
        store,
        allowance=settings.allowance(account),
        limits=settings.breaker_limits(),
        calendar=clock_from_environment(),
    )
