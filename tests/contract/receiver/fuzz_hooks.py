"""What schemathesis must be able to do to get past the doors: sign like a provider, and hold links of ours.

Loaded by schemathesis itself (`SCHEMATHESIS_HOOKS`). Half of the requests stay as they were made up: strangers call.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import requests
import schemathesis
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import RequestValidator

from rekindle.identity import address_hash
from rekindle.tokens import ConfirmToken, TokenSigner

TOKENS = TokenSigner([os.environ["REKINDLE_FUZZ_TOKEN_KEY"]])
TWILIO = RequestValidator(os.environ["REKINDLE_FUZZ_TWILIO_TOKEN"])
SENDGRID = load_pem_private_key(Path(os.environ["REKINDLE_FUZZ_SENDGRID_KEY"]).read_bytes(), None)
TURNS: Counter[str] = Counter()
HASH = address_hash("ada@example.com")


def link_to(path: str) -> str:
    """A token of ours for this door."""
    today = datetime.now(UTC).date()
    return {
        "c": lambda: TOKENS.click("m-1", "https://shop.example.com/"),
        "u": lambda: TOKENS.unsubscribe("m-1", HASH, "email", "marketing"),
        "p": lambda: TOKENS.preferences("m-1", HASH, "email", "marketing"),
        "confirm": lambda: TOKENS.confirm(ConfirmToken("o-1", HASH, "email", "marketing", "2026-01", today)),
    }[path.strip("/").partition("/")[0]]()


class Signed(requests.auth.AuthBase):
    """Signs what is about to leave, as the provider of that webhook does."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        if "/sendgrid/" in str(request.url):
            stamp = str(int(time.time()))
            assert isinstance(SENDGRID, ec.EllipticCurvePrivateKey)
            signature = SENDGRID.sign(stamp.encode() + body, ec.ECDSA(SHA256()))
            request.headers["X-Twilio-Email-Event-Webhook-Signature"] = base64.b64encode(signature).decode()
            request.headers["X-Twilio-Email-Event-Webhook-Timestamp"] = stamp
            return request
        pairs: list[tuple[str, str]] = []
        if "form-urlencoded" in str(request.headers.get("Content-Type", "")):
            pairs = parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
        else:
            request.prepare_url(request.url, {"bodySHA256": hashlib.sha256(body).hexdigest()})
        request.headers.pop("X-Twilio-Webhooks-Signature-Settings", None)
        request.headers["X-Twilio-Signature"] = TWILIO.compute_signature(request.url, ImmutableMultiDict(pairs))
        return request


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Sign or let in every second request; follow nobody anywhere."""
    kwargs["allow_redirects"] = False
    TURNS[case.path] += 1
    is_ours = TURNS[case.path] % 2
    if is_ours and "token" in (case.path_parameters or {}):
        case.path_parameters["token"] = link_to(case.path)
    if is_ours and case.path.startswith("/webhooks/"):
        kwargs["auth"] = Signed()
