"""Proves that a request comes from the provider it says it comes from. Nothing here trusts a forwarded header."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import HMAC_SHA1, HMAC_SHA256, RequestValidator, get_signature_algorithm

from rekindle.errors import ConfigurationError
from rekindle.events.twilio import form_pairs, is_form

#: Where Twilio writes the hex SHA-256 of a body that is not a form.
BODY_HASH_PARAMETER = "bodySHA256"

_DEFAULT_PORTS = {"http": 80, "https": 443}


class SendGridVerifier:
    """Checks the Signed Event Webhook: ECDSA over the time stamp and the raw bytes of the body.

    The SDK's helper wants text, and decoding is one more place to change what was signed; so the bytes are checked.
    """

    def __init__(self, public_keys: Sequence[str], tolerance: timedelta | None) -> None:
        self._keys = [_public_key(key) for key in public_keys]
        self._tolerance = tolerance

    @property
    def is_configured(self) -> bool:
        return bool(self._keys)

    def accepts(self, body: bytes, signature: str, timestamp: str, now: datetime) -> bool:
        """Whether a known key signed exactly this body at a time within the tolerance of `now`."""
        if not self._is_timely(timestamp, now):
            return False
        try:
            decoded = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            return False
        return any(_is_signed(key, decoded, timestamp.encode() + body) for key in self._keys)

    def _is_timely(self, timestamp: str, now: datetime) -> bool:
        if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
            return False
        return self._tolerance is None or abs(now.timestamp() - int(timestamp)) <= self._tolerance.total_seconds()


class TwilioVerifier:
    """Checks `X-Twilio-Signature` against our own public address.

    The SDK's validator computes the signature; comparing and the two spellings of the port are done here, because its
    comparison is not constant-time and its `remove_port` loses the host of some addresses (9.13.0).
    """

    def __init__(self, secrets: Sequence[str], public_base_url: str) -> None:
        self._validators = [RequestValidator(secret) for secret in secrets]
        self._bases = _spellings(public_base_url)

    @property
    def is_configured(self) -> bool:
        return bool(self._validators)

    def accepts(
        self, path: str, query: str, body: bytes, content_type: str | None, signature: str, settings: str | None = None
    ) -> bool:
        """Whether one of the secrets signed this request; `settings` is the signature settings header, if it came."""
        algorithm = get_signature_algorithm(settings).upper()
        if algorithm not in (HMAC_SHA1, HMAC_SHA256):
            return False
        hashes = parse_qs(query, keep_blank_values=True).get(BODY_HASH_PARAMETER)
        if hashes is not None and not _is_same(hashes[0].lower(), hashlib.sha256(body).hexdigest()):
            return False
        if is_form(content_type):
            try:
                pairs = form_pairs(body.decode())
            except UnicodeDecodeError:
                return False
        elif hashes is None and body:
            # Nothing signs this body.
            return False
        else:
            pairs = []
        parameters = ImmutableMultiDict(pairs)
        suffix = path + ("?" + query if query else "")
        return any(
            _is_same(validator.compute_signature(base + suffix, parameters, algorithm), signature)
            for validator in self._validators
            for base in self._bases
        )


def _public_key(text: str) -> ec.EllipticCurvePublicKey:
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except ValueError as error:
        raise ConfigurationError(
            "REKINDLE_SENDGRID_WEBHOOK_PUBLIC_KEY is not a public key; copy the verification key from SendGrid's"
            " Signed Event Webhook page as it is"
        ) from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ConfigurationError("REKINDLE_SENDGRID_WEBHOOK_PUBLIC_KEY is not an elliptic curve key")
    return key


def _is_signed(key: ec.EllipticCurvePublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _is_same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _spellings(public_base_url: str) -> list[str]:
    """The address as configured, and with and without its port: Twilio signs either."""
    base = public_base_url.rstrip("/")
    parts = urlsplit(base)
    host = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    bases = [base, parts._replace(netloc=host).geturl(), parts._replace(netloc=f"{host}:{port}").geturl()]
    return list(dict.fromkeys(bases))
