"""Tokens carry what they should, to the purpose they were made for, and nothing else reads."""

from __future__ import annotations

import hmac
import string
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import date
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.errors import ConfigurationError
from rekindle.identity import address_hash
from rekindle.tokens import (
    CLICK_SALT,
    CONFIRM_SALT,
    UNSUBSCRIBE_SALT,
    BadToken,
    ClickToken,
    ConfirmToken,
    PreferencesToken,
    TokenSigner,
    UnsubscribeToken,
    destination_fault,
)

MESSAGE_ID = "0d8d3c0e-2f52-5c38-9c0b-0a2f1f6d2b11"
DESTINATION = "https://shop.example.com/back?from=mail&x=1;2#top"
HASH = address_hash("ada@example.com")
SIGNER = TokenSigner(["only-key"])


def test_click_token_comes_back_as_it_was() -> None:
    assert SIGNER.read_click(SIGNER.click(MESSAGE_ID, DESTINATION)) == ClickToken(MESSAGE_ID, DESTINATION)


def test_unsubscribe_token_comes_back_as_it_was() -> None:
    token = SIGNER.unsubscribe(MESSAGE_ID, HASH, "email", "marketing")
    assert SIGNER.read_unsubscribe(token) == UnsubscribeToken(MESSAGE_ID, HASH, "email", "marketing")


def test_tokens_are_fit_for_a_url_and_the_same_every_time() -> None:
    token = SIGNER.click(MESSAGE_ID, DESTINATION)
    assert set(token) <= set(string.ascii_letters + string.digits + "-_.")
    assert token == TokenSigner(["only-key"]).click(MESSAGE_ID, DESTINATION)


def test_no_address_is_in_an_unsubscribe_token() -> None:
    token = SIGNER.unsubscribe(MESSAGE_ID, HASH, "email", "marketing")
    content = urlsafe_b64decode(token.partition(".")[0].lstrip("-") + "===")
    assert b"ada" not in content and b"example" not in content
    assert bytes.fromhex(HASH) in content


def test_a_click_link_leaves_room_in_a_text_message() -> None:
    # lint counts with links of 110 characters, the receiver's own address included
    assert len(SIGNER.click(MESSAGE_ID, "https://shop.example.com/back")) <= 90


def test_a_click_token_never_unsubscribes_and_the_other_way_round() -> None:
    with pytest.raises(BadToken):
        SIGNER.read_unsubscribe(SIGNER.click(MESSAGE_ID, DESTINATION))
    with pytest.raises(BadToken):
        SIGNER.read_click(SIGNER.unsubscribe(MESSAGE_ID, HASH, "email", "marketing"))


CONFIRM = ConfirmToken(MESSAGE_ID, HASH, "email", "marketing,tips", "2026-01", date(2026, 3, 1))


def test_the_other_tokens_come_back_as_they_were() -> None:
    preferences = SIGNER.preferences(MESSAGE_ID, HASH, "sms", "marketing")
    assert SIGNER.read_preferences(preferences) == PreferencesToken(MESSAGE_ID, HASH, "sms", "marketing")
    assert SIGNER.read_confirm(SIGNER.confirm(CONFIRM)) == CONFIRM


def test_a_token_serves_no_other_purpose() -> None:
    # The first two hold the very same words; the salt is what keeps them apart
    made = {
        "unsubscribe": SIGNER.unsubscribe(MESSAGE_ID, HASH, "email", "marketing"),
        "preferences": SIGNER.preferences(MESSAGE_ID, HASH, "email", "marketing"),
        "click": SIGNER.click(MESSAGE_ID, DESTINATION),
        "confirm": SIGNER.confirm(CONFIRM),
    }
    for purpose, other in permutations(made, 2):
        with pytest.raises(BadToken):
            getattr(SIGNER, f"read_{purpose}")(made[other])


@pytest.mark.parametrize("day", ["", "tomorrow", "2026-02-30", "20260301T00"])
def test_a_confirmation_without_a_day_is_none(day: str) -> None:
    with pytest.raises(BadToken):
        SIGNER.read_confirm(signed(packed("o", "h", "email", "tips", "1", day), CONFIRM_SALT))


def test_keys_rotate() -> None:
    # Given a token made with the old key
    old = TokenSigner(["old"]).click(MESSAGE_ID, DESTINATION)
    both = TokenSigner(["old", "new"])
    # Then the pair still reads it, and signs with the newest
    assert both.read_click(old).message_id == MESSAGE_ID
    new = both.click(MESSAGE_ID, DESTINATION)
    assert TokenSigner(["new"]).read_click(new).message_id == MESSAGE_ID
    # And once the old key is gone its tokens are too
    with pytest.raises(BadToken):
        TokenSigner(["new"]).read_click(old)
    with pytest.raises(BadToken):
        TokenSigner(["old"]).read_click(new)


