"""Statements are read from the rendered SQL, and every one that runs is counted."""

from __future__ import annotations

import configparser
from pathlib import Path

import jinja2
import pytest

from rekindle.errors import RekindleError
from rekindle.estimate.recording import RecordingWarehouse, Statement, Verb
from rekindle.warehouse.dialect import DUCKDB
from rekindle.warehouse.duckdb import DuckDbWarehouse

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("sql", "verb", "target", "tables"),
    [
        ("-- update it\nselect a from rekindle_raw.t", Verb.SELECT, None, {"rekindle_raw.t"}),
        ("with x as (select 1) select * from x", Verb.SELECT, None, set()),
        (
            "insert into rekindle_state.a (b) with x as (select b from rekindle_raw.c) select b from x",
            Verb.INSERT,
            "rekindle_state.a",
            {"rekindle_raw.c"},
        ),
        (
            "insert into rekindle_state.a (b) select b from rekindle_raw.c"
            " where b not in (select b from rekindle_state.a)",
            Verb.INSERT,
            "rekindle_state.a",
            {"rekindle_state.a", "rekindle_raw.c"},
        ),
        ("update rekindle_state.a set b = 1", Verb.UPDATE, "rekindle_state.a", {"rekindle_state.a"}),
        ("DELETE FROM rekindle_state.a where b = 1", Verb.DELETE, "rekindle_state.a", {"rekindle_state.a"}),
        ("merge into rekindle_state.a using b on 1 = 1", Verb.MERGE, "rekindle_state.a", {"rekindle_state.a"}),
    ],
)
def test_a_statement_is_what_its_sql_says(sql: str, verb: Verb, target: str | None, tables: set[str]) -> None:
    read = Statement.of_text("area/name", sql)
    assert (read.verb, read.target, set(read.tables)) == (verb, target, tables)


def test_what_is_no_statement_is_refused() -> None:
    with pytest.raises(RekindleError, match="area/name"):
        Statement.of_text("area/name", "create table rekindle_state.a (b int)")


@pytest.mark.parametrize("area", ["cohort", "dispatch", "ingest", "journey", "plan", "reconcile"])
def test_what_a_statement_writes_to_shows_in_its_name(area: str) -> None:
    """File names begin with the verb: an independent reading of the same thing."""
    writing = {"insert", "update", "delete", "merge", "mark", "drop", "claim", "record", "release", "expire"}
    examples = configparser.ConfigParser(interpolation=None)
    examples.read(ROOT / "sql" / ".sqlfluff")  # of the words that only a caller knows
    words = DUCKDB.context() | dict(examples["sqlfluff:templater:jinja:context"])
    sql_files = jinja2.Environment(loader=jinja2.FileSystemLoader(ROOT / "sql"))
    files = sorted((ROOT / "sql" / "queries" / area).glob("*.sql"))
    assert files
    for path in files:
        read = Statement.of_text(path.stem, sql_files.get_template(f"queries/{area}/{path.name}").render(words))
        verb = path.stem.split("_")[0]
        if verb in {"list", "fetch", "count"}:
            assert not read.verb.writes, path.stem
        elif verb in writing:
            assert read.verb.writes and read.target, path.stem


def test_every_statement_and_transaction_is_counted(empty_warehouse: Path, tmp_path: Path) -> None:
    copy = tmp_path / "warehouse.duckdb"
    copy.write_bytes(empty_warehouse.read_bytes())
    counted = RecordingWarehouse(DuckDbWarehouse(copy))
    with counted.transaction() as transaction:
        assert transaction.execute("plan/delete_due_entries", campaign_id="c") == 0
        transaction.fetch("replies/list_untold_replies")
        transaction.fetch("replies/list_untold_replies")
        transaction.insert("rekindle_state.attempt_chunks", [])
        transaction.insert(
            "rekindle_state.attempt_chunks",
            [{"attempt_id": "a", "message_id": "m", "body_hash": "h", "segments": 1}],
        )
    assert counted.transactions == 1
    assert {found.name: count for found, count in counted.statements.items()} == {
        "plan/delete_due_entries": 1,
        "replies/list_untold_replies": 2,
        "load rekindle_state.attempt_chunks": 1,
    }
