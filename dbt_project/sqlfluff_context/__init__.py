"""What sqlfluff renders templates with.

The linter sees no warehouse: `sql/` is rendered with the names that the DuckDB dialect really gives it, and
`dbt_project/` with stand-ins for what only dbt knows. Every name in this module is a name in the templates.
"""

from __future__ import annotations

from types import SimpleNamespace

from rekindle.warehouse.dialect import DUCKDB

globals().update(DUCKDB.context())


class _Functions:
    """Renders any call `name(a, b)` as the SQL text `name(a, b)`."""

    def __getattr__(self, name: str):
        return lambda *arguments, **_: f"{name}({', '.join(str(argument) for argument in arguments)})"


class _Dbt(_Functions):
    """dbt's cross-database macros: types by their name, functions as calls."""

    def __getattr__(self, name: str):
        if name.startswith("type_"):
            return lambda: name.removeprefix("type_")
        if name == "dateadd":
            return lambda part, count, instant: f"date_add({instant}, {count})"
        return super().__getattr__(name)


class _Adapter:
    """Dispatches to nothing: the name stands for the macro's SQL."""

    def dispatch(self, name: str, *_: str):
        return getattr(_Functions(), name)


def local_md5(text: str) -> str:
    """dbt hashes it; any one text stands for it here."""
    return "fingerprint"


dbt = _Dbt()
adapter = _Adapter()
target = SimpleNamespace(type="duckdb", schema="rekindle", database="warehouse")