def test_the_signature_is_the_first_half_of_hmac_sha256() -> None:
    content, _, signature = SIGNER.click(MESSAGE_ID, DESTINATION).rpartition(".")
    key = hmac.digest(b"only-key", CLICK_SALT.encode(), "sha256")
    assert urlsafe_b64decode(signature + "==") == hmac.digest(key, content.encode(), "sha256")[:16]


@pytest.mark.parametrize("keys", [[], [""], [" ", "\n"]])
def test_no_key_is_our_mistake(keys: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="REKINDLE_TOKEN_KEYS"):
        TokenSigner(keys)


def test_blanks_around_a_key_are_not_part_of_it() -> None:
    token = TokenSigner(["old", " new\n", ""]).click(MESSAGE_ID, DESTINATION)
    assert TokenSigner(["new"]).read_click(token).message_id == MESSAGE_ID


def test_keys_from_the_environment() -> None:
    signer = TokenSigner.from_environment({"REKINDLE_TOKEN_KEYS": "old, new"})
    assert TokenSigner(["new"]).read_click(signer.click(MESSAGE_ID, DESTINATION)).message_id == MESSAGE_ID
    with pytest.raises(ConfigurationError, match="REKINDLE_TOKEN_KEYS"):
        TokenSigner.from_environment({})


def packed(*parts: str) -> bytes:
    return b"".join(b"t" + len(part.encode()).to_bytes(2, "big") + part.encode() for part in parts)


def signed(content: bytes, salt: str) -> str:
    payload = urlsafe_b64encode(content).rstrip(b"=")
    signature = hmac.digest(hmac.digest(b"only-key", salt.encode(), "sha256"), payload, "sha256")[:16]
    return (payload + b"." + urlsafe_b64encode(signature).rstrip(b"=")).decode()


NOT_DESTINATIONS = [
    "",
    "/relative",
    "//evil.example/path",
    "javascript:alert(1)",
    "data:text/html,x",
    "ftp://files.example.com",
    "https://",
    "https:///path",
    "https://shop.example.com@evil.example/",
    "https://shop.example.com\\@evil.example/",
    "https://shop.example.com/\r\nSet-Cookie: a=b",
    "https://shop.example.com/\x00",
    " https://shop.example.com/",
    "https://shop.example.com/a b",
    "https://shop.example.com:notaport/",
    "https://[::1/",
]


@pytest.mark.parametrize("destination", NOT_DESTINATIONS)
def test_only_plain_http_addresses_are_destinations(destination: str) -> None:
    assert destination_fault(destination)
    with pytest.raises(ConfigurationError):
        SIGNER.click(MESSAGE_ID, destination)


@pytest.mark.parametrize(
    "content",
    [
        *[packed(MESSAGE_ID, destination) for destination in NOT_DESTINATIONS],
        packed(MESSAGE_ID),
        packed(MESSAGE_ID, DESTINATION, "more"),
        b"",
        b"u" + bytes(15),
        b"h" + bytes(31),
        b"t",
        b"t\x00",
        b"t\x00\x05four",
        b"t\x00\x02\xff\xfe" + packed(DESTINATION),
        b"z" + packed(MESSAGE_ID, DESTINATION),
        b'["not", "packed"]',
    ],
)
def test_content_that_should_not_be_is_refused_even_with_our_signature(content: bytes) -> None:
    for salt, read in ((CLICK_SALT, SIGNER.read_click), (UNSUBSCRIBE_SALT, SIGNER.read_unsubscribe)):
        with pytest.raises(BadToken):
            read(signed(content, salt))


def test_the_attack_above_signs_as_we_do() -> None:
    assert SIGNER.read_click(signed(packed("m", DESTINATION), CLICK_SALT)) == ClickToken("m", DESTINATION)


@given(st.text())
def test_arbitrary_text_is_a_bad_token(text: str) -> None:
    with pytest.raises(BadToken):
        SIGNER.read_click(text)
    with pytest.raises(BadToken):
        SIGNER.read_unsubscribe(text)


@given(st.data())
def test_a_changed_payload_is_a_bad_token(data: st.DataObject) -> None:
    token = SIGNER.unsubscribe(MESSAGE_ID, HASH, "email", "marketing")
    position = data.draw(st.integers(0, token.rindex(".") - 1))
    letter = data.draw(st.sampled_from(string.ascii_letters).filter(lambda letter: letter != token[position]))
    with pytest.raises(BadToken):
        SIGNER.read_unsubscribe(token[:position] + letter + token[position + 1 :])
    with pytest.raises(BadToken):
        SIGNER.read_unsubscribe(token[:position])


@given(
    message_id=st.text(max_size=60).filter(lambda text: text.isprintable()), path=st.text("aZ0é雪/?&=%#;~", max_size=80)
)
def test_whatever_is_signed_comes_back(message_id: str, path: str) -> None:
    destination = f"https://shop.example.com/{path}"
    assert SIGNER.read_click(SIGNER.click(message_id, destination)) == ClickToken(message_id, destination)
