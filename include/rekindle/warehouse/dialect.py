"""Where the engines differ, in one object each. SQL files use these names and stay the same for all of them.

Values are bound as `$name`; identifiers and the expressions below are rendered by Jinja. A contract test proves that
the ids and hashes equal those of `rekindle.identity`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

from rekindle.identity import NAMESPACE

_PARAMETER = re.compile(r"\$([a-z_][a-z0-9_]*)")

_VARIANT_NIBBLES = "89ab" * 4  # RFC 9562 §4.1: the two top bits of this nibble are 10


class Kind(Enum):
    """What a bound value is: BigQuery must be told, above all for a null."""

    TEXT = "text"
    INSTANT = "timestamp"
    DATE = "date"
    INTEGER = "bigint"
    NUMBER = "float"
    BOOLEAN = "boolean"


#: A value's kind shows in its name, for every engine the same; the first rule that holds counts.
_KINDS = (
    (Kind.INSTANT, re.compile(r"(as_of|now|since|until)|.*_(at|since|before|after|until)")),
    (Kind.DATE, re.compile(r"(.*_)?(date|on)")),
    (Kind.NUMBER, re.compile(r".*_share|audience_.*_number")),
    (Kind.BOOLEAN, re.compile(r"(is|has|any)_.*")),
    (Kind.INTEGER, re.compile(r"at_most|attempts|minute|priority")),
    (Kind.INTEGER, re.compile(r".*_(seconds|messages|size|number|count|rank|days|limit)")),
)


#: What a campaign's file compares with has no name of its own (`case_0_1`), but is never null.
_OF_VALUES = (
    (bool, Kind.BOOLEAN),
    (int, Kind.INTEGER),
    (float, Kind.NUMBER),
    (datetime, Kind.INSTANT),
    (date, Kind.DATE),
)


def kind_of(parameter: str, value: object = None) -> Kind:
    """The kind of the bound value of this name; what no rule names is of the value's own kind, a null is text."""
    named = next((kind for kind, names in _KINDS if names.fullmatch(parameter)), None)
    return named or next((kind for python, kind in _OF_VALUES if isinstance(value, python)), Kind.TEXT)


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
    days_between: str  # {start}, {end}: days with their fraction
    instant_text: str  # 2026-01-12 18:00:00, with as many digits of a second as there are
    position: str  # of {part} in {whole}, counted from 1; 0 when it is not there
    columns_of_schema: str  # what follows "from", to list the columns of the tables of {schema}, in lower case
    tables_of_schema: str  # what follows "from", to count the tables of {schema}
    clustered: str = ""  # after a table's columns; {columns}
    partitioned: str = ""  # after a table's columns; {column}, by its month

    def bind(self, sql: str) -> str:
        """Rewrite `$name` to the engine's own parameter marker."""
        return _PARAMETER.sub(lambda match: self.parameter.format(name=match[1]), sql)

    @staticmethod
    def parameters(sql: str) -> list[str]:
        """The names of the bound values in the order they are written in, each as often as it is."""
        return _PARAMETER.findall(sql)

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
            "days_between": lambda start, end: self.days_between.format(start=start, end=end),
            "instant_text": lambda instant: self.instant_text.format(instant=instant),
            "tenths_text": self._tenths_text,
            "position": lambda part, whole: self.position.format(part=part, whole=whole),
            "columns_of_schema": lambda schema: self.columns_of_schema.format(schema=schema),
            "tables_of_schema": lambda schema: self.tables_of_schema.format(schema=schema),
            "stored_by": self._stored_by,
        }

    def _stored_by(self, columns: Sequence[str], month_of: str | None = None) -> str:
        """How a large table lies on the disk, where that is said at its creation: nothing on DuckDB and Snowflake."""
        partitioned = self.partitioned.format(column=month_of) if month_of else ""
        return partitioned + self.clustered.format(columns=", ".join(columns))

    def _stable_id_digest(self, *parts: str) -> str:
        joined = " || '|' || ".join(parts)
        return self.sha1_hex_of_namespaced.format(namespace=NAMESPACE.hex, expression=joined)

    def _uuid_of_digest(self, digest: str) -> str:
        nibble = self.position.format(part=f"substr({digest}, 17, 1)", whole="'0123456789abcdef'")
        variant = f"substr('{_VARIANT_NIBBLES}', {nibble}, 1)"
        return (
            f"substr({digest}, 1, 8) || '-' || substr({digest}, 9, 4) || '-5' || substr({digest}, 14, 3)"
            f" || '-' || {variant} || substr({digest}, 18, 3) || '-' || substr({digest}, 21, 12)"
        )

    def _tenths_text(self, number: str) -> str:
        """The text of a number that is not negative, rounded to one digit: a float's own text is 62.0 or 62."""
        tenths = f"cast(round({number} * 10) as {self.bigint})"
        whole = f"cast(floor({tenths} / 10) as {self.bigint})"
        return f"cast({whole} as {self.text}) || '.' || cast(mod({tenths}, 10) as {self.text})"

    def _hash_fraction(self, expression: str) -> str:
        """A number in [0, 1) that depends on nothing but the text: the salted draw of the holdout."""
        digits = f"substr({self.sha256_hex.format(expression=expression)}, 1, 8)"
        # as a float: Snowflake divides exact numbers to six decimals, and would draw others at the edge
        return f"(cast({self.hex_to_integer.format(digits=digits)} as {self.float_type}) / 4294967296)"


