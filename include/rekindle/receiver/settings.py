"""What the receiver must be told; read from `REKINDLE_*`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from rekindle.project import project_root

#: SendGrid repeats an event for 24 hours and does not say whether it signs it anew; half an hour is for its queue.
DEFAULT_TIMESTAMP_TOLERANCE = timedelta(hours=24, minutes=30)

Texts = Annotated[tuple[str, ...], NoDecode]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode]


class ReceiverSettings(BaseSettings):
    """Lists are comma separated. A provider without its secret is answered 503, so that it tries again later."""

    model_config = SettingsConfigDict(env_prefix="REKINDLE_", extra="ignore")

    landing_root: Path = project_root() / ".rekindle" / "landing"
    #: Scheme, host and path prefix as the outside world calls us; signatures are checked against it.
    public_base_url: str
    #: Newest last.
    token_keys: Secrets
    #: Base64 DER, as SendGrid shows it; several while keys rotate or for several webhooks.
    sendgrid_webhook_public_key: Texts = ()
    #: Seconds, or `off`.
    sendgrid_timestamp_tolerance: timedelta | None = DEFAULT_TIMESTAMP_TOLERANCE
    #: The primary auth token; a shared signing key's secret may follow it.
    twilio_auth_token: Secrets = ()
    segment_write_keys: Secrets = ()
    clock_file: Path | None = None
    #: Who the pages speak for.
    sender_name: str = ""
    #: How long a group of requests is kept open for more; above 0 it makes fewer, larger files and slower answers.
    landing_linger_milliseconds: int = Field(default=0, ge=0, le=1000)
    max_body_bytes: int = 4 * 1024 * 1024

    @field_validator(
        "token_keys", "sendgrid_webhook_public_key", "twilio_auth_token", "segment_write_keys", mode="before"
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("token_keys")
    @classmethod
    def _require_a_key(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not value:
            raise ValueError("set REKINDLE_TOKEN_KEYS to one or more secrets, comma separated, newest last")
        return value

    @field_validator("sendgrid_timestamp_tolerance", mode="before")
    @classmethod
    def _read_off(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.strip().lower() == "off":
            return None
        # Environment values are text, and pydantic reads a bare number of seconds only from a number.
        return float(value) if value.strip().isdecimal() else value

    @field_validator("public_base_url")
    @classmethod
    def _require_plain_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(
                "set REKINDLE_PUBLIC_BASE_URL to the address the outside world calls, https://host[/prefix]"
            )
        if parts.username or parts.query or parts.fragment:
            raise ValueError("REKINDLE_PUBLIC_BASE_URL takes no user, no query and no fragment")
        return value.rstrip("/")
