"""Signed, self-contained tokens for the links in a message: to click, to unsubscribe, to choose, to confirm.

Each purpose has a salt of its own, so a forwarded click link can never unsubscribe anybody. Tokens that say no do not
run out: an opt-out link must work for at least 30 days (15 USC 7704) or 60 (CASL), and a person may open a year-old
mail. A confirmation does: consent that was asked for long ago is no consent.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import urlsplit

from itsdangerous import BadData, HMACAlgorithm, Signer, URLSafeSerializer
from itsdangerous.encoding import want_bytes

from rekindle.errors import ConfigurationError, RekindleError

TOKEN_KEYS_VARIABLE = "REKINDLE_TOKEN_KEYS"  # noqa: S105 - the name of a variable, not a secret

CLICK_SALT = "rekindle.click"
UNSUBSCRIBE_SALT = "rekindle.unsubscribe"
PREFERENCES_SALT = "rekindle.preferences"
CONFIRM_SALT = "rekindle.confirm"

#: Bytes: random ids and a short address never get shorter by compressing, and trying costs more than signing.
SHORTEST_TO_COMPRESS = 80

_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class BadToken(RekindleError):
    """The token was not made by us, not for this purpose, or was changed on the way."""


@dataclass(frozen=True, slots=True)
class ClickToken:
    """What a tracked link stands for."""

    message_id: str
    destination: str


@dataclass(frozen=True, slots=True)
class UnsubscribeToken:
    """Who stops what when the link is used; the address itself is not in it."""

    message_id: str
    address_hash: str
    channel: str
    topic: str


@dataclass(frozen=True, slots=True)
class PreferencesToken:
    """Whose choices the page takes: the address the message went to; the address itself is not in it."""

    message_id: str
    address_hash: str
    channel: str
    topic: str


@dataclass(frozen=True, slots=True)
class ConfirmToken:
    """What a double opt-in confirms: the words of one form for one address, asked for on a day."""

    opt_in_id: str
    address_hash: str
    channel: str
    topics: str  # comma separated
    wording_version: str
    requested_on: date


class TokenSigner:
    """Makes and reads tokens. The newest key (the last) signs; every key given still reads."""

    def __init__(self, keys: Sequence[str]) -> None:
        # Blanks around a comma must not make a key that only one of two processes has.
        keys = [key.strip() for key in keys if key.strip()]
        if not keys:
            raise ConfigurationError(
                f"no usable token key: set {TOKEN_KEYS_VARIABLE} to one or more secrets, comma separated, newest last"
            )
        self._click = _serializer(keys, CLICK_SALT)
        self._unsubscribe = _serializer(keys, UNSUBSCRIBE_SALT)
        self._preferences = _serializer(keys, PREFERENCES_SALT)
        self._confirm = _serializer(keys, CONFIRM_SALT)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> TokenSigner:
        """The signer over the keys in `REKINDLE_TOKEN_KEYS`."""
        return cls(environment.get(TOKEN_KEYS_VARIABLE, "").split(","))

    def click(self, message_id: str, destination: str) -> str:
        """A token that leads to `destination`; raises `ConfigurationError` if that is not a plain http(s) address."""
        fault = destination_fault(destination)
        if fault:
            raise ConfigurationError(f"a tracked link can not lead there: {fault}; write it as https://host/path")
        return self._click.dumps([message_id, destination])

    def unsubscribe(self, message_id: str, address_hash: str, channel: str, topic: str) -> str:
        """A token whose use stops `topic` on `channel` for the address."""
        return self._unsubscribe.dumps([message_id, address_hash, channel, topic])

    def preferences(self, message_id: str, address_hash: str, channel: str, topic: str) -> str:
        """A token that opens the preference page of the address."""
        return self._preferences.dumps([message_id, address_hash, channel, topic])

    def confirm(self, confirm: ConfirmToken) -> str:
        """A token whose use confirms an opt-in."""
        return self._confirm.dumps(
            [
                confirm.opt_in_id,
                confirm.address_hash,
                confirm.channel,
                confirm.topics,
                confirm.wording_version,
                confirm.requested_on.isoformat(),
            ]
        )

    def read_click(self, token: str) -> ClickToken:
        """What the click token says; raises `BadToken`."""
        message_id, destination = _read(self._click, token, 2)
        if destination_fault(destination):
            raise BadToken("the token's destination is not an http(s) address")
        return ClickToken(message_id, destination)

    def read_unsubscribe(self, token: str) -> UnsubscribeToken:
        """What the unsubscribe token says; raises `BadToken`."""
        return UnsubscribeToken(*_read(self._unsubscribe, token, 4))

    def read_preferences(self, token: str) -> PreferencesToken:
        """What the preference token says; raises `BadToken`."""
        return PreferencesToken(*_read(self._preferences, token, 4))

    def read_confirm(self, token: str) -> ConfirmToken:
        """What the confirm token says, however old it is; raises `BadToken`."""
        opt_in_id, hashed, channel, topics, wording_version, requested_on = _read(self._confirm, token, 6)
        try:
            day = date.fromisoformat(requested_on)
        except ValueError as error:
            raise BadToken("the token names no day") from error
        return ConfirmToken(opt_in_id, hashed, channel, topics, wording_version, day)


@lru_cache(maxsize=256)
def destination_fault(destination: str) -> str | None:
    """Why nobody may be sent to `destination`, or None if it is fine."""
    # Browsers drop tabs and newlines and read a backslash as a slash, so such an address is not what it seems.
    if any(character <= " " or character in "\\\x7f" for character in destination):
        return "it holds a blank, a control character or a backslash"
    try:
        parts = urlsplit(destination)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is not a URL"
    if parts.scheme not in ("http", "https"):
        return "it is neither http nor https"
    if not host:
        return "it names no host"
    if "@" in parts.netloc:
        return "it carries a user name, which hides the real host"
    return None


class _ShortHmac(HMACAlgorithm):
    """HMAC-SHA256 cut to its first 128 bits (RFC 2104 §5 allows half): 21 characters less in every text message."""

    default_digest_method = staticmethod(hashlib.sha256)

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        mac = _keyed(key).copy()
        mac.update(value)
        return mac.digest()[:16]


@lru_cache(maxsize=256)
def _keyed(key: bytes) -> hmac.HMAC:
    """The state that a key leaves, which costs more than a token's few bytes; only copies of it are ever fed."""
    return hmac.new(key, digestmod="sha256")


