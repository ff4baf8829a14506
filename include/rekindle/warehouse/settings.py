"""Which warehouse this installation uses."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from rekindle.errors import ConfigurationError
from rekindle.project import project_root
from rekindle.warehouse.ports import Warehouse


class Engine(StrEnum):
    DUCKDB = "duckdb"
    BIGQUERY = "bigquery"
    SNOWFLAKE = "snowflake"


class WarehouseSettings(BaseSettings):
    """Read from `REKINDLE_WAREHOUSE_*`; the default is the embedded DuckDB file."""

    model_config = SettingsConfigDict(env_prefix="REKINDLE_WAREHOUSE_", env_ignore_empty=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigurationError(_told(error, "REKINDLE_WAREHOUSE_")) from None

    engine: Engine = Engine.DUCKDB
    path: Path = project_root() / ".rekindle" / "warehouse.duckdb"
    #: What the embedded engine may take of one task's memory.
    memory_megabytes: int = Field(default=2_000, ge=256)

    @property
    def place(self) -> str:
        """Where the warehouse is, in words for a person."""
        return str(self.path) if self.engine is Engine.DUCKDB else f"what REKINDLE_{self.engine.upper()}_* names"

    @property
    def is_missing(self) -> bool:
        """Whether it is certain without connecting that there is none: the embedded file is not there."""
        return self.engine is Engine.DUCKDB and not self.path.exists()


class BigQuerySettings(BaseSettings):
    """Read from `REKINDLE_BIGQUERY_*`, as dbt's profile does."""

    model_config = SettingsConfigDict(env_prefix="REKINDLE_BIGQUERY_", env_ignore_empty=True)

    project: str = Field(min_length=1)
    location: str = "EU"
    #: A service account's key file; without one the machine's own identity is used (workload identity).
    keyfile: Path | None = None
    #: Another address than Google's, and the token it wants: an emulator.
    api_endpoint: str | None = None
    token: SecretStr | None = None


class SnowflakeSettings(BaseSettings):
    """Read from `REKINDLE_SNOWFLAKE_*`, as dbt's profile does."""

    model_config = SettingsConfigDict(env_prefix="REKINDLE_SNOWFLAKE_", env_ignore_empty=True)

    account: str = Field(min_length=1)
    user: str = Field(min_length=1)
    database: str = Field(min_length=1)
    warehouse: str = Field(min_length=1)
    role: str | None = None
    #: Key pair: Snowflake takes no password of a service user.
    private_key_path: Path | None = None
    private_key_passphrase: SecretStr | None = None
    #: Another address than Snowflake's, and the password it wants: an emulator.
    host: str | None = None
    port: int | None = None
    protocol: str | None = None
    password: SecretStr | None = None


def open_warehouse(settings: WarehouseSettings | None = None) -> Warehouse:
    """The configured warehouse; connects only when a transaction begins.

    Raises `ConfigurationError` naming the variable that is missing.
    """
    settings = settings or WarehouseSettings()
    if settings.engine is Engine.BIGQUERY:
        return _bigquery(_read(BigQuerySettings))
    if settings.engine is Engine.SNOWFLAKE:
        return _snowflake(_read(SnowflakeSettings))
    from rekindle.warehouse.duckdb import DuckDbWarehouse

    warehouse = DuckDbWarehouse(settings.path)
    warehouse.limit(settings.memory_megabytes)
    return warehouse


_Read = TypeVar("_Read", bound=BaseSettings)


def _read(kind: type[_Read]) -> _Read:
    try:
        return kind()
    except ValidationError as error:
        raise ConfigurationError(_told(error, str(kind.model_config["env_prefix"]))) from None


def _told(error: ValidationError, prefix: str) -> str:
    missing, wrong = [], []
    for one in error.errors(include_input=False, include_url=False):
        name = f"{prefix}{str(one['loc'][0]).upper()}"
        if one["type"] == "missing":
            missing.append(name)
        else:
            wrong.append(f"{name}: {one['msg']}")
    return "; ".join(([_not_set(*missing)] if missing else []) + wrong)


def _not_set(*names: str) -> str:
    are, them = ("is", "it") if len(names) == 1 else ("are", "them")
    return f"{', '.join(names)} {are} not set; set {them}, or REKINDLE_WAREHOUSE_ENGINE=duckdb"


def _bigquery(settings: BigQuerySettings) -> Warehouse:
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials, Credentials
    from google.cloud import bigquery
    from google.oauth2 import service_account

    from rekindle.warehouse.bigquery import BigQueryWarehouse

    credentials: Credentials | None = None
    if settings.keyfile:
        credentials = service_account.Credentials.from_service_account_file(  # type: ignore[no-untyped-call]
            str(settings.keyfile)
        )
    elif settings.token:
        credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
    options = ClientOptions(api_endpoint=settings.api_endpoint) if settings.api_endpoint else None
    return BigQueryWarehouse(
        bigquery.Client(
            project=settings.project, location=settings.location, credentials=credentials, client_options=options
        )
    )


def _snowflake(settings: SnowflakeSettings) -> Warehouse:
    from rekindle.warehouse.snowflake import SESSION_PARAMETERS, SnowflakeWarehouse, connect

    if settings.private_key_path is None and settings.password is None:
        raise ConfigurationError(
            f"{_not_set('REKINDLE_SNOWFLAKE_PRIVATE_KEY_PATH')} (the key pair of a service user, see docs/dialects.md)"
        )
    words: dict[str, Any] = {
        "account": settings.account,
        "user": settings.user,
        "database": settings.database,
        "warehouse": settings.warehouse,
        "role": settings.role,
        "private_key_file": settings.private_key_path and str(settings.private_key_path),
        "private_key_file_pwd": settings.private_key_passphrase and settings.private_key_passphrase.get_secret_value(),
        "password": settings.password and settings.password.get_secret_value(),
        "host": settings.host,
        "port": settings.port,
        "protocol": settings.protocol,
    }
    given = {name: value for name, value in words.items() if value is not None}

    return SnowflakeWarehouse(lambda: connect(**given, paramstyle="qmark", session_parameters=SESSION_PARAMETERS))
