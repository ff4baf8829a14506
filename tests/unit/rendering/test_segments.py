"""What a text costs, against 3GPP TS 23.038 and the vectors of the provider's own calculator."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.rendering.segments import (
    GSM_BASIC,
    GSM_EXTENSION,
    SMART_ENCODING,
    Encoding,
    SmsSize,
    fit_to_gsm7,
    is_gsm7,
    measure,
    smart_encode,
)

VECTORS = Path(__file__).parents[3].parent / "shared" / "vectors"
GSM, UCS = Encoding.GSM_7, Encoding.UCS_2


def test_alphabet_sizes() -> None:
    assert len(GSM_BASIC) == 127  # 128 with the escape
    assert len(GSM_EXTENSION) == 10
    assert not GSM_BASIC & GSM_EXTENSION


@pytest.mark.parametrize(
    ("body", "encoding", "units", "segments"),
    [
        ("", GSM, 0, 0),
        ("a" * 160, GSM, 160, 1),
        ("a" * 161, GSM, 161, 2),
        ("a" * 306, GSM, 306, 2),
        ("a" * 307, GSM, 307, 3),
        # extension characters take two septets, and an escape pair is not split over two segments
        ("€" * 80, GSM, 160, 1),
        ("€" * 81, GSM, 162, 2),
        ("a" * 152 + "€" + "a" * 10, GSM, 164, 2),
        ("a" * 152 + "€" + "a" * 152, GSM, 306, 3),
        ("ñ", GSM, 1, 1),
        # one foreign character turns the whole text
        *((character, UCS, 1, 1) for character in "çáê`\t’—…\xa0"),
        ("a" * 70 + "ç", UCS, 71, 2),
        # beyond the basic plane: two units, never split
        ("😜" * 35, UCS, 70, 1),
        ("😜" * 36, UCS, 72, 2),
        ("a" * 66 + "😜" + "a" * 10, UCS, 78, 2),
        ("a" * 66 + "😜" + "a" * 66, UCS, 134, 3),
    ],
)
def test_known_sizes(body: str, encoding: Encoding, units: int, segments: int) -> None:
    assert measure(body) == SmsSize(encoding, units, segments)


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not here")
def test_the_providers_calculator_agrees() -> None:
    cases = json.loads((VECTORS / "sms_segments.json").read_text())
    assert len(cases) > 40
    for case in cases:
        size = measure(case["body"])
        assert (size.encoding, size.segments) == (case["encoding"], case["segments"]), case["name"]


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not here")
def test_smart_encoding_is_the_providers_but_for_spaces_and_angle_quotes() -> None:
    theirs = json.loads((VECTORS / "sms_smart_encoding_map.json").read_text())
    assert set(SMART_ENCODING) == set(theirs)
    different = {character for character, replacement in theirs.items() if SMART_ENCODING[character] != replacement}
    assert different - {"‹", "›"} == {character for character in different if theirs[character].isspace()} != set()
    assert (SMART_ENCODING["‹"], SMART_ENCODING["›"]) == ("<", ">")


@given(st.text(st.sampled_from("aZ é€[]{}~^ñ…’\n"), max_size=500))
def test_segments_hold_every_unit_and_no_more_than_needed(body: str) -> None:
    size = measure(body)
    single, joined = (160, 153) if size.encoding is GSM else (70, 67)
    assert (size.segments <= 1) == (size.units <= single)
    if size.segments > 1:
        assert size.segments * joined >= size.units
        assert size.units > (size.segments - 1) * (joined - 1)  # each segment but the last loses one unit at most


@given(st.text(max_size=60))
def test_smart_encoding_twice_changes_nothing_more(text: str) -> None:
    once = smart_encode(text)
    assert smart_encode(once) == once
    if is_gsm7(unicodedata.normalize("NFC", text)) and "\r" not in text:
        assert once == unicodedata.normalize("NFC", text)


@given(st.text(max_size=30))
def test_fitted_text_is_gsm7_or_nothing(text: str) -> None:
    fitted = fit_to_gsm7(text)
    assert fitted is None or is_gsm7(fitted)


@pytest.mark.parametrize(
    ("text", "fitted"),
    [
        ("Ada", "Ada"),
        ("José", "José"),  # é is in GSM-7
        ("Jose\u0301", "José"),  # composed first
        ("Nun\u0303ez", "Nuñez"),  # and so not "Nun~ez"
        ("François", "Francois"),
        ("Łukasz", "Lukasz"),
        ("Đặng", "Dang"),
        ("O’Brien", "O'Brien"),
        ("Œuvre", "Oeuvre"),
        ("Straße", "Straße"),
        ("田中", None),
        ("Олена", None),
        ("😜", None),
    ],
)
def test_names_in_gsm7(text: str, fitted: str | None) -> None:
    assert fit_to_gsm7(text) == fitted
