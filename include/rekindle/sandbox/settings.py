"""What can be set about the sandbox."""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from rekindle.errors import RefusedError

_Share = Annotated[float, Field(ge=0, le=1)]
_Rate = Annotated[float, Field(gt=0)]


class Reactions(StrEnum):
    """Who is behind the addresses."""

    PERSUADABLE = "persuadable"  # made-up people open, click, sign in, reply, unsubscribe and complain
    NONE = "none"  # transport only: delivered, bounced, receipts


class SandboxSettings(BaseSettings):
    """Read from `REKINDLE_SANDBOX_*`; the credentials are made up and open nothing but this sandbox."""

    model_config = SettingsConfigDict(env_prefix="REKINDLE_SANDBOX_")

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8181
    #: Where callbacks and people's requests really go.
    receiver_base_url: str = "http://127.0.0.1:8180"
    #: The address the receiver believes it has: what signatures cover. Links and callbacks under it go to the receiver.
    public_base_url: str | None = None
    reactions: Reactions = Reactions.NONE
    seed: int = 0
    #: JSONL of everything accepted, so that a restart keeps it.
    record_path: Path | None = None

    sendgrid_api_key: SecretStr = SecretStr("SG.made-up-sandbox-key")
    #: PEM of the P-256 key that signs the Event Webhook; created when missing. Without a path the key lives in memory.
    sendgrid_signing_key_path: Path | None = None
    twilio_account_sid: Annotated[str, Field(pattern=r"^AC[0-9a-fA-F]{32}$")] = "AC" + "0" * 32
    twilio_auth_token: SecretStr = SecretStr("made-up-sandbox-token")
    twilio_api_key_sid: str | None = None
    twilio_api_key_secret: SecretStr | None = None
    #: The number a messaging service sends from.
    twilio_sender: str = "+15005550006"
    segment_write_key: SecretStr = SecretStr("made-up-write-key")

    #: The webhooks' own unreliability: shares of callbacks that come hours or days late, twice, or overtaken.
    late_share: _Share = 0.02
    repeated_share: _Share = 0.05
    overtaken_share: _Share = 0.03

    #: Real rates per second above which the sandbox answers 429; none by default.
    sendgrid_messages_per_second: _Rate | None = None
    twilio_messages_per_second: _Rate | None = None
    twilio_segments_per_second: _Rate | None = None

    events_per_post: Annotated[int, Field(ge=1, le=1000)] = 300
    concurrency: Annotated[int, Field(ge=1, le=100)] = 20
    #: Real seconds the receiver may take to answer one callback; Twilio's own ceiling.
    callback_timeout_seconds: _Rate = 15.0

    @property
    def public_url(self) -> str:
        """The receiver's public address, without a trailing slash."""
        return (self.public_base_url or self.receiver_base_url).rstrip("/")

    @property
    def receiver_url(self) -> str:
        """Where the receiver is reached, without a trailing slash."""
        return self.receiver_base_url.rstrip("/")


def is_loopback(host: str | None) -> bool:
    """Whether `host` names this machine and nothing else."""
    if host is None:
        return False
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_unless_loopback(settings: SandboxSettings) -> None:
    """Raise `RefusedError` when the sandbox would be reachable from, or post to, another machine."""
    if not is_loopback(settings.host):
        raise RefusedError(
            "the sandbox answers like SendGrid and Twilio and must not be reachable from elsewhere:"
            f" host {settings.host!r} is not a loopback address; use 127.0.0.1"
        )
    receiver = urlsplit(settings.receiver_base_url)
    if receiver.scheme not in {"http", "https"} or not is_loopback(receiver.hostname):
        raise RefusedError(
            "the sandbox posts made-up events and must not post them to another machine:"
            f" receiver {settings.receiver_base_url!r} is not a loopback http(s) address; use http://127.0.0.1:<port>"
        )
