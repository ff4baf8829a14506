"""The receiver's settings come from the environment and keep secrets to themselves."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from rekindle.receiver import ReceiverSettings

ENVIRONMENT = {
    "REKINDLE_LANDING_ROOT": "/srv/landing",
    "REKINDLE_PUBLIC_BASE_URL": "https://hooks.example.com/rk/",
    "REKINDLE_TOKEN_KEYS": "old-secret, new-secret",
    "REKINDLE_SENDGRID_WEBHOOK_PUBLIC_KEY": "AAAA==",
    "REKINDLE_TWILIO_AUTH_TOKEN": "auth-secret",
    "REKINDLE_SEGMENT_WRITE_KEYS": "write-secret-1,write-secret-2,",
    "REKINDLE_CLOCK_FILE": "/srv/clock",
    "REKINDLE_SOMETHING_ELSE": "ignored",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    settings = ReceiverSettings()
    assert settings.landing_root == Path("/srv/landing")
    assert settings.public_base_url == "https://hooks.example.com/rk"
    assert [key.get_secret_value() for key in settings.token_keys] == ["old-secret", "new-secret"]
    assert settings.sendgrid_webhook_public_key == ("AAAA==",)
    assert [token.get_secret_value() for token in settings.twilio_auth_token] == ["auth-secret"]
    assert len(settings.segment_write_keys) == 2
    assert settings.clock_file == Path("/srv/clock")
    assert settings.sendgrid_timestamp_tolerance == timedelta(hours=24, minutes=30)
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "tolerance"), [("off", None), ("OFF", None), ("300", timedelta(minutes=5)), ("PT1H", timedelta(hours=1))]
)
def test_the_tolerance(environment: pytest.MonkeyPatch, text: str, tolerance: timedelta | None) -> None:
    environment.setenv("REKINDLE_SENDGRID_TIMESTAMP_TOLERANCE", text)
    assert ReceiverSettings().sendgrid_timestamp_tolerance == tolerance


@pytest.mark.parametrize("keys", ["", " , "])
def test_without_a_token_key_nothing_starts(environment: pytest.MonkeyPatch, keys: str) -> None:
    environment.setenv("REKINDLE_TOKEN_KEYS", keys)
    with pytest.raises(ValidationError, match="REKINDLE_TOKEN_KEYS"):
        ReceiverSettings()


@pytest.mark.parametrize("url", ["", "hooks.example.com", "ftp://x", "https://u:p@x", "https://x?y", "https://x#y"])
def test_a_public_address_must_be_one(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("REKINDLE_PUBLIC_BASE_URL", url)
    with pytest.raises(ValidationError, match="REKINDLE_PUBLIC_BASE_URL"):
        ReceiverSettings()