class _Signer(Signer):
    """Derives each key once, not once a token."""

    def __init__(self, *arguments: Any, **words: Any) -> None:
        super().__init__(*arguments, **words)
        self._derived: dict[bytes, bytes] = {}

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        key = self.secret_keys[-1] if secret_key is None else want_bytes(secret_key)
        if key not in self._derived:
            self._derived[key] = super().derive_key(key)
        return self._derived[key]

    @cached_property
    def newest_key(self) -> bytes:
        return self.derive_key()


class _Serializer(URLSafeSerializer):
    """As itsdangerous's, with one signer for all tokens, and without trying to compress what is too short for it."""

    default_signer = _Signer

    @cached_property
    def _only_signer(self) -> _Signer:
        return self._new_signer(None)

    def dumps(self, obj: Any, salt: str | bytes | None = None) -> str:
        """As itsdangerous's, without its way through five methods for each of a message's tokens."""
        signer = self.make_signer(salt)
        packed = _Packed.dumps(obj)
        payload = _url_safe(packed) if len(packed) <= SHORTEST_TO_COMPRESS else self.dump_payload(obj)
        signature = signer.algorithm.get_signature(signer.newest_key, payload)
        return (payload + signer.sep + _url_safe(signature)).decode()

    def make_signer(self, salt: str | bytes | None = None) -> _Signer:
        return self._only_signer if salt is None else self._new_signer(salt)

    def _new_signer(self, salt: str | bytes | None) -> _Signer:
        signer = super().make_signer(salt)
        assert isinstance(signer, _Signer)
        return signer


def _url_safe(content: bytes) -> bytes:
    """As itsdangerous's `base64_encode`, in half the time: every message holds three tokens of two parts."""
    return binascii.b2a_base64(content, newline=False).translate(_TO_URL_SAFE, b"=")


class _Packed:
    """A list of texts as few bytes, ids and hashes in binary: a link has to fit into a text message."""

    @staticmethod
    def dumps(parts: Sequence[str], **_: Any) -> bytes:
        return b"".join(map(_pack, parts))

    @staticmethod
    def loads(packed: bytes, **_: Any) -> list[str]:
        parts = []
        rest = packed
        while rest:
            part, rest = _unpack(rest)
            parts.append(part)
        return parts


@lru_cache(maxsize=256)
def _pack(part: str) -> bytes:
    """Remembered because a message's tokens share its id, and all those of a campaign the channel and the topic."""
    if len(part) == 36 and _UUID.fullmatch(part):
        return b"u" + bytes.fromhex(part.replace("-", ""))
    if len(part) == 64 and _SHA256.fullmatch(part):
        return b"h" + bytes.fromhex(part)
    text = part.encode()
    return b"t" + len(text).to_bytes(2, "big") + text


def _unpack(packed: bytes) -> tuple[str, bytes]:
    kind, rest = packed[:1], packed[1:]
    if kind == b"u" and len(rest) >= 16:
        return str(uuid.UUID(bytes=rest[:16])), rest[16:]
    if kind == b"h" and len(rest) >= 32:
        return rest[:32].hex(), rest[32:]
    length = int.from_bytes(rest[:2], "big") + 2
    if kind == b"t" and len(rest) >= length >= 2:
        return rest[2:length].decode(), rest[length:]
    raise ValueError("not packed by us")


def _serializer(keys: Sequence[str], salt: str) -> _Serializer:
    return _Serializer(
        list(keys),
        salt=salt,
        serializer=_Packed,
        signer_kwargs={"algorithm": _ShortHmac(), "digest_method": hashlib.sha256, "key_derivation": "hmac"},
    )


def _read(serializer: _Serializer, token: str, length: int) -> list[str]:
    try:
        content: Any = serializer.loads(token)
    except (BadData, ValueError) as error:
        raise BadToken("the token is not one of ours") from error
    if not isinstance(content, list) or len(content) != length or not all(isinstance(part, str) for part in content):
        raise BadToken("the token does not hold what it should")
    return content
