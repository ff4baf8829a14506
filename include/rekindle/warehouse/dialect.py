"""Where the engines differ, in one object each. SQL files use these names and stay the same for all of them.

Values are bound as `$name`; identifiers and the expressions below are rendered by Jinja. A contract test proves that
the ids and hashes equal those of `rekindle.identity`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from rekindle.identity import NAMESPACE

_PARAMETER = re.compile(r"\$([a-z_][a-z0-9_]*)")

_VARIANT_NIBBLES = "89ab" * 4  # RFC 9562 §4.1: the two top bits of this nibble are 10


@dataclass(frozen=True)
class Dialect:
    """One engine's spelling of what standard SQL leaves open."""

    name: str
    text: str
    timestamp: str
    float_type: str
    bigint: str
    parameter: str  # how a bound value is written, {name} replaced
    sha1_hex_of_namespaced: str  # {namespace} hex digits, {expression} text
    sha256_hex: str
    hex_to_integer: str  # eight hex digits to a number
    add_seconds: str

    def bind(self, sql: str) -> str:
        """Rewrite `$name` to the engine's own parameter marker."""
        return _PARAMETER.sub(lambda match: self.parameter.format(name=match[1]), sql)

    def context(self) -> dict[str, str | Callable[..., str]]:
        """The names that SQL files and migrations may use."""
        return {
            "raw": "rekindle_raw",
            "state": "rekindle_state",
            "seeds": "rekindle_seeds",
            "activation": "rekindle_activation",
            "marts": "rekindle_marts",
            "text": self.text,
            "timestamp": self.timestamp,
            "float": self.float_type,
            "bigint": self.bigint,
            "stable_id_digest": self._stable_id_digest,
            "uuid_of_digest": self._uuid_of_digest,
            "hash_fraction": self._hash_fraction,
            "add_seconds": lambda instant, seconds: self.add_seconds.format(instant=instant, seconds=seconds),
        }

    def _stable_id_digest(self, *parts: str) -> str:
        joined = " || '|' || ".join(parts)
        return self.sha1_hex_of_namespaced.format(namespace=NAMESPACE.hex, expression=joined)

    @staticmethod
    def _uuid_of_digest(digest: str) -> str:
        variant = f"substr('{_VARIANT_NIBBLES}', {{position}}, 1)".format(
            position=f"strpos('0123456789abcdef', substr({digest}, 17, 1))"
        )
        return (
            f"substr({digest}, 1, 8) || '-' || substr({digest}, 9, 4) || '-5' || substr({digest}, 14, 3)"
            f" || '-' || {variant} || substr({digest}, 18, 3) || '-' || substr({digest}, 21, 12)"
        )

    def _hash_fraction(self, expression: str) -> str:
        """A number in [0, 1) that depends on nothing but the text: the salted draw of the holdout."""
        digits = f"substr({self.sha256_hex.format(expression=expression)}, 1, 8)"
        return f"({self.hex_to_integer.format(digits=digits)} / 4294967296.0)"


DUCKDB = Dialect(
    name="duckdb",
    text="varchar",
    timestamp="timestamp",
    float_type="double",
    bigint="bigint",
    parameter="${name}",
    sha1_hex_of_namespaced="sha1(unhex('{namespace}') || encode({expression}))",
    sha256_hex="sha256({expression})",
    hex_to_integer="cast('0x' || {digits} as bigint)",
    add_seconds="({instant} + to_seconds({seconds}))",
)
