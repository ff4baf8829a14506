"""The smallest words of a campaign file, and how all of its parts are read: what is wrong is said in our words."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from rekindle.campaigns.durations import PATTERN as DURATION_PATTERN
from rekindle.campaigns.durations import format_duration, parse_duration

#: The type of every error raised by the validators below; its context holds `message`, `advice` and perhaps `word`.
OWN_ERROR = "campaign"


def wrong(message: str, advice: str, word: str = "") -> PydanticCustomError:
    """An error in our words. `word` is the key the author wrote, if the line of the error is that key's line."""
    return PydanticCustomError(OWN_ERROR, "{message}", {"message": message, "advice": advice, "word": word})


def text_like(pattern: str, what: str, example: str) -> Callable[[Any], Any]:
    compiled = re.compile(pattern)

    def check(value: Any) -> Any:
        if isinstance(value, str) and not compiled.fullmatch(value):
            raise wrong(f"`{value}` is not {what}", f"Write it like `{example}`.")
        return value

    return check


def parsed_by(parse: Callable[[str], Any], example: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        try:
            return parse(value if isinstance(value, str) else str(value).lower())
        except ValueError as error:
            raise wrong(f"`{value}` can not be read: {error}", f"Write for example `{example}`.") from None

    return check


Text: TypeAlias = Annotated[str, Field(min_length=1)]
WholeNumber: TypeAlias = Annotated[int, Strict()]
Identifier: TypeAlias = Annotated[
    str,
    BeforeValidator(text_like(r"[a-z][a-z0-9_]{0,62}", "an id (lower-case letters, digits and _)", "first_email")),
    Field(json_schema_extra={"pattern": "^[a-z][a-z0-9_]{0,62}$"}),
]
Duration: TypeAlias = Annotated[
    timedelta,
    PlainValidator(parsed_by(parse_duration, "72h")),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["72h", "7d"]}),
]


class Definition(BaseModel):
    """Base of all parts of a campaign file: unknown words are errors, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, use_attribute_docstrings=True)
