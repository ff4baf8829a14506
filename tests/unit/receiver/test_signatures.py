"""Signatures: the providers' own vectors, and everything a forger would try."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from rekindle.errors import ConfigurationError
from rekindle.receiver.signatures import SendGridVerifier, TwilioVerifier

FORM = "application/x-www-form-urlencoded"
NOW = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
TOLERANCE = timedelta(hours=24, minutes=30)

# From the SDK's own test (sendgrid-python, MIT).
PUBLIC_KEY = "".join(
    [
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfS",
        "mpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==",
    ]
)
SIGNATURE = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
TIMESTAMP = "1600112502"
PAYLOAD = (
    b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address",'
    b'"sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
    b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
    b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n'
)


@pytest.fixture
def sendgrid() -> SendGridVerifier:
    return SendGridVerifier([PUBLIC_KEY], None)


def test_the_documented_signature_fits(sendgrid: SendGridVerifier) -> None:
    assert sendgrid.accepts(PAYLOAD, SIGNATURE, TIMESTAMP, NOW)


@pytest.mark.parametrize(
    ("body", "signature", "timestamp"),
    [
        (PAYLOAD.rstrip(), SIGNATURE, TIMESTAMP),
        (PAYLOAD + b" ", SIGNATURE, TIMESTAMP),
        (PAYLOAD[:-20], SIGNATURE, TIMESTAMP),
        (json.dumps(json.loads(PAYLOAD)).encode(), SIGNATURE, TIMESTAMP),
        (PAYLOAD.decode().encode("utf-16"), SIGNATURE, TIMESTAMP),
        (b"\xef\xbb\xbf" + PAYLOAD, SIGNATURE, TIMESTAMP),
        (PAYLOAD.replace(b"dropped", b"bounced"), SIGNATURE, TIMESTAMP),
        (b"", SIGNATURE, TIMESTAMP),
        (PAYLOAD, SIGNATURE, "1600112503"),
        (PAYLOAD, SIGNATURE, "01600112502"),
        (PAYLOAD, SIGNATURE, " 1600112502"),
        (PAYLOAD, SIGNATURE, ""),
        (PAYLOAD, SIGNATURE, "timestamp"),
        (PAYLOAD, SIGNATURE, "١٦٠٠١١٢٥٠٢"),
        (PAYLOAD, SIGNATURE, "9" * 5000),
        (PAYLOAD, "", TIMESTAMP),
        (PAYLOAD, "not base64!", TIMESTAMP),
        (PAYLOAD, SIGNATURE[:-8], TIMESTAMP),
        (PAYLOAD, "é", TIMESTAMP),
    ],
)
def test_anything_changed_does_not_fit(sendgrid: SendGridVerifier, body: bytes, signature: str, timestamp: str) -> None:
    assert not sendgrid.accepts(body, signature, timestamp, NOW)


def test_digits_moved_between_time_stamp_and_body_do_not_pass_as_recent() -> None:
    """SendGrid signs the two without a separator, so this signature fits; what gives it away is its age."""
    signed_at = datetime.fromtimestamp(int(TIMESTAMP), UTC)
    moved = (TIMESTAMP[-1].encode() + PAYLOAD, SIGNATURE, TIMESTAMP[:-1])
    assert not SendGridVerifier([PUBLIC_KEY], TOLERANCE).accepts(*moved, signed_at)


@pytest.mark.parametrize(
    ("age", "fits"),
    [
        (timedelta(0), True),
        (timedelta(hours=24), True),
        (TOLERANCE, True),
        (TOLERANCE + timedelta(seconds=1), False),
        (-TOLERANCE, True),
        (-TOLERANCE - timedelta(seconds=1), False),
        (timedelta(days=365), False),
    ],
)
def test_old_signatures_run_out(age: timedelta, fits: bool) -> None:
    now = datetime.fromtimestamp(int(TIMESTAMP), UTC) + age
    assert SendGridVerifier([PUBLIC_KEY], TOLERANCE).accepts(PAYLOAD, SIGNATURE, TIMESTAMP, now) is fits


def test_any_of_several_keys_fits() -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    der = own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    verifier = SendGridVerifier([PUBLIC_KEY, base64.b64encode(der).decode()], None)
    assert verifier.accepts(PAYLOAD, SIGNATURE, TIMESTAMP, NOW)
    mine = base64.b64encode(own.sign(b"1" + b"[]", ec.ECDSA(SHA256()))).decode()
    assert verifier.accepts(b"[]", mine, "1", NOW)
    assert not SendGridVerifier([PUBLIC_KEY], None).accepts(b"[]", mine, "1", NOW)


def test_no_key_accepts_nothing() -> None:
    verifier = SendGridVerifier([], None)
    assert not verifier.is_configured
    assert not verifier.accepts(PAYLOAD, SIGNATURE, TIMESTAMP, NOW)


def test_a_key_that_is_none_is_our_mistake() -> None:
    der = (
        rsa.generate_private_key(65537, 2048).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    for text in ("", "nonsense!", "AAAA", base64.b64encode(der).decode()):
        with pytest.raises(ConfigurationError, match="REKINDLE_SENDGRID_WEBHOOK_PUBLIC_KEY"):
            SendGridVerifier([text], None)


def test_sendgrid_vectors(receiver_vectors: Callable[[str], Any]) -> None:
    cases = receiver_vectors("sendgrid_signatures.json")
    assert {case["valid"] for case in cases} == {True, False}
    for case in cases:
        verifier = SendGridVerifier([case["public_key"]], None)
        found = verifier.accepts(case["payload"].encode(), case["signature"], case["timestamp"], NOW)
        assert found is case["valid"], case["name"]


# Twilio

URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
PARAMETERS = {
    "CallSid": "CA1234567890ABCDE",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
    "Caller": "+14158675309",
}
SHA1 = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
SHA256_SIGNATURE = "033hgUJA9M/hXIZsYjwkerEP/DBm35nEri5FhCYjA5s="
SETTINGS = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"


def verify(
    url: str,
    body: bytes,
    signature: str,
    content_type: str | None = FORM,
    settings: str | None = None,
    secrets: tuple[str, ...] = ("12345",),
) -> bool:
    """Check a request to `url`, which is also where we say we are."""
    parts = urlsplit(url)
    verifier = TwilioVerifier(secrets, f"{parts.scheme}://{parts.netloc}")
    return verifier.accepts(parts.path, parts.query, body, content_type, signature, settings)


def test_the_documented_signatures_fit() -> None:
    body = urlencode(PARAMETERS).encode()
    assert verify(URL, body, SHA1)
    assert verify(URL, body, SHA256_SIGNATURE, settings=SETTINGS)
    assert verify(URL, body, SHA1, secrets=("rotated", "12345"))
    own = "https://hooks.example.com/twilio/status?mid=42"
    sid = "SM1342fe1b2c904d1ab04f0fc7a58abca9"
    status = urlencode(
        {
            "AccountSid": "AC" + "0" * 32,
            "From": "+15017250604",
            "MessageSid": sid,
            "SmsSid": sid,
            "MessageStatus": "sent",
            "SmsStatus": "sent",
        }
    ).encode()
    assert verify(own, status, "/jE9U+C9qhfRfJRhCdKl34fHjuA=")
    assert verify(own, status, "KXcvOJ7vVfXcebjnvmilA4k2DwTSfIVWHa3ZGK4z77g=", settings="key=k, algorithm=hmac_sha256")


def test_a_form_may_be_encoded_in_any_way_that_means_the_same() -> None:
    pairs = [f"{name}={value.replace('+', '%2b')}" for name, value in sorted(PARAMETERS.items(), reverse=True)]
    assert verify(URL, "&".join(pairs).encode(), SHA1, content_type="Application/X-WWW-Form-Urlencoded; charset=UTF-8")


@pytest.mark.parametrize(
    "fields",
    [
        {"signature": ""},
        {"signature": SHA1.lower()},
        {"signature": SHA1[:-1]},
        {"signature": "é"},
        {"signature": SHA256_SIGNATURE},  # without its settings header
        {"settings": SETTINGS},  # SHA-1 where SHA-256 was said
        {"settings": "key=k,algorithm=NONE"},
        {"settings": "key=k,algorithm=HMAC_MD5"},
        {"secrets": ("12346",)},
        {"secrets": ()},
        {"url": URL + "&more=1"},
        {"url": URL.replace("foo=1&bar=2", "bar=2&foo=1")},
        {"url": URL.replace("https", "http")},
        {"url": URL.replace("mycompany", "yourcompany")},
        {"body": urlencode({**PARAMETERS, "More": "1"}).encode()},
        {"body": urlencode({**PARAMETERS, "Digits": "1235"}).encode()},
        {"body": urlencode({**PARAMETERS, "Digits": " 1234"}).encode()},
        {"body": urlencode(PARAMETERS).encode()[:-4]},
        {"body": json.dumps(PARAMETERS).encode()},
        {"body": json.dumps(PARAMETERS).encode(), "content_type": "application/json"},
        {"content_type": "multipart/form-data; boundary=x"},
        {"content_type": None},
        {"body": b"\xff"},
        {"body": b""},
    ],
)
def test_anything_changed_does_not_fit_twilio(fields: dict[str, Any]) -> None:
    request: dict[str, Any] = {"url": URL, "body": urlencode(PARAMETERS).encode(), "signature": SHA1}
    assert verify(**request)
    assert not verify(**{**request, **fields})


JSON_BODY = b'{"property": "value", "boolean": true}'
JSON_URL = URL + "&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
JSON_SIGNATURE = "a9nBmqA0ju/hNViExpshrM61xv4="


def test_a_json_body_is_covered_by_its_hash() -> None:
    assert verify(JSON_URL, JSON_BODY, JSON_SIGNATURE, "application/json")
    assert not verify(JSON_URL, JSON_BODY + b" ", JSON_SIGNATURE, "application/json")
    assert not verify(JSON_URL, b"", JSON_SIGNATURE, "application/json")
    # The same hash must hold when the body is passed off as a form of no parameters
    assert not verify(JSON_URL, b"", JSON_SIGNATURE, FORM)
    assert not verify(JSON_URL, b"&&", JSON_SIGNATURE, FORM)


def test_a_body_nobody_signed_is_refused() -> None:
    bare = base64.b64encode(hmac.new(b"12345", URL.encode(), hashlib.sha1).digest()).decode()
    assert verify(URL, b"", bare, "application/json")
    assert not verify(URL, JSON_BODY, bare, "application/json")
    assert not verify(URL, JSON_BODY, bare, "text/plain")


@given(
    pairs=st.lists(st.tuples(st.text(min_size=1, max_size=5), st.text(max_size=5)), max_size=6),
    changed=st.integers(0, 5),
)
def test_every_parameter_counts(pairs: list[tuple[str, str]], changed: int) -> None:
    # Given a signature computed as Twilio writes it down
    content = "https://h.example/p"
    for name in sorted({name for name, _ in pairs}):
        for value in sorted({value for other, value in pairs if other == name}):
            content += name + value
    signature = base64.b64encode(hmac.new(b"12345", content.encode(), hashlib.sha1).digest()).decode()
    # Then it fits, and fits no more when one value grows
    assert verify("https://h.example/p", urlencode(pairs).encode(), signature)
    if changed < len(pairs):
        pairs[changed] = (pairs[changed][0], pairs[changed][1] + "¶")
        assert not verify("https://h.example/p", urlencode(pairs).encode(), signature)


@pytest.mark.parametrize("signed", ["https://h.example", "https://h.example:443", "https://h.example:8443"])
def test_the_port_may_be_written_or_not(signed: str) -> None:
    signature = base64.b64encode(hmac.new(b"12345", f"{signed}/p".encode(), hashlib.sha1).digest()).decode()
    verifier = TwilioVerifier(["12345"], "https://h.example:8443" if "8443" in signed else "https://h.example")
    assert verifier.accepts("/p", "", b"", FORM, signature)


def test_twilio_vectors(receiver_vectors: Callable[[str], Any]) -> None:
    for case in receiver_vectors("twilio_signatures.json"):
        body, content_type = urlencode(case["params"], doseq=True).encode(), FORM
        if "body" in case:
            body, content_type = case["body"].encode(), "application/json"
        secrets = (case["auth_token"],)
        assert verify(case["url"], body, case["signature"], content_type, secrets=secrets), case["name"]
        assert not verify(case["url"], body + b"&x=1", case["signature"], content_type, secrets=secrets), case["name"]
