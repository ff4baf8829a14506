"""Airflow connections, as the environment gives them, become the providers' accounts."""

from __future__ import annotations

import json

import pytest

from rekindle.errors import ConfigurationError
from rekindle_airflow import connections
from rekindle_airflow.settings import Settings

ACCOUNT = "AC" + "0123456789abcdef" * 2
API_KEY = "SK" + "0123456789abcdef" * 2
SERVICE = "MG" + "0123456789abcdef" * 2
SECRET = "a-secret-nobody-may-read"


@pytest.fixture(autouse=True)
def installation(monkeypatch):
    """Settings of its own for every test, instead of those of the process."""
    monkeypatch.setenv("REKINDLE_PUBLIC_BASE_URL", "https://hooks.example.com")
    monkeypatch.setenv("REKINDLE_COMPANY_NAME", "Example Records")
    monkeypatch.setenv("REKINDLE_FROM_EMAIL", "mara@example.com")
    monkeypatch.setattr(connections, "settings", Settings)


@pytest.fixture
def connect(monkeypatch):
    """Sets an Airflow connection the way an operator does."""

    def set_connection(name, **fields):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps({"conn_type": "http", **fields}))

    return set_connection


def sendgrid(connect, **fields):
    connect("sendgrid_default", **{"password": SECRET, **fields})
    return connections.sendgrid_account()


def twilio(connect, extra=None, **fields):
    extra = {"account_sid": ACCOUNT, "messaging_service_sid": SERVICE, **(extra or {})}
    connect("twilio_default", **{"login": API_KEY, "password": SECRET, "extra": extra, **fields})
    return connections.twilio_account()


def test_a_key_is_all_that_sendgrid_needs(connect):
    account = sendgrid(connect)
    assert account.base_url == "https://api.sendgrid.com"
    assert account.api_key.get_secret_value() == SECRET
    assert (account.from_email, account.from_name) == ("mara@example.com", "Example Records")
    assert account.postal_address.startswith("1 Example Street")


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({"host": "http://127.0.0.1:8390"}, "http://127.0.0.1:8390"),
        ({"host": "https://api.eu.sendgrid.com/"}, "https://api.eu.sendgrid.com"),
        # as the connection form of the UI splits it
        ({"host": "127.0.0.1", "schema": "http", "port": 8390}, "http://127.0.0.1:8390"),
        ({"host": "api.eu.sendgrid.com"}, "https://api.eu.sendgrid.com"),
        ({"host": ""}, "https://api.sendgrid.com"),
    ],
)
def test_the_host_alone_tells_the_sandbox_from_the_provider(connect, fields, base_url):
    assert sendgrid(connect, **fields).base_url == base_url
    if fields["host"]:
        assert twilio(connect, **fields).base_url == base_url


def test_a_connection_may_be_a_uri(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_SENDGRID_DEFAULT", f"http://:{SECRET}@api.sendgrid.com")
    account = connections.sendgrid_account()
    assert (account.base_url, account.api_key.get_secret_value()) == ("https://api.sendgrid.com", SECRET)


def test_twilio_takes_its_sids_from_the_extra(connect):
    account = twilio(connect)
    assert account.account_sid == ACCOUNT
    assert (account.username, account.secret.get_secret_value()) == (API_KEY, SECRET)
    assert (account.messaging_service_sid, account.from_number) == (SERVICE, None)
    assert (account.base_url, account.lookup_base_url) == ("https://api.twilio.com", "https://lookups.twilio.com")
    assert account.status_callback_base_url == "https://hooks.example.com"


def test_twilio_may_send_from_a_number_and_look_up_elsewhere(connect):
    extra = {"messaging_service_sid": None, "from_number": "+12125550100", "lookup_host": "http://127.0.0.1:8390"}
    account = twilio(connect, extra)
    assert (account.messaging_service_sid, account.from_number) == (None, "+12125550100")
    assert account.lookup_base_url == "http://127.0.0.1:8390"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"password": ""}, "secret"),
        ({"login": "somebody"}, "username"),
        ({"extra": {}}, "account_sid"),
        ({"extra": {"account_sid": ACCOUNT}}, "messaging_service_sid or from_number"),
        ({"host": "http://twilio.example.com"}, "base_url"),  # in the clear over the network
    ],
)
def test_what_is_missing_is_named_and_no_value_is_shown(connect, fields, named):
    connect(
        "twilio_default",
        **{
            "login": API_KEY,
            "password": SECRET,
            "extra": {"account_sid": ACCOUNT, "messaging_service_sid": SERVICE},
            **fields,
        },
    )
    with pytest.raises(ConfigurationError, match=named) as refused:
        connections.twilio_account()
    assert SECRET not in str(refused.value)
    assert "somebody" not in str(refused.value)


def test_a_missing_key_is_named(connect):
    with pytest.raises(ConfigurationError, match="api_key"):
        sendgrid(connect, password="")
