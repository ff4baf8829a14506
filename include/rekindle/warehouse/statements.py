"""Finds, renders and remembers the SQL files."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2

from rekindle.errors import ConfigurationError
from rekindle.project import project_root
from rekindle.warehouse.dialect import Dialect


@cache
def _environment(sql_root: Path) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(sql_root),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - SQL, not HTML; identifiers come from the dialect, values are bound
        keep_trailing_newline=True,
    )


@cache
def statement(dialect: Dialect, name: str, sql_root: Path | None = None) -> str:
    """The named statement (`area/verb_noun`) in the engine's own words."""
    root = sql_root or project_root() / "sql"
    try:
        template = _environment(root).get_template(f"queries/{name}.sql")
    except jinja2.TemplateNotFound as missing:
        raise ConfigurationError(f"no statement sql/queries/{name}.sql") from missing
    return dialect.bind(template.render(dialect.context()))


def migrations(dialect: Dialect, sql_root: Path | None = None) -> list[tuple[str, str]]:
    """Every migration as (file name, rendered script), in order."""
    root = sql_root or project_root() / "sql"
    environment = _environment(root)
    return [
        (path.name, environment.get_template(f"migrations/{path.name}").render(dialect.context()))
        for path in sorted((root / "migrations").glob("*.sql"))
    ]
