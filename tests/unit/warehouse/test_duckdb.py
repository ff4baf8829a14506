"""The embedded warehouse: transactions, waiting for whoever holds the file, and migrations."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pytest

import rekindle.warehouse.migrate as migrating
from rekindle.clock import SteppedClock
from rekindle.errors import ConfigurationError, WarehouseBusyError
from rekindle.project import project_root
from rekindle.warehouse.duckdb import DuckDbWarehouse
from rekindle.warehouse.migrate import migrate
from rekindle.warehouse.settings import Engine, WarehouseSettings, open_warehouse
from rekindle.warehouse.statements import migrations, statement

#: Holds the file in another process until its standard input ends.
HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
connection.close()
"""


@pytest.fixture
def clock(tmp_path):
    stepped = SteppedClock(tmp_path / "clock")
    stepped.step_to(datetime(2026, 1, 12, 18, tzinfo=UTC))
    return stepped


@pytest.fixture
def warehouse(tmp_path, empty_warehouse):
    shutil.copy(empty_warehouse, tmp_path / "warehouse.duckdb")
    return DuckDbWarehouse(tmp_path / "warehouse.duckdb", patience=1)


@pytest.fixture
def hold():
    held = []

    def start(path: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "held\n"
        held.append(process)
        return process

    yield start
    for process in held:
        let_go(process)


def let_go(process):
    if process.poll() is None:
        process.stdin.close()
        process.wait(10)
    process.stdout.close()


def rows(warehouse):
    with warehouse.transaction() as transaction:
        return transaction.query("select * from rekindle_state.erasures")


def an_erasure(**changes):
    return {"lead_id": "l", "requested_at": datetime(2026, 1, 1, tzinfo=UTC), "requested_by": "test"} | changes


def test_what_a_transaction_wrote_is_there_afterwards(warehouse):
    with warehouse.transaction() as transaction:
        assert transaction.insert("rekindle_state.erasures", [an_erasure()]) == 1
    assert [row["lead_id"] for row in rows(warehouse)] == ["l"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_rolls_everything_back_and_lets_go_of_the_file(warehouse, error):
    with pytest.raises(error), warehouse.transaction() as transaction:
        transaction.insert("rekindle_state.erasures", [an_erasure()])
        raise error
    assert rows(warehouse) == []


def test_a_statement_that_fails_rolls_back_what_came_before_it(warehouse):
    with pytest.raises(duckdb.Error), warehouse.transaction() as transaction:
        transaction.insert("rekindle_state.erasures", [an_erasure()])
        transaction.insert("rekindle_state.erasures", [an_erasure(lead_id=None)])
    assert rows(warehouse) == []


def test_instants_go_in_and_come_out_as_utc(warehouse):
    noon_in_tokyo = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=9)))
    with warehouse.transaction() as transaction:
        transaction.insert("rekindle_state.erasures", [an_erasure(requested_at=noon_in_tokyo, erased_at=None)])
        (found,) = transaction.query(
            "select requested_at from rekindle_state.erasures where requested_at = $at", at=noon_in_tokyo
        )
    assert found["requested_at"] == datetime(2026, 1, 1, 3, tzinfo=UTC)
    assert found["requested_at"].tzinfo is UTC


def test_nothing_to_insert_is_no_statement(warehouse):
    with warehouse.transaction() as transaction:
        assert transaction.insert("rekindle_state.no_such_table", []) == 0


def test_execute_says_how_many_rows_it_wrote(warehouse):
    values = {
        "activity": "a",
        "campaign_id": "c",
        "as_of": datetime(2026, 1, 1, tzinfo=UTC),
        "run_id": "r",
        "counts": "",
    }
    with warehouse.transaction() as transaction:
        assert transaction.execute("audit/insert_run", **values) == 1
        assert transaction.execute("audit/insert_run", **values) == 0


def test_who_comes_second_waits_for_another_process_to_let_go(warehouse, hold):
    holder = hold(warehouse.path)
    patient = DuckDbWarehouse(warehouse.path, patience=20)
    began = time.monotonic()
    releaser = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.5)"])
    releaser.wait()
    holder.stdin.close()
    assert rows(patient) == []
    assert 0.4 < time.monotonic() - began < 15


