"""What the receiver must be told; read from `REKINDLE_*`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from rekindle.events.preferences import is_topic
from rekindle.project import project_root

#: SendGrid repeats an event for 24 hours and does not say whether it signs it anew; half an hour is for its queue.
DEFAULT_TIMESTAMP_TOLERANCE = timedelta(hours=24, minutes=30)

Texts = Annotated[tuple[str, ...], NoDecode]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode]


DEFAULT_WORDING = (
    "Yes, write to me again about the topics I have ticked. I can stop at any time with the link in every message."
)


class ReceiverSettings(BaseSettings):
    """Lists are comma separated. A provider without its secret is answered 503, so that it tries again later."""

    model_config = SettingsConfigDict(env_prefix="REKINDLE_", extra="ignore")

    #: A folder, or the address of an object store's prefix (gs://bucket/landing).
    landing_root: Path | str = project_root() / ".rekindle" / "landing"
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
    #: Topics of the preference page, id to label; the topic of the message is always offered.
    topics: Annotated[dict[str, str], NoDecode] = {}
    #: What somebody agrees to who asks for messages again; another text is another version.
    consent_wording: str = DEFAULT_WORDING
    #: What a HELP by text is answered with; empty leaves it to Twilio.
    help_answer: str = ""
    #: Requests a minute from one client address; 0 limits nothing.
    page_requests_per_minute: int = Field(default=1200, ge=0)
    tracking_requests_per_minute: int = Field(default=12000, ge=0)
    #: Whose X-Forwarded-For is believed: addresses, comma separated; empty believes nobody.
    trusted_proxies: str = "127.0.0.1"
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

    @field_validator("landing_root", mode="before")
    @classmethod
    def _read_root(cls, value: Any) -> Any:
        return Path(value) if isinstance(value, str) and "://" not in value else value

    @field_validator("topics", mode="before")
    @classmethod
    def _read_topics(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        return {topic.strip(): label.strip() for topic, _, label in pairs}

    @field_validator("topics")
    @classmethod
    def _check_topics(cls, value: dict[str, str]) -> dict[str, str]:
        if any(not is_topic(topic) or not label for topic, label in value.items()):
            raise ValueError("set REKINDLE_TOPICS to topics of the campaigns with their labels: tips=Tips,news=News")
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
