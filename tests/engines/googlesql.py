"""The gate for BigQuery: GoogleSQL's own analyzer, which refuses what the stand-in server lets through.

It knows names, types, functions and grammar of the language; it does not know BigQuery's own rules (which correlated
subqueries can be run, quotas, transactions). See `docs/dialects.md`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import filelock
import wasmtime
import zetasql.core.wasm_client
from zetasql.api import Analyzer, CatalogBuilder, Parser, TableBuilder
from zetasql.core.exceptions import ZetaSQLError
from zetasql.types import (
    AnalyzerOptions,
    LanguageOptions,
    ProductMode,
    SimpleCatalog,
    Type,
    TypeKind,
    ZetaSQLBuiltinFunctionOptions,
)

CACHE = Path(__file__).parents[2] / ".rekindle" / "googlesql"

_KINDS = {
    "string": TypeKind.TYPE_STRING,
    "int64": TypeKind.TYPE_INT64,
    "float64": TypeKind.TYPE_DOUBLE,
    "bool": TypeKind.TYPE_BOOL,
    "date": TypeKind.TYPE_DATE,
    "datetime": TypeKind.TYPE_DATETIME,
    "timestamp": TypeKind.TYPE_TIMESTAMP,
    "numeric": TypeKind.TYPE_NUMERIC,
    "bytes": TypeKind.TYPE_BYTES,
    "json": TypeKind.TYPE_JSON,
}
#: BigQuery's other names of these types, which the open-source analyzer does not have.
_ALIASES = {"bigint": "int64", "integer": "int64", "int": "int64", "boolean": "bool", "varchar": "string"}


class GoogleSql:
    """An analyzer that knows these relations: dotted name → column → type."""

    def __init__(self, relations: Mapping[str, Mapping[str, str]]) -> None:
        _compile_once()
        self._language = LanguageOptions.maximum_features()
        self._language.product_mode = ProductMode.PRODUCT_EXTERNAL
        functions = ZetaSQLBuiltinFunctionOptions(language_options=self._language)
        self._catalog = CatalogBuilder("warehouse").with_builtin_functions(functions).build()
        for name, columns in relations.items():
            self._add(name.split("."), columns)

    def _add(self, path: list[str], columns: Mapping[str, str]) -> None:
        place = self._catalog
        for part in path[:-1]:
            inner = next((catalog for catalog in place.catalog if catalog.name == part), None)
            if inner is None:
                inner = SimpleCatalog(name=part, table=[])
                place.catalog.append(inner)
            place = inner
        table = TableBuilder(path[-1])
        for column, kind in columns.items():
            table.add_column(column, _KINDS[_plain(kind)])
        place.table.append(table.build())

    def refusal(self, sql: str, parameters: Mapping[str, str] | None = None) -> str | None:
        """What the analyzer has against this statement with parameters of these types, or None."""
        options = AnalyzerOptions(language_options=self._language, default_timezone="UTC")
        options.query_parameters = [
            AnalyzerOptions.QueryParameter(name=name, type=Type(type_kind=_KINDS[_plain(kind)]))
            for name, kind in (parameters or {}).items()
        ]
        try:
            Analyzer(options, self._catalog).analyze_statement(_without_aliases(sql))
        except ZetaSQLError as error:
            return str(error)
        return None


def _compile_once() -> None:
    """Keep the analyzer's compiled WebAssembly: compiling takes 13 s of a processor, loading a tenth of one."""
    CACHE.mkdir(parents=True, exist_ok=True)
    settings = CACHE / "cache.toml"
    with filelock.FileLock(CACHE / "lock"):
        settings.write_text(f"[cache]\ndirectory = '{CACHE / 'modules'}'\n")

        def with_cache() -> wasmtime.Config:
            config = wasmtime.Config()
            config.cache = str(settings)
            return config

        zetasql.core.wasm_client.Config = with_cache
        Parser.parse_statement_static("select 1")


def _plain(kind: str) -> str:
    kind = kind.lower()
    return _ALIASES.get(kind, kind)


def _without_aliases(sql: str) -> str:
    return re.sub(r"\bas (bigint|integer|int)\b(?=\s*\))", "as int64", sql, flags=re.IGNORECASE)
