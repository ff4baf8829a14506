"""Takes a JSON array apart, element by element, each with its own text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

_BLANKS = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Broken:
    """Stands for text that is not JSON."""

    reason: str


def _refuse_constant(constant: str) -> NoReturn:
    # NaN and Infinity are Python's own; the warehouses refuse a JSON text that holds them.
    raise ValueError(constant)


#: Strict JSON: without `NaN` and `Infinity`.
DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_LENIENT_DECODER = json.JSONDecoder()

#: Three times as fast as the standard library, and strict; but all or nothing.
_RAW_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_ELEMENT = msgspec.json.Decoder()

_NOT_JSON = "the body is not valid JSON from here on"


def split_array(text: str) -> Iterator[tuple[int, Any, str]]:
    """Yield (number from 1, element, its verbatim text); a single object counts as an array of one.

    An element that can not be read is a `Broken`; if the text can not be followed any further, one `Broken` holds all
    of the rest. The elements before it live. Number 0 means that the text as a whole is not an array of elements.
    """
    faultless = _split_faultless(text)
    if faultless:
        yield from faultless
        return
    start = _skip(text, 0)
    if text[start : start + 1] == "{":
        yield from _elements(text, start, closed_by="")
    elif text[start : start + 1] != "[":
        yield 0, Broken("the body is not a JSON array" if start < len(text) else "the body is empty"), text
    elif text[_skip(text, start + 1) :].rstrip(" \t\r\n") == "]":
        yield 0, Broken("the array is empty"), text
    else:
        yield from _elements(text, start + 1, closed_by="]")


def _split_faultless(text: str) -> list[tuple[int, Any, str]]:
    """All elements of an array in which nothing is wrong; nothing, if something is or it is no array."""
    try:
        raws = _RAW_ARRAY.decode(text)
        return [(number, _ELEMENT.decode(raw), bytes(raw).decode()) for number, raw in enumerate(raws, start=1)]
    except (ValueError, RecursionError):
        return []


def _elements(text: str, position: int, closed_by: str) -> Iterator[tuple[int, Any, str]]:
    number = 0
    while True:
        number += 1
        position = _skip(text, position)
        try:
            element, end = _read(text, position)
        except (ValueError, RecursionError):
            yield number, Broken(_NOT_JSON), text[position:]
            return
        yield number, element, text[position:end]
        position = _skip(text, end)
        if closed_by and text[position : position + 1] == ",":
            position += 1
            continue
        if text[position:].rstrip(" \t\r\n") != closed_by:
            yield number + 1, Broken(_NOT_JSON), text[position:]
        return


def _read(text: str, position: int) -> tuple[Any, int]:
    try:
        return DECODER.raw_decode(text, position)
    except ValueError:
        _, end = _LENIENT_DECODER.raw_decode(text, position)
        return Broken("the element holds NaN or Infinity"), end


def _skip(text: str, position: int) -> int:
    match = _BLANKS.match(text, position)
    return match.end() if match else position
