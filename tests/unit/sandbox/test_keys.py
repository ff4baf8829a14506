"""The signing key: made once, kept private, refused when it is something else."""

from __future__ import annotations

import base64
import stat

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rekindle.errors import ConfigurationError
from rekindle.sandbox.keys import generate_signing_key, load_or_create_signing_key, load_signing_key, public_key_base64


def test_is_made_once_and_readable_by_its_owner_only(tmp_path):
    path = tmp_path / "deep" / "key.pem"
    first = load_or_create_signing_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert public_key_base64(load_or_create_signing_key(path)) == public_key_base64(first)
    assert [file.name for file in path.parent.iterdir()] == ["key.pem"]


def test_the_public_half_checks_what_the_private_half_signs():
    key = generate_signing_key()
    public = serialization.load_der_public_key(base64.b64decode(public_key_base64(key)))
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(key.sign(b"x", ec.ECDSA(hashes.SHA256())), b"x", ec.ECDSA(hashes.SHA256()))
    assert public.curve.name == "secp256r1"


def test_refuses_what_is_no_p256_key(tmp_path):
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("nonsense")
    other = tmp_path / "other.pem"
    other.write_bytes(
        ec.generate_private_key(ec.SECP384R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    for path in (garbage, other):
        with pytest.raises(ConfigurationError, match="remove it"):
            load_or_create_signing_key(path)
    with pytest.raises(ConfigurationError):
        load_signing_key(tmp_path / "missing.pem")
