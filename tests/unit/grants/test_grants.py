"""The grant scripts parse, and give each part what its statements need and nothing more."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from sqlfluff.core import FluffConfig, Linter
from zetasql.api import Parser

ROOT = Path(__file__).parents[3]
GRANTS = ROOT / "sql" / "grants"
PARTS = {"owner", "sender", "dbt", "reader"}
#: What the sender's tasks run; the rest of sql/queries is run by people and by tests.
AREAS = ("audit", "cohort", "dispatch", "governor", "ingest", "journey", "plan", "reconcile", "replies", "sync")
_SCHEMA = re.compile(r"\{\{ *(raw|state|seeds|activation|marts) *\}\}")
_WRITES = re.compile(r"(?:insert into|update|delete from|merge into)\s+\{\{ *(\w+) *\}\}")

Rights = dict[str, dict[str, set[str]]]  # part → schema → "read", "write", "create"


def googlesql_module() -> ModuleType:
    """`tests/engines/googlesql.py`, which keeps what GoogleSQL's parser takes long to compile."""
    spec = importlib.util.spec_from_file_location(
        "rekindle_test_googlesql", ROOT / "tests" / "engines" / "googlesql.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@cache
def on_snowflake() -> Rights:
    text = (GRANTS / "snowflake.sql").read_text()
    rights: Rights = defaultdict(lambda: defaultdict(set))
    for privileges, where, schema, part in re.findall(
        r"grant ([\w, ]+?) on ((?:all|future) (?:tables|views) in schema|schema) rekindle\.rekindle_(\w+) to role"
        r" rekindle_(\w+);",
        text,
    ):
        words = {word.strip() for word in privileges.split(",")}
        if words == {"usage"}:
            continue
        kinds = {"create table": "create", "create view": "create", "select": "read", "usage": ""}
        found = {kinds.get(word, "write") for word in words} - {""}
        rights[part][schema] |= found | ({"read", "write"} if "create" in found and where == "schema" else set())
    return rights


@cache
def on_bigquery() -> Rights:
    googlesql_module()._compile_once()
    script = Parser.parse_script_static((GRANTS / "bigquery.sql").read_text())
    kinds = {
        "dataViewer": {"read"},
        "dataEditor": {"read", "write", "create"},
        "dataOwner": {"read", "write", "create"},
    }
    rights: Rights = defaultdict(lambda: defaultdict(set))
    for statement in script.statement_list_node.statement_list:
        if type(statement).__name__ != "ASTGrantStatement" or statement.target_type_parts[0].id_string != "schema":
            continue
        (privilege,) = statement.privileges.privileges
        role = privilege.privilege_action.id_string.removeprefix("roles/bigquery.")
        schema = statement.target_path.names[-1].id_string.removeprefix("rekindle_")
        for grantee in statement.grantee_list.grantee_list:
            account = re.fullmatch(r"serviceAccount:rekindle-(\w+)@PROJECT_ID\..*", grantee.string_value)
            rights[account[1] if account else "reader"][schema] |= kinds[role]
    return rights


@pytest.fixture(params=["snowflake", "bigquery"])
def rights(request: pytest.FixtureRequest) -> Rights:
    return on_snowflake() if request.param == "snowflake" else on_bigquery()


def schemas_of_dbt() -> set[str]:
    project = yaml.safe_load((ROOT / "dbt_project" / "dbt_project.yml").read_text())
    return set(re.findall(r"'\+schema': '(\w+)'", repr([project["models"], project["seeds"]])))


def test_the_snowflake_script_parses() -> None:
    parsed = Linter(config=FluffConfig(overrides={"dialect": "snowflake", "max_line_length": 200})).parse_string(
        (GRANTS / "snowflake.sql").read_text()
    )
    assert parsed.violations == []
    assert "unparsable" not in parsed.tree.type_set()


def test_the_parts_are_these_and_the_receiver_is_none_of_them(rights: Rights) -> None:
    assert set(rights) <= PARTS
    assert {"sender", "dbt", "reader"} <= set(rights)
    for path in GRANTS.glob("*.sql"):
        granted = [line for line in path.read_text().splitlines() if line.startswith("grant")]
        assert not [line for line in granted if "receiver" in line]


def test_every_schema_of_ours_is_made_by_both_scripts() -> None:
    wanted = schemas_of_dbt() | {"raw", "state"}
    assert len(wanted) >= 7
    for name in ("snowflake", "bigquery"):
        text = (GRANTS / f"{name}.sql").read_text()
        assert set(re.findall(r"create schema if not exists (?:rekindle\.)?rekindle_(\w+)", text)) == wanted


def test_the_sender_may_do_what_its_statements_do_and_write_nowhere_else(rights: Rights) -> None:
    read, written = set(), set()
    for area in AREAS:
        for path in (ROOT / "sql" / "queries" / area).glob("*.sql"):
            read |= set(_SCHEMA.findall(path.read_text()))
            written |= set(_WRITES.findall(path.read_text()))
    assert {"raw", "state", "activation", "seeds"} <= read
    sender = rights["sender"]
    assert written <= {schema for schema, kinds in sender.items() if "write" in kinds} == {"raw", "state"}
    assert read <= {schema for schema, kinds in sender.items() if "read" in kinds}


def test_dbt_can_not_touch_raw_and_state(rights: Rights) -> None:
    dbt = rights["dbt"]
    assert dbt["raw"] == dbt["state"] == {"read"}
    assert {schema for schema, kinds in dbt.items() if "create" in kinds} == schemas_of_dbt()


def test_readers_see_the_marts_and_nothing_personal(rights: Rights) -> None:
    assert rights["reader"] == {"marts": {"read"}}


def test_who_makes_a_table_on_snowflake_can_not_pass_it_on() -> None:
    made = re.findall(r"^create schema .*;$", (GRANTS / "snowflake.sql").read_text(), re.MULTILINE)
    assert len(made) == 7
    assert all(line.endswith(" with managed access;") for line in made)


@pytest.mark.parametrize("name", ["snowflake", "bigquery"])
def test_nothing_is_given_wholesale(name: str) -> None:
    text = (GRANTS / f"{name}.sql").read_text().lower()
    for word in ("all privileges", "ownership", "with grant option", "accountadmin;", "roles/owner", "roles/editor"):
        assert word not in text
    assert "to role public" not in text
