"""What a send task does to the embedded warehouse's file: opens it for a transaction, and never keeps much of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager

import duckdb
import pytest

from rekindle.dispatch.batch import ENGINE_MEMORY, ENGINE_THREADS, ENOUGH_ENGINE_MEMORY
from rekindle.errors import WarehouseMemoryError
from rekindle.warehouse.duckdb import MEMORY, THREADS, DuckDbTransaction, DuckDbWarehouse

COUNT = "select count(*) as n from rekindle_state.erasures"
#: Another process counts the rows, or says that the file is locked.
LOOK = f"""
import sys, duckdb
try:
    with duckdb.connect(sys.argv[1], read_only=True) as connection:
        print(connection.execute("{COUNT}").fetchone()[0])
except duckdb.IOException:
    print("locked")
"""


@pytest.fixture
def path(tmp_path, empty_warehouse):
    # A name that has to be quoted, and that DuckDB shortens to "our ware'house"
    (tmp_path / "o'ne").mkdir()
    return shutil.copy(empty_warehouse, tmp_path / "o'ne" / "our ware'house.main.duckdb")


@pytest.fixture
def warehouse(path):
    return DuckDbWarehouse(path, patience=2)


def look(path):
    return subprocess.run([sys.executable, "-c", LOOK, str(path)], capture_output=True, text=True, check=True).stdout


def an_erasure(lead_id="l"):
    return {"lead_id": lead_id, "requested_at": None, "requested_by": "test"}


def count(warehouse):
    with warehouse.transaction() as transaction:
        return transaction.query(COUNT)[0]["n"]


def test_the_file_is_free_and_whole_between_transactions(path, warehouse):
    row = an_erasure() | {"requested_at": "2026-01-01"}
    with warehouse.transaction() as transaction:
        transaction.insert("rekindle_state.erasures", [row])
        assert look(path) == "locked\n"
    assert not path.with_name(path.name + ".wal").exists()  # a copy of the one file is a copy of everything
    assert look(path) == "1\n"
    assert count(warehouse) == 1


def test_who_leaves_an_inner_transaction_does_not_close_the_outer_ones_file(path, warehouse):
    beside = DuckDbWarehouse(path, patience=2)
    with warehouse.transaction() as outer:
        assert count(beside) == 0
        assert outer.query(COUNT) == [{"n": 0}]
        assert look(path) == "locked\n"
    assert look(path) == "0\n"


def test_threads_share_one_engine(warehouse):
    found, errors = [], []

    def read():
        try:
            for _ in range(10):
                found.append(count(warehouse))
        except duckdb.Error as error:
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == [] and found == [0] * 40


def test_whoever_has_it_open_in_this_process_shares_it(path, warehouse):
    with duckdb.connect(str(path), config={"threads": 2}):
        assert count(warehouse) == 0
    assert count(warehouse) == 0


@pytest.mark.timeout(30)
def test_a_forked_process_starts_an_engine_of_its_own(path, warehouse):
    assert count(warehouse) == 0
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = count(warehouse)
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert count(warehouse) == 0


def test_views_may_name_the_database_as_dbt_does(path, warehouse):
    with duckdb.connect(str(path)) as connection:
        (name,) = connection.execute("select current_database()").fetchone()
        quoted = '"' + name.replace('"', '""') + '"'
        connection.execute(f"create view rekindle_state.seen as select * from {quoted}.rekindle_state.erasures")
    with warehouse.transaction() as transaction:
        assert transaction.query("select count(*) as n from rekindle_state.seen") == [{"n": 0}]


def test_more_rows_than_one_insert_takes_arrive_in_order_and_with_their_types(warehouse, monkeypatch):
    monkeypatch.setattr("rekindle.warehouse.duckdb.ROWS_PER_INSERT", 3)
    rows = [{"number": number, "text": None if number % 2 else f"é{number}", "nothing": None} for number in range(10)]
    with warehouse.transaction() as transaction:
        transaction.connection.execute("create table rekindle_state.t (number bigint, text varchar, nothing timestamp)")
        assert transaction.insert("rekindle_state.t", rows) == 10
        assert transaction.query("select * from rekindle_state.t order by number") == rows


def memory_and_threads(transaction):
    memory, threads = "current_setting('memory_limit') as memory", "current_setting('threads') as threads"
    (row,) = transaction.query(f"select {memory}, {threads}")
    number, unit = row["memory"].split()
    megabytes = float(number) * {"MiB": 1.048576, "GiB": 1073.741824}[unit]
    return min((ENGINE_MEMORY, ENOUGH_ENGINE_MEMORY, MEMORY), key=lambda limit: abs(limit - megabytes)), row["threads"]


@pytest.fixture
def seen(monkeypatch):
    """What the engine may take in each transaction."""
    noted = []
    begin = DuckDbWarehouse.transaction

    @contextmanager
    def watched(warehouse):
        with begin(warehouse) as transaction:
            noted.append(memory_and_threads(transaction))
            yield transaction

    monkeypatch.setattr(DuckDbWarehouse, "transaction", watched)
    return noted


def planned(world):
    world.leads([{}])
    world.freeze(0)
    batches = world.plan(0)
    world.let_go()
    return batches


def test_a_send_task_takes_less_memory_and_others_get_theirs_back(world, seen):
    batches = planned(world)
    assert set(seen) == {(MEMORY, THREADS)}
    seen.clear()
    world.dispatch(batches, world.email, 0)
    in_task = [limits for limits in seen if limits != (MEMORY, THREADS)]
    assert set(in_task) == {(ENGINE_MEMORY, ENGINE_THREADS)}
    assert len(in_task) == 4  # claim, attempting, record, release
    assert len(world.email.sent) == 1
    seen.clear()
    world.plan(1)
    assert set(seen) == {(MEMORY, THREADS)}


def test_a_claim_that_needs_more_memory_gets_it_once(world, seen, monkeypatch):
    batches = planned(world)
    execute = DuckDbTransaction.execute

    def hungry(transaction, statement, /, **values):
        if (
            statement == "dispatch/claim_messages"
            and memory_and_threads(transaction)[0] < ENOUGH_ENGINE_MEMORY // 10 * 10
        ):
            raise duckdb.OutOfMemoryException("could not allocate block")
        return execute(transaction, statement, **values)

    monkeypatch.setattr(DuckDbTransaction, "execute", hungry)
    seen.clear()
    world.dispatch(batches, world.email, 0)
    assert len(world.email.sent) == 1
    in_task = [memory for memory, _ in seen if memory != MEMORY]
    assert in_task[:3] == [ENGINE_MEMORY, ENOUGH_ENGINE_MEMORY, ENGINE_MEMORY]


def test_what_does_not_fit_at_all_says_which_setting_helps(world, monkeypatch):
    batches = planned(world)

    def starved(transaction, statement, /, **values):
        raise duckdb.OutOfMemoryException("could not allocate block")

    monkeypatch.setattr(DuckDbTransaction, "execute", starved)
    with pytest.raises(WarehouseMemoryError, match="REKINDLE_WAREHOUSE_MEMORY_MEGABYTES"):
        world.dispatch(batches, world.email, 0)