_COLUMNS_OF_SCHEMA = "(select * from information_schema.columns where lower(table_schema) = '{schema}') as columns"

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
    days_between="(date_diff('second', {start}, {end}) / 86400.0)",
    instant_text="cast({instant} as varchar)",
    position="strpos({whole}, {part})",
    columns_of_schema=_COLUMNS_OF_SCHEMA,
    tables_of_schema="information_schema.tables where table_schema = '{schema}'",
)

#: https://cloud.google.com/bigquery/docs/reference/standard-sql/functions-all
BIGQUERY = Dialect(
    name="bigquery",
    text="string",
    timestamp="timestamp",
    float_type="float64",
    bigint="int64",
    parameter="@{name}",
    sha1_hex_of_namespaced="to_hex(sha1(from_hex('{namespace}') || cast({expression} as bytes)))",
    sha256_hex="to_hex(sha256({expression}))",
    hex_to_integer="cast('0x' || {digits} as int64)",
    add_seconds="timestamp_add({instant}, interval {seconds} second)",
    days_between="(timestamp_diff({end}, {start}, second) / 86400)",
    instant_text="rtrim(rtrim(format_timestamp('%F %H:%M:%E6S', {instant}, 'UTC'), '0'), '.')",
    position="strpos({whole}, {part})",
    columns_of_schema="{schema}.INFORMATION_SCHEMA.COLUMNS",
    tables_of_schema="{schema}.INFORMATION_SCHEMA.TABLES",
    clustered="\ncluster by {columns}",
    partitioned="\npartition by timestamp_trunc({column}, month)",
)

#: https://docs.snowflake.com/en/sql-reference/functions-all. Instants are UTC without a zone, as dbt's own models.
SNOWFLAKE = Dialect(
    name="snowflake",
    text="varchar",
    timestamp="timestamp_ntz",
    float_type="float",
    bigint="bigint",
    parameter="?",
    sha1_hex_of_namespaced="sha1(to_binary('{namespace}', 'HEX') || to_binary({expression}, 'UTF-8'))",
    sha256_hex="sha2({expression}, 256)",
    hex_to_integer="to_number({digits}, 'XXXXXXXX')",
    add_seconds="dateadd('second', {seconds}, {instant})",
    # in microseconds: whole seconds would be counted by the boundaries crossed
    days_between="(cast(datediff('microsecond', {start}, {end}) as float) / 86400000000)",
    instant_text="rtrim(rtrim(to_varchar(cast({instant} as timestamp_ntz), 'YYYY-MM-DD HH24:MI:SS.FF6'), '0'), '.')",
    position="charindex({part}, {whole})",
    columns_of_schema=_COLUMNS_OF_SCHEMA,
    tables_of_schema="information_schema.tables where table_schema = upper('{schema}')",
)

DIALECTS = (DUCKDB, BIGQUERY, SNOWFLAKE)
