"""The SQL files and the code agree: one statement a file, every file used, every name there, every parameter given."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import duckdb
import pytest

from rekindle.warehouse.dialect import DUCKDB
from rekindle.warehouse.statements import migrations, statement

ROOT = Path(__file__).parents[3]
QUERIES = ROOT / "sql" / "queries"
NAMES = sorted(path.relative_to(QUERIES).with_suffix("").as_posix() for path in QUERIES.rglob("*.sql"))
PARAMETER = re.compile(r"\$([a-z_][a-z0-9_]*)")
#: Run by folder, not by name.
BY_FOLDER = "invariants/"


def calls():
    """(name of the statement, given keywords, whether a `**` may give more, where) of every call that names one."""
    for folder in ("include", "plugins", "dags"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                    name = node.args[0]
                    if (
                        node.func.attr in ("execute", "fetch")
                        and isinstance(name, ast.Constant)
                        and isinstance(name.value, str)
                        and re.fullmatch(r"[a-z]+/[a-z0-9_]+", name.value)
                    ):
                        given = {keyword.arg for keyword in node.keywords if keyword.arg}
                        open_ended = any(keyword.arg is None for keyword in node.keywords)
                        yield name.value, given, open_ended, f"{path.relative_to(ROOT)}:{node.lineno}"


def named():
    """Every text in the code that is a statement's name: some are handed to a function that runs what it is told."""
    for folder in ("include", "plugins", "dags"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in NAMES:
                    yield node.value


def test_every_statement_is_used_and_every_used_name_exists():
    assert {name for name, *_ in calls()} - set(NAMES) == set()
    assert {name for name in NAMES if not name.startswith(BY_FOLDER)} - set(named()) == set()


@pytest.mark.parametrize("name", NAMES)
def test_a_file_holds_one_statement_that_says_what_it_does_by_its_name(name):
    sql = statement(DUCKDB, name)
    assert len(duckdb.extract_statements(sql)) == 1
    assert not sql.rstrip().endswith(";")
    if name.startswith(BY_FOLDER):
        assert re.fullmatch(r"invariants/\d\d_[a-z_]+", name)
        return
    verb = name.split("/")[1].split("_")[0]
    kind = duckdb.extract_statements(sql)[0].type.name
    expected = {
        "insert": "INSERT",
        "delete": "DELETE",
        "list": "SELECT",
        "fetch": "SELECT",
        "count": "SELECT",
        "merge": "MERGE_INTO",
        "create": "CREATE",
    }
    assert kind == expected.get(verb, "UPDATE")


@pytest.mark.parametrize(("name", "given", "open_ended", "where"), sorted(calls(), key=lambda call: call[3]))
def test_a_call_gives_exactly_the_parameters_of_its_statement(name, given, open_ended, where):
    wanted = set(PARAMETER.findall(statement(DUCKDB, name)))
    assert given <= wanted, f"{where} gives what {name} does not use"
    assert open_ended or given == wanted, f"{where} does not give all that {name} uses"


def test_every_invariant_answers_violations_checked_and_unit(world):
    verdicts = world.verdicts()
    assert sorted(verdicts) == list(range(1, 11))
    assert all(verdict.holds and verdict.checked == 0 and verdict.unit for verdict in verdicts.values())


def test_no_statement_reads_the_clock_or_draws_by_chance():
    forbidden = re.compile(
        r"\b(now|current_timestamp|current_date|random|gen_random_uuid|uuid|today|getdate)\b\s*\(?", re.I
    )
    for name in NAMES:
        code = re.sub(r"--[^\n]*", "", statement(DUCKDB, name)).replace("$now", "")
        assert not forbidden.search(code), name


def test_a_migration_creates_only_what_is_not_there():
    for name, script in migrations(DUCKDB):
        for found in duckdb.extract_statements(script):
            code = re.sub(r"--[^\n]*\n\s*", "", found.query.strip())
            # or fills what it has just added, and only where nothing is
            fills = code.startswith("update ") and " is null;" in code
            creates = r"create (schema|table) if not exists|alter table \S+ add column if not exists"
            assert fills or re.match(creates, code), name
