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
    from rekindle.journey.webhooks import Destination

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


def webhook_destination(connection_id: str) -> Destination:
    """Where an HTTP connection points: host (and schema, port), extra = {"path", "headers": {…}}, password = a bearer
    token. Raises `ConfigurationError` if it is not there, `RefusedError` if logical time would reach a real system.
    """
    from rekindle.channels.credentials import is_loopback
    from rekindle.clock import SteppedClock, clock_from_environment
    from rekindle.errors import ConfigurationError, RefusedError
    from rekindle.journey.webhooks import Destination

    try:
        connection = _connection(connection_id)
    except Exception as error:  # what Airflow raises for it depends on its version and on the secrets backend
        raise ConfigurationError(
            f"there is no Airflow connection `{connection_id}`, which a webhook step names: add it (type HTTP)"
        ) from error
    if not connection.host:
        raise ConfigurationError(f"the Airflow connection `{connection_id}` has no host")
    extra = connection.extra_dejson
    url = _base_url(connection, "").rstrip("/") + "/" + str(extra.get("path", "")).lstrip("/")
    if isinstance(clock_from_environment(), SteppedClock) and not is_loopback(url):
        raise RefusedError(f"the clock is stepped by hand but the connection `{connection_id}` leaves this machine")
    headers = {str(name): str(value) for name, value in extra.get("headers", {}).items()}
    if connection.password:
        headers |= {"Authorization": f"Bearer {connection.password}"}
    return Destination(url, headers)
