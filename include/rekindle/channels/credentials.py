"""The provider accounts: what a channel needs to know to send, checked before anything is sent.

A wrong value raises `ConfigurationError` naming the field and the rule, never the value.
"""

from __future__ import annotations

import ipaddress
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from rekindle.clock import Clock, SteppedClock
from rekindle.errors import ConfigurationError, RefusedError

_ACCOUNT_SID = re.compile(r"AC[0-9a-fA-F]{32}")
_USERNAME = re.compile(r"(AC|SK)[0-9a-fA-F]{32}")
_SERVICE_SID = re.compile(r"MG[0-9a-fA-F]{32}")
_E164_OR_SHORT_CODE = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{4,8}")
#: What may stand as an address in a header of ours.
PLAIN_ADDRESS = re.compile(r"[!-?A-~]+@[!-?A-~]+\.[!-?A-~]+")


def is_loopback(base_url: str) -> bool:
    """Whether the URL's host is this machine itself, so that nothing said to it leaves."""
    host = urlsplit(base_url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Account(BaseModel, ABC):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True)

    @model_validator(mode="wrap")
    @classmethod
    def _say_it_as_a_configuration_error(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            account = handler(values)
        except ValidationError as error:
            found = error.errors(include_input=False, include_url=False)
            problems = "; ".join(
                f"{'.'.join(map(str, one['loc'])) or 'account'}: {one['msg'].removeprefix('Value error, ')}"
                for one in found
            )
            # `from None`: the original would carry the values, secrets among them, into a traceback.
            raise ConfigurationError(f"{cls.__name__}: {problems}") from None
        problem = account.problem()
        if problem is not None:
            raise ConfigurationError(f"{cls.__name__}: {problem}")
        return account

    def problem(self) -> str | None:
        """What is wrong with the fields taken together, if anything."""
        return None

    @abstractmethod
    def base_urls(self) -> tuple[str, ...]:
        """Every URL this account makes us call."""


class SendGridAccount(_Account):
    """A SendGrid account and the sender identity shown to the recipient."""

    api_key: SecretStr
    base_url: str = "https://api.sendgrid.com"
    from_email: str
    from_name: str = Field(min_length=1)
    postal_address: str = Field(min_length=10, description="A physical postal address is the law in every e-mail.")
    reply_to: str | None = None

    @field_validator("api_key")
    @classmethod
    def _check_key(cls, value: SecretStr) -> SecretStr:
        return _printable(value)

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        return _service_url(value)

    @field_validator("from_email", "reply_to")
    @classmethod
    def _check_address(cls, value: str | None) -> str | None:
        if value is not None and not PLAIN_ADDRESS.fullmatch(value):
            raise ValueError("must be one plain ASCII e-mail address")
        return value

    @field_validator("from_name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        # SendGrid, v3 mail send limitations: display names hold neither of these.
        if any(character in value for character in ";,\r\n"):
            raise ValueError("must hold no semicolon, comma or line break")
        return value

    def base_urls(self) -> tuple[str, ...]:
        return (self.base_url,)


class TwilioAccount(_Account):
    """A Twilio account and the sender of its texts: a messaging service or one number."""

    account_sid: str
    username: str = Field(description="An API key (SK…) or the account sid itself.")
    secret: SecretStr = Field(description="The API key's secret, or the auth token.")
    base_url: str = "https://api.twilio.com"
    lookup_base_url: str = "https://lookups.twilio.com"
    messaging_service_sid: str | None = None
    from_number: str | None = None
    status_callback_base_url: str

    @field_validator("account_sid")
    @classmethod
    def _check_account_sid(cls, value: str) -> str:
        return _matching(value, _ACCOUNT_SID, "must be AC followed by 32 hexadecimal digits")

    @field_validator("username")
    @classmethod
    def _check_username(cls, value: str) -> str:
        return _matching(value, _USERNAME, "must be SK (API key) or AC (account sid) followed by 32 hexadecimal digits")

    @field_validator("secret")
    @classmethod
    def _check_secret(cls, value: SecretStr) -> SecretStr:
        return _printable(value)

    @field_validator("base_url", "lookup_base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        return _service_url(value)

    @field_validator("status_callback_base_url")
    @classmethod
    def _check_callback_url(cls, value: str) -> str:
        # Twilio, Message resource: "URL must contain a valid hostname and underscores are not allowed".
        if "_" in (urlsplit(value).hostname or ""):
            raise ValueError("the host name must hold no underscore")
        return _service_url(value)

    @field_validator("messaging_service_sid")
    @classmethod
    def _check_service(cls, value: str | None) -> str | None:
        return value and _matching(value, _SERVICE_SID, "must be MG followed by 32 hexadecimal digits")

    @field_validator("from_number")
    @classmethod
    def _check_from(cls, value: str | None) -> str | None:
        return value and _matching(value, _E164_OR_SHORT_CODE, "must be an E.164 number or a short code")

    def problem(self) -> str | None:
        if bool(self.messaging_service_sid) == bool(self.from_number):
            return "give either messaging_service_sid or from_number"
        return None

    def base_urls(self) -> tuple[str, ...]:
        return (self.base_url, self.lookup_base_url)


def refuse_stepped_clock_with_real_provider(clock: Clock, accounts: Iterable[SendGridAccount | TwilioAccount]) -> None:
    """Raise `RefusedError` if logical time would talk to anything but this machine.

    A demonstration never sends for real.
    """
    if not isinstance(clock, SteppedClock):
        return
    for account in accounts:
        for base_url in account.base_urls():
            if not is_loopback(base_url):
                raise RefusedError(
                    f"the clock is stepped by hand but {type(account).__name__} points at "
                    f"{urlsplit(base_url).hostname}; unset REKINDLE_CLOCK_FILE to send for real, "
                    "or use the sandbox on this machine"
                )


def _matching(value: str, pattern: re.Pattern[str], rule: str) -> str:
    if not pattern.fullmatch(value):
        raise ValueError(rule)
    return value


def _printable(value: SecretStr) -> SecretStr:
    secret = value.get_secret_value()
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ValueError("must be set, and hold only printable ASCII without spaces")
    return value


def _service_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http or https URL with a host")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must hold no user name, password, query or fragment")
    if parts.scheme == "http" and not is_loopback(value):
        raise ValueError("must be https unless it points at this machine")
    return value.rstrip("/")
