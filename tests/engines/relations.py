"""What the statements may read and write on each engine, taken from the migrations and the documented models."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import yaml

from rekindle.warehouse.dialect import BIGQUERY, Dialect, Kind
from rekindle.warehouse.migrate import ledger
from rekindle.warehouse.statements import migrations

ROOT = Path(__file__).parents[2]
QUERIES = ROOT / "sql" / "queries"
MIGRATIONS = ROOT / "sql" / "migrations"
STATEMENTS = sorted(path.relative_to(QUERIES).with_suffix("").as_posix() for path in QUERIES.rglob("*.sql"))

_CREATE = re.compile(r"create table if not exists (\S+) \((.*?)\n\)", re.DOTALL)
_ADD = re.compile(r"alter table (?:if exists )?(\S+)\s+add column (?:if not exists )?(\S+) (\w+)", re.IGNORECASE)
#: What is only there while `rekindle backtest` or `diff-score` runs.
_PASSING = {
    "rekindle_marts.scores_before": {
        "lead_id": "string",
        "segment": "string",
        "is_cold": "bool",
        "cold_score": "float64",
    },
    "rekindle_staging.base_app__event_arrivals": {
        "event_id": "string",
        "lead_id": "string",
        "occurred_at": "timestamp",
        "event_kind": "string",
    },
    "rekindle_intermediate.int_leads_scored": {
        "lead_id": "string",
        "cold_score": "float64",
        "last_seen_age_days": "float64",
    },
}
_CATALOG = {
    "rekindle_state.INFORMATION_SCHEMA.TABLES": {"table_name": "string"},
    "rekindle_state.INFORMATION_SCHEMA.COLUMNS": {
        "table_schema": "string",
        "table_name": "string",
        "column_name": "string",
        "ordinal_position": "int64",
    },
}
#: The marts that statements read.
_MARTS = ("fct_cold_scores", "fct_journey_entries", "reactivation_by_campaign")


def types(dialect: Dialect) -> dict[Kind, str]:
    """The engine's own names."""
    return {
        Kind.TEXT: dialect.text,
        Kind.INSTANT: dialect.timestamp,
        Kind.DATE: "date",
        Kind.INTEGER: dialect.bigint,
        Kind.NUMBER: dialect.float_type,
        Kind.BOOLEAN: "boolean",
    }


def scripts(dialect: Dialect) -> list[tuple[str, str]]:
    """Every script that creates state, the ledger of migrations first, as (name, text without comments)."""
    every = [("ledger", ledger(dialect)), *migrations(dialect)]
    return [(name, re.sub(r"--[^\n]*", "", script)) for name, script in every]


def statements_of(script: str) -> list[str]:
    """The script's statements, one by one."""
    return [part.strip() for part in script.split(";") if part.strip()]


def for_bigquery() -> dict[str, dict[str, str]]:
    """Dotted name → column → type, of everything a statement may name."""
    found: dict[str, dict[str, str]] = {}
    for _, script in scripts(BIGQUERY):
        for name, body in _CREATE.findall(script):
            columns = [line.split() for line in body.replace("\n", " ").split(",") if line.strip()]
            found[name] = {words[0]: words[1] for words in columns}
        for name, column, kind in _ADD.findall(script):
            found[name][column] = kind
    return _CATALOG | _PASSING | _documented() | _seeds() | found


def stand_ins() -> dict[str, dict[str, str]]:
    """The models that statements read, as tables: dotted name → column → type as documented."""
    read = tuple(f"rekindle_marts.{name}" for name in _MARTS)
    made = {
        name: columns
        for name, columns in _documented().items()
        if name.startswith("rekindle_activation.") or name in read
    }
    return made | _PASSING


def stand_ins_for_dbt(dialect: Dialect) -> str:
    """A script that makes the activation models and the seed of errors as empty tables."""
    kinds = {
        "string": dialect.text,
        "timestamp": dialect.timestamp,
        "date": "date",
        "boolean": "boolean",
        "bool": "boolean",
    }
    kinds |= {"int64": dialect.bigint, "bigint": dialect.bigint}
    tables = stand_ins() | _seeds()
    schemas = sorted({name.split(".")[0] for name in tables})
    script = [f"create schema if not exists {schema};" for schema in schemas]
    for name, columns in tables.items():
        described = ", ".join(f"{column} {kinds.get(kind, dialect.float_type)}" for column, kind in columns.items())
        script.append(f"create table {name} ({described});")
    return "\n".join(script)


def provider_errors() -> list[dict[str, str | int | None]]:
    """The rows of the seed."""
    with (ROOT / "dbt_project/seeds/provider_errors.csv").open(newline="") as file:
        return [
            {
                name: (int(value) if name == "retry_after_hours" else value) if value else None
                for name, value in row.items()
            }
            for row in csv.DictReader(file)
        ]


def _documented() -> dict[str, dict[str, str]]:
    """The models whose every column has a type."""
    found = {}
    for path in (ROOT / "dbt_project/models").rglob("*.yml"):
        layer = path.relative_to(ROOT / "dbt_project/models").parts[0]
        schema = "rekindle_activation" if layer == "library" else f"rekindle_{layer}"
        for model in yaml.safe_load(path.read_text()).get("models") or []:
            columns = {column["name"]: column.get("data_type") for column in model.get("columns") or []}
            if columns and all(columns.values()):
                found[f"{schema}.{model['name']}"] = {
                    name: "float64" if "float" in kind or "double" in kind else kind for name, kind in columns.items()
                }
    return found


def _seeds() -> dict[str, dict[str, str]]:
    with (ROOT / "dbt_project/seeds/provider_errors.csv").open(newline="") as file:
        header = next(csv.reader(file))
    kinds = {name: "int64" if name == "retry_after_hours" else "string" for name in header}
    return {"rekindle_seeds.provider_errors": kinds}
