"""The key pair that signs the Event Webhook, as SendGrid signs it: ECDSA on P-256."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rekindle.errors import ConfigurationError


def generate_signing_key() -> ec.EllipticCurvePrivateKey:
    """A new P-256 private key."""
    return ec.generate_private_key(ec.SECP256R1())


def load_signing_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The P-256 private key in the PEM file `path`."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{path} is not a readable PEM private key ({error}); remove it to have a new one made"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigurationError(f"{path} holds no P-256 private key; remove it to have a new one made")
    return key


def load_or_create_signing_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The key in `path`, readable by its owner only; made and written there when the file does not exist."""
    if path.exists():
        return load_signing_key(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    key = generate_signing_key()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        # Linking fails when the name is taken: of two processes that start together, one key wins and both read it.
        path.hardlink_to(beside)
    except FileExistsError:
        return load_signing_key(path)
    finally:
        beside.unlink(missing_ok=True)
    return key


def public_key_base64(key: ec.EllipticCurvePrivateKey) -> str:
    """The public half as SendGrid shows it: base64 of the DER SubjectPublicKeyInfo."""
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()
