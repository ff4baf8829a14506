"""Who may tell us about people: callers with one of our write keys."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import Any

#: What a caller without a key is told.
CHALLENGE = {"WWW-Authenticate": 'Basic realm="write key"'}


class WriteKeys:
    """The keys of the company's own services, several while one is replaced by another."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in keys]

    def know_header(self, authorization: str) -> bool:
        """Whether the basic-auth user name is one of the keys."""
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            user = base64.b64decode(credentials.strip(), validate=True).partition(b":")[0]
        except (binascii.Error, ValueError):
            return False
        return self._know(user)

    def know_body(self, content: dict[str, Any]) -> bool:
        """Whether the body's `writeKey` is one: libraries that can set no header send it there."""
        key = content.get("writeKey")
        return isinstance(key, str) and self._know(key.encode(errors="replace"))

    def _know(self, candidate: bytes) -> bool:
        # Every key is compared, whichever fits, so that the time taken tells nothing.
        return sum(hmac.compare_digest(candidate, key) for key in self._keys) > 0
