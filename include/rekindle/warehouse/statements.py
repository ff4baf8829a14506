"""Finds, renders and remembers the SQL files."""

from __future__ import annotations

import re
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


_WORDS = re.compile(r"[a-z0-9_.,]*")


def with_words(name: str, **words: str) -> str:
    """The statement's name together with identifiers that its file renders, because those can not be bound.

    Raises `ConfigurationError` for anything that is more than identifiers and the commas and dots between them.
    """
    for word, said in words.items():
        if not _WORDS.fullmatch(said):
            raise ConfigurationError(f"{word} is {said!r} and may hold lower-case letters, digits and _ only")
    return f"{name}?" + "&".join(f"{word}={said}" for word, said in sorted(words.items()))


@cache
def unbound_statement(dialect: Dialect, name: str, sql_root: Path | None = None) -> str:
    """The named statement (`area/verb_noun`, or what `with_words` made of it) in the engine's own words, its values
    still written `$name`.
    """
    root = sql_root or project_root() / "sql"
    name, _, said = name.partition("?")
    words = dict(pair.split("=", 1) for pair in said.split("&") if pair)
    try:
        template = _environment(root).get_template(f"queries/{name}.sql")
    except jinja2.TemplateNotFound as missing:
        raise ConfigurationError(f"no statement sql/queries/{name}.sql") from missing
    return template.render(dialect.context() | words)


@cache
def statement(dialect: Dialect, name: str, sql_root: Path | None = None) -> str:
    """The named statement with the engine's own parameter markers."""
    return dialect.bind(unbound_statement(dialect, name, sql_root))


def migrations(dialect: Dialect, sql_root: Path | None = None) -> list[tuple[str, str]]:
    """Every migration as (file name, rendered script), in order."""
    root = sql_root or project_root() / "sql"
    environment = _environment(root)
    return [
        (path.name, environment.get_template(f"migrations/{path.name}").render(dialect.context()))
        for path in sorted((root / "migrations").glob("*.sql"))
    ]
