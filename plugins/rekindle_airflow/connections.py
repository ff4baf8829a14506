"""Airflow connections → provider accounts. Only the connection's host tells the sandbox from the provider.

`sendgrid_default`: host = API base URL (default https://api.sendgrid.com), password = API key.
`twilio_default`: host = API base URL (default https://api.twilio.com), login = API key SID or account SID, password =
its secret, extra = {"account_sid", "messaging_service_sid" or "from_number", "lookup_host"}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rekindle_airflow.settings import settings

if TYPE_CHECKING:
    from rekindle.channels.credentials import SendGridAccount, TwilioAccount

SENDGRID_CONNECTION = "sendgrid_default"
TWILIO_CONNECTION = "twilio_default"


def _connection(connection_id: str) -> Any:
    from airflow.sdk import Connection

    return Connection.get(connection_id)


def _base_url(connection: Any, default: str) -> str:
    if not connection.host:
        return default
    if "://" in connection.host:
        return str(connection.host)
    scheme = connection.schema or "https"
    return f"{scheme}://{connection.host}" + (f":{connection.port}" if connection.port else "")


def _guarded(account: Any) -> Any:
    """The account, unless logical time would talk to a real provider: then `RefusedError`."""
    from rekindle.channels.credentials import refuse_stepped_clock_with_real_provider
    from rekindle.clock import clock_from_environment

    refuse_stepped_clock_with_real_provider(clock_from_environment(), [account])
    return account


def sendgrid_account() -> SendGridAccount:
    """The SendGrid account of this installation; raises `ConfigurationError` naming the field that is missing."""
    from rekindle.channels.credentials import SendGridAccount

    connection = _connection(SENDGRID_CONNECTION)
    account = SendGridAccount(
        api_key=connection.password or "",
        base_url=_base_url(connection, "https://api.sendgrid.com"),
        from_email=settings().from_email,
        from_name=settings().company_name,
        postal_address=settings().postal_address,
    )
    return _guarded(account)


def twilio_account() -> TwilioAccount:
    """The Twilio account of this installation; raises `ConfigurationError` naming the field that is missing."""
    from rekindle.channels.credentials import TwilioAccount

    connection = _connection(TWILIO_CONNECTION)
    extra = connection.extra_dejson
    base_url = _base_url(connection, "https://api.twilio.com")
    account = TwilioAccount(
        account_sid=extra.get("account_sid", ""),
        username=connection.login or "",
        secret=connection.password or "",
        base_url=base_url,
        lookup_base_url=extra.get("lookup_host") or "https://lookups.twilio.com",
        messaging_service_sid=extra.get("messaging_service_sid"),
        from_number=extra.get("from_number"),
        status_callback_base_url=settings().public_base_url,
    )
    return _guarded(account)
