"""The gate for BigQuery: GoogleSQL's own analyzer, which refuses what the stand-in server lets through.

It knows names, types, functions and grammar of the language; it does not know BigQuery's own rules (which correlated
subqueries can be run, quotas, transactions). See `docs/dialects.md`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import filelock
import wasmtime
import zetasql.core.wasm_client
from google.protobuf.message import DecodeError
from zetasql.api import CatalogBuilder, Parser, TableBuilder
from zetasql.core.exceptions import ZetaSQLError
from zetasql.core.local_service import ZetaSqlLocalService
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
_NAMES = {kind: name for name, kind in _KINDS.items()}
#: BigQuery's other names of these types, which the open-source analyzer does not have.
_ALIASES = {"bigint": "int64", "integer": "int64", "int": "int64", "boolean": "bool", "varchar": "string"}


class GoogleSql:
    """An analyzer that knows these relations: dotted name → column → type."""

    def __init__(self, relations: Mapping[str, Mapping[str, str]]) -> None:
        _compile_once()
        self._service = ZetaSqlLocalService.get_instance()
        self._language = LanguageOptions.maximum_features()
        self._language.product_mode = ProductMode.PRODUCT_EXTERNAL
        functions = ZetaSQLBuiltinFunctionOptions(language_options=self._language)
        self._catalog = CatalogBuilder("warehouse").with_builtin_functions(functions).build()
        self._registered: int | None = None
        self.add(relations)

    def add(self, relations: Mapping[str, Mapping[str, str]]) -> None:
        """More relations."""
        for name, columns in relations.items():
            path = name.split(".")
            place = self._catalog
            for part in path[:-1]:
                inner = next((catalog for catalog in place.catalog if catalog.name == part), None)
                if inner is None:
                    inner = SimpleCatalog(name=part, table=[])
                    place.catalog.append(inner)
                place = inner
            table = TableBuilder(path[-1])
            for column, kind in columns.items():
                table.add_column(column, _KINDS[plain_type(kind)])
            place.table.append(table.build())
        self._registered = None

    def refusal(self, sql: str, parameters: Mapping[str, str] | None = None) -> str | None:
        """What the analyzer has against this statement with parameters of these types, or None."""
        try:
            self._analyzed(sql, parameters or {})
        except ZetaSQLError as error:
            return str(error)
        return None

    def columns_of(self, sql: str) -> dict[str, str] | None:
        """Column → type of what this query returns, None if that can not be read; raises for one that is refused."""
        analyzed = self._analyzed(sql, {})
        if analyzed is None:
            return None
        return {column.name: _NAMES[column.column.type.type_kind] for column in analyzed.output_column_list}

    def _analyzed(self, sql: str, parameters: Mapping[str, str]) -> Any:
        if self._registered is None:  # handing the relations over takes longer than a statement
            self._registered = self._service.register_catalog(simple_catalog=self._catalog).registered_id
        options = AnalyzerOptions(language_options=self._language, default_timezone="UTC")
        options.query_parameters = [
            AnalyzerOptions.QueryParameter(name=name, type=Type(type_kind=_KINDS[plain_type(kind)]))
            for name, kind in parameters.items()
        ]
        asked = {"sql_statement": _without_aliases(sql), "options": options}
        try:
            return self._service.analyze(registered_catalog_id=self._registered, **asked).resolved_statement
        except DecodeError:
            # A refusal is told as an error. This is an answer, nested deeper than protobuf reads (100 levels).
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


def plain_type(kind: str) -> str:
    """BigQuery's own name of a type."""
    kind = kind.lower()
    return _ALIASES.get(kind, kind)


def _without_aliases(sql: str) -> str:
    return re.sub(r"\bas (bigint|integer|int)\b(?=\s*\))", "as int64", sql, flags=re.IGNORECASE)
