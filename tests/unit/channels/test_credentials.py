from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rekindle.channels.credentials import (
    SendGridAccount,
    TwilioAccount,
    is_loopback,
    refuse_stepped_clock_with_real_provider,
)
from rekindle.clock import SteppedClock, SystemClock
from rekindle.errors import ConfigurationError, RefusedError

SENDGRID: dict[str, Any] = {
    "api_key": "SG.very-secret",
    "from_email": "hello@shop.example",
    "from_name": "The Shop",
    "postal_address": "1 Market Street, San Francisco",
}
TWILIO: dict[str, Any] = {
    "account_sid": "AC" + "0" * 32,
    "username": "SK" + "1" * 32,
    "secret": "very-secret",
    "messaging_service_sid": "MG" + "2" * 32,
    "status_callback_base_url": "https://rekindle.example/",
}


def test_good_accounts():
    sendgrid = SendGridAccount(**SENDGRID)
    assert (sendgrid.base_url, sendgrid.api_key.get_secret_value()) == ("https://api.sendgrid.com", "SG.very-secret")
    twilio = TwilioAccount(**TWILIO)
    assert twilio.status_callback_base_url == "https://rekindle.example"
    assert twilio.base_urls() == ("https://api.twilio.com", "https://lookups.twilio.com")
    assert "very-secret" not in f"{sendgrid!r} {sendgrid} {twilio!r} {twilio.model_dump()} {twilio.model_dump_json()}"


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"api_key": ""}, "api_key: must be set"),
        ({"api_key": "SG.pasted\nwith a line"}, "api_key: must be set"),
        ({"from_email": "The Shop <hello@shop.example>"}, "from_email: must be one plain ASCII"),
        ({"from_email": "hällo@shop.example"}, "from_email: must be one plain ASCII"),
        ({"from_name": "Shop, The"}, "from_name: must hold no semicolon"),
        ({"from_name": "Shop\r\nBcc: x"}, "from_name: must hold no semicolon"),
        ({"postal_address": ""}, "postal_address: String should have at least 10"),
        ({"base_url": "http://api.sendgrid.com"}, "base_url: must be https"),
        ({"base_url": "api.sendgrid.com"}, "base_url: must be an http or https URL"),
        ({"base_url": "https://user:pw@api.sendgrid.com"}, "base_url: must hold no user name"),
        ({"reply_to": "nobody"}, "reply_to: must be one plain ASCII"),
        ({"api_kee": "pasted-secret"}, "api_kee: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_sendgrid_account_names_the_field_and_never_the_value(wrong, complaint):
    with pytest.raises(ConfigurationError) as caught:
        SendGridAccount(**(SENDGRID | wrong))
    assert f"SendGridAccount: {complaint}" in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    for value in wrong.values():
        assert not value or value not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"account_sid": "AC123"}, "account_sid: must be AC followed by"),
        ({"username": "somebody"}, "username: must be SK"),
        ({"secret": " "}, "secret: must be set"),
        ({"messaging_service_sid": None}, "TwilioAccount: give either messaging_service_sid or from_number"),
        ({"from_number": "+14155550100"}, "TwilioAccount: give either messaging_service_sid or from_number"),
        ({"messaging_service_sid": None, "from_number": "4155550100x"}, "from_number: must be an E.164 number"),
        (
            {"status_callback_base_url": "https://re_kindle.example"},
            "status_callback_base_url: the host name must hold",
        ),
        ({"status_callback_base_url": "http://rekindle.example"}, "status_callback_base_url: must be https"),
        ({"lookup_base_url": "https://x.example/?a=1"}, "lookup_base_url: must hold no user name"),
    ],
)
def test_a_wrong_twilio_account(wrong, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        TwilioAccount(**(TWILIO | wrong))


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8181", True),
        ("http://127.8.9.1", True),
        ("http://localhost:1/x", True),
        ("http://[::1]:1", True),
        ("https://api.twilio.com", False),
        ("http://10.0.0.1", False),
        ("http://0.0.0.0", False),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://127.0.0.1@evil.example", False),
        ("127.0.0.1", False),
        ("", False),
    ],
)
def test_is_loopback(url, here):
    assert is_loopback(url) is here


def test_logical_time_never_talks_to_a_real_provider(tmp_path: Path):
    stepped = SteppedClock(tmp_path / "clock")
    here = SendGridAccount(**SENDGRID, base_url="http://127.0.0.1:8282")
    half = TwilioAccount(**TWILIO, base_url="http://127.0.0.1:8181")  # its Lookup still points at the real one
    refuse_stepped_clock_with_real_provider(stepped, [here])
    refuse_stepped_clock_with_real_provider(SystemClock(), [SendGridAccount(**SENDGRID), half])
    with pytest.raises(RefusedError, match=r"TwilioAccount points at lookups\.twilio\.com"):
        refuse_stepped_clock_with_real_provider(stepped, [here, half])
    with pytest.raises(RefusedError, match=r"SendGridAccount points at api\.sendgrid\.com"):
        refuse_stepped_clock_with_real_provider(stepped, [SendGridAccount(**SENDGRID)])
