"""Conditions in SQL: one boolean expression on the columns of a lead's context, read by a grammar of our own.

    either     := both (or both)*
    both       := negation (and negation)*
    negation   := not negation | ( either ) | comparison
    comparison := operand ( = <> != < <= > >= ) operand | operand is [not] null
                | operand [not] in ( operand, … ) | operand [not] between operand and operand | operand [not] like text
    operand    := column | text | [-] number | date text

What may stand there is listed, not what may not: there is no function, no sub-select, no comment and no second
statement, and what is read can be run on every engine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from rekindle.campaigns.findings import did_you_mean

LONGEST = 300  # characters: what is longer belongs into a model

_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|([0-9]+(?:\.[0-9]+)?)|([A-Za-z_][A-Za-z0-9_]*)|(<=|>=|<>|!=|[=<>(),-]))")
_KEYWORDS = frozenset({"and", "or", "not", "is", "null", "in", "between", "like", "date"})
_COMPARISONS = ("=", "<>", "!=", "<", "<=", ">", ">=")
#: How signs are told to a statement, which takes words only.
_SPELLED = {
    "=": "equals",
    "<>": "differs",
    "!=": "differs",
    "<": "below",
    "<=": "at_most",
    ">": "above",
    ">=": "at_least",
    "(": "open",
    ")": "close",
    ",": "comma",
}


@dataclass(frozen=True, slots=True)
class SqlTerms:
    """A condition as a statement renders it: keywords, `column.<name>` and `value.<number>`, and the values to bind."""

    words: tuple[str, ...]
    values: tuple[str | float | date, ...]


def read_sql_condition(text: str, columns: Mapping[str, str]) -> SqlTerms:
    """Read one condition. `columns` says what each column holds: text, date or number.

    Raises `ValueError` saying what is wrong.
    """
    return _Reader(text, columns).read()


class _Reader:
    def __init__(self, text: str, columns: Mapping[str, str]) -> None:
        if len(text) > LONGEST:
            raise ValueError(f"it has {len(text)} characters and may have {LONGEST}: make a column of it in dbt")
        self._columns = columns
        self._tokens = _tokens(text)
        self._place = 0
        self._words: list[str] = []
        self._values: list[str | float | date] = []

    def read(self) -> SqlTerms:
        self._either()
        if self._next is not None:
            raise ValueError(f"`{self._next}` is one word too many")
        if not any(word.startswith("column.") for word in self._words):
            raise ValueError("it names no field of the lead")
        return SqlTerms(tuple(self._words), tuple(self._values))

    @property
    def _next(self) -> str | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def _take(self, *wanted: str) -> bool:
        token = self._next
        if token is None or token not in wanted:
            return False
        self._place += 1
        self._words.append(_SPELLED.get(token, token))
        return True

    def _need(self, wanted: str) -> None:
        if not self._take(wanted):
            raise ValueError(f"`{wanted}` is missing" + (f" before `{self._next}`" if self._next else " at the end"))

    def _either(self) -> None:
        self._both()
        while self._take("or"):
            self._both()

    def _both(self) -> None:
        self._negation()
        while self._take("and"):
            self._negation()

    def _negation(self) -> None:
        if self._take("not"):
            self._negation()
        elif self._take("("):
            self._either()
            self._need(")")
        else:
            self._comparison()

    def _comparison(self) -> None:
        kind = self._operand()
        if self._take(*_COMPARISONS):
            self._operand(kind)
        elif self._take("is"):
            self._take("not")
            self._need("null")
        else:
            self._take("not")
            if self._take("in"):
                self._need("(")
                self._operand(kind)
                while self._take(","):
                    self._operand(kind)
                self._need(")")
            elif self._take("between"):
                self._operand(kind)
                self._need("and")
                self._operand(kind)
            elif self._take("like"):
                if kind != "text":
                    raise ValueError(f"`like` compares texts, not a {kind}")
                self._operand(kind)
            else:
                raise ValueError("something is compared with nothing")

    def _operand(self, wanted: str | None = None) -> str:
        """Read a column or a value; answers what it is."""
        kind = self._column_or_value()
        if wanted is not None and kind != wanted:
            raise ValueError(f"a {wanted} is compared with a {kind}")
        return kind

    def _column_or_value(self) -> str:
        token = self._step()
        if token == "-" or token[0].isdigit():  # noqa: S105 - a minus, not a password
            number = self._step() if token == "-" else token  # noqa: S105
            if not number[0].isdigit():
                raise ValueError("a minus stands before a number only")
            return self._value(-float(number) if number != token else float(number), "number")
        if token == "date":  # noqa: S105
            return self._value(_date(self._step()), "date")
        if token.startswith("'"):
            return self._value(token[1:-1].replace("''", "'"), "text")
        if token in self._columns:
            self._words.append(f"column.{token}")
            return self._columns[token]
        if token in _KEYWORDS or not (token[0].isalpha() or token[0] == "_"):
            raise ValueError(f"`{token}` stands where a field or a value must be")
        raise ValueError(f"no lead has a field `{token}`. {did_you_mean(token, self._columns)}")

    def _step(self) -> str:
        token = self._next
        if token is None:
            raise ValueError("the condition ends too early")
        self._place += 1
        return token

    def _value(self, value: str | float | date, kind: str) -> str:
        self._words.append(f"value.{len(self._values)}")
        self._values.append(value)
        return kind


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    place, rest = 0, text.rstrip()
    while place < len(rest):
        match = _TOKEN.match(rest, place)
        if match is None:
            raise ValueError(f"`{rest[place : place + 12].strip()}` can not stand in a condition")
        literal, number, word, sign = match.groups()
        found.append(literal or number or sign or word.lower())
        place = match.end()
    return found


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text.strip("'"))
    except ValueError:
        raise ValueError(f"{text} is not a date like '2026-12-24'") from None
