"""The gate for Snowflake: sqlfluff's grammar and a list of functions.

There is no analyzer of Snowflake's to be had, so names and types are not checked; see `docs/dialects.md`.
"""

from __future__ import annotations

from sqlfluff.core import Linter

#: Functions that Snowflake has under this name and that mean there what we use them for, one line per family:
#: https://docs.snowflake.com/en/sql-reference/functions-all
_FUNCTIONS = """
    any_value array_agg avg boolor_agg booland_agg count count_if listagg max max_by min min_by sum
    first_value lag last_value lead ntile rank dense_rank row_number
    abs ceil exp floor ln log mod power round sqrt
    coalesce greatest iff ifnull least nullif nvl zeroifnull
    cast try_cast to_binary to_boolean to_date to_number to_timestamp to_timestamp_ntz to_varchar try_to_number
    charindex chr concat length lower ltrim position regexp_like regexp_replace regexp_substr repeat replace rtrim
    split_part startswith substr substring translate trim upper contains endswith left right
    md5 sha1 sha2 hash
    date_trunc dateadd datediff date_part dayofweekiso extract last_day
    convert_timezone current_timestamp sysdate
    array_size array_contains flatten get get_path object_construct object_construct_keep_null parse_json table
    to_json to_variant try_parse_json json_extract_path_text
    generator seq4 uniform
"""
KNOWN_FUNCTIONS = frozenset(_FUNCTIONS.split())


class SnowflakeSql:
    """The parser, kept: building it takes longer than a statement."""

    def __init__(self) -> None:
        self._linter = Linter(dialect="snowflake")

    def refusal(self, sql: str) -> str | None:
        """What is wrong with this statement or script, or None."""
        parsed = self._linter.parse_string(sql)
        if parsed.violations:
            return "; ".join(violation.desc() for violation in parsed.violations)
        if parsed.tree is None:
            return "nothing in it"
        named = {function.raw.lower() for function in parsed.tree.recursive_crawl("function_name")}
        unknown = sorted(named - KNOWN_FUNCTIONS)
        return f"not known to be a function of Snowflake: {', '.join(unknown)}" if unknown else None