def is_free(path: Path) -> bool:
    """Whether another process could have the file now."""
    tried = subprocess.run(
        [sys.executable, "-c", "import sys, duckdb; duckdb.connect(sys.argv[1]).close()", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert tried.returncode == 0 or "lock" in tried.stderr
    return tried.returncode == 0


def until_free(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not is_free(path):
        assert time.monotonic() < deadline


def test_a_file_that_is_kept_open_is_let_go_of_when_nothing_follows(warehouse, monkeypatch):
    monkeypatch.setattr("rekindle.warehouse.duckdb.LINGERING", 5.0)
    monkeypatch.setattr("rekindle.warehouse.duckdb.LONGEST", 60.0)
    with warehouse.kept_open():
        with warehouse.transaction() as transaction:
            transaction.insert("rekindle_state.erasures", [an_erasure()])
        assert not is_free(warehouse.path)
        assert [row["lead_id"] for row in rows(warehouse)] == ["l"]
        until_free(warehouse.path)
        assert [row["lead_id"] for row in rows(warehouse)] == ["l"]
    assert is_free(warehouse.path)


def test_a_file_that_is_kept_open_is_let_go_of_in_the_end_however_busy_it_is(warehouse, monkeypatch):
    monkeypatch.setattr("rekindle.warehouse.duckdb.LINGERING", 60.0)
    monkeypatch.setattr("rekindle.warehouse.duckdb.LONGEST", 0.0)
    with warehouse.kept_open():
        for _ in range(2):
            with warehouse.transaction() as transaction:
                transaction.insert("rekindle_state.erasures", [an_erasure()])
            assert is_free(warehouse.path)


def test_a_file_that_is_kept_open_is_let_go_of_after_an_error(warehouse, monkeypatch):
    monkeypatch.setattr("rekindle.warehouse.duckdb.LINGERING", 60.0)
    with warehouse.kept_open():
        with pytest.raises(duckdb.ConstraintException), warehouse.transaction() as transaction:
            transaction.insert("rekindle_state.erasures", [an_erasure(lead_id=None)])
        assert is_free(warehouse.path)
        assert rows(warehouse) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_block_that_keeps_the_file_open_ends_with_it_closed_whatever_happens(warehouse, monkeypatch, error):
    monkeypatch.setattr("rekindle.warehouse.duckdb.LINGERING", 60.0)
    with pytest.raises(error), warehouse.kept_open():
        rows(warehouse)
        with warehouse.kept_open():
            rows(warehouse)
        assert not is_free(warehouse.path)
        with warehouse.transaction() as transaction:
            transaction.insert("rekindle_state.erasures", [an_erasure()])
            raise error
    assert is_free(warehouse.path)
    assert rows(warehouse) == []


def test_patience_ends_with_words_that_say_what_to_do(warehouse, hold):
    hold(warehouse.path)
    began = time.monotonic()
    with pytest.raises(
        WarehouseBusyError, match=r"warehouse\.duckdb stayed locked .* close whatever holds it"
    ) as caught:
        rows(warehouse)
    assert 0.5 < time.monotonic() - began < 5
    assert isinstance(caught.value.__cause__, duckdb.IOException)


def test_a_damaged_file_is_not_taken_for_a_locked_one(tmp_path):
    path = tmp_path / "damaged.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table numbers as select range as n from range(100000)")
    content = bytearray(path.read_bytes())
    content[4096 + 20 : 4096 + 60] = b"x" * 40
    content[8192 + 20 : 8192 + 60] = b"x" * 40
    path.write_bytes(content)
    began = time.monotonic()
    with pytest.raises(duckdb.Error), DuckDbWarehouse(path, patience=2).transaction():
        pass
    assert time.monotonic() - began < 1


def test_a_file_that_is_no_warehouse_says_so_at_once(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database" * 1_000)
    with pytest.raises(duckdb.IOException, match="not a valid DuckDB"), DuckDbWarehouse(path, patience=5).transaction():
        pass


# --- migrations


def test_migrating_twice_changes_nothing(tmp_path, clock):
    warehouse = DuckDbWarehouse(tmp_path / "new" / "warehouse.duckdb", patience=1)
    first = migrate(warehouse, clock)
    assert first.applied == [name for name, _ in migrations(warehouse.dialect)] and first.already_there == []
    second = migrate(warehouse, clock)
    assert (second.applied, second.already_there) == ([], first.applied)


def test_every_migration_can_be_applied_over_itself(warehouse):
    with warehouse.transaction() as transaction:
        transaction.insert("rekindle_state.erasures", [an_erasure()])
    for _, script in migrations(warehouse.dialect):
        warehouse.run_script(script)
    assert len(rows(warehouse)) == 1


def test_a_migration_that_died_before_it_was_recorded_is_applied_again(warehouse, clock):
    with warehouse.transaction() as transaction:
        transaction.connection.execute("delete from rekindle_state.schema_migrations where migration like '0004%'")
    assert [name[:4] for name in migrate(warehouse, clock).applied] == ["0004"]


def test_an_edited_migration_is_refused_by_name(warehouse, clock, monkeypatch):
    edited = [
        (name, script + "\n-- edited" * name.startswith("0003")) for name, script in migrations(warehouse.dialect)
    ]
    monkeypatch.setattr(migrating, "migrations", lambda dialect: edited)
    with pytest.raises(ConfigurationError, match=r"0003_create_journey_tables\.sql was edited"):
        migrate(warehouse, clock)


def test_a_new_migration_is_applied_to_an_old_warehouse(warehouse, clock, monkeypatch):
    new = ("0099_add_note.sql", "alter table rekindle_state.erasures add column if not exists note varchar;")
    known = migrations(warehouse.dialect)
    monkeypatch.setattr(migrating, "migrations", lambda dialect: [*known, new])
    assert migrate(warehouse, clock).applied == ["0099_add_note.sql"]
    with warehouse.transaction() as transaction:
        transaction.insert("rekindle_state.erasures", [an_erasure(note="n")])


# --- settings and statements


def test_a_statement_that_is_not_there_is_named():
    with pytest.raises(ConfigurationError, match=r"no statement sql/queries/plan/no_such\.sql"):
        statement(DuckDbWarehouse.dialect, "plan/no_such")


@pytest.mark.parametrize(
    ("engine", "variable"),
    [(Engine.BIGQUERY, "REKINDLE_BIGQUERY_PROJECT"), (Engine.SNOWFLAKE, "REKINDLE_SNOWFLAKE_ACCOUNT")],
)
def test_an_engine_without_its_settings_names_the_first_variable(engine, variable, monkeypatch):
    for name in [name for name in os.environ if name.startswith(("REKINDLE_BIGQUERY", "REKINDLE_SNOWFLAKE"))]:
        monkeypatch.delenv(name)
    with pytest.raises(ConfigurationError, match=variable):
        open_warehouse(WarehouseSettings(engine=engine))


def test_snowflake_without_a_key_pair_says_so(monkeypatch):
    for name in ("ACCOUNT", "USER", "DATABASE", "WAREHOUSE"):
        monkeypatch.setenv(f"REKINDLE_SNOWFLAKE_{name}", "given")
    with pytest.raises(ConfigurationError, match="REKINDLE_SNOWFLAKE_PRIVATE_KEY_PATH"):
        open_warehouse(WarehouseSettings(engine=Engine.SNOWFLAKE))


def test_the_default_is_the_embedded_file(monkeypatch, tmp_path):
    monkeypatch.delenv("REKINDLE_WAREHOUSE_PATH", raising=False)
    assert WarehouseSettings().path == project_root() / ".rekindle" / "warehouse.duckdb"
    monkeypatch.setenv("REKINDLE_WAREHOUSE_PATH", str(tmp_path / "w.duckdb"))
    warehouse = open_warehouse()
    assert isinstance(warehouse, DuckDbWarehouse) and warehouse.path == tmp_path / "w.duckdb"
