"""One body of tests for every store: a change is whole, is seen by all, and none is lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from rekindle.errors import ConfigurationError
from rekindle.governor import stores
from rekindle.governor.breaker import BreakerState
from rekindle.governor.state import AccountState
from rekindle.governor.stores import SqliteStore, StoreUnavailableError, open_store

INCLUDE = {"PYTHONPATH": str(Path(__file__).parents[3] / "include")}


def one_more(state: AccountState) -> tuple[AccountState, int]:
    return state.model_copy(update={"throttled": state.throttled + 1}), state.throttled + 1


def test_an_account_never_seen_is_new_and_each_has_its_own_state(new_store):
    store = new_store()
    assert store.load("a") == AccountState()
    assert [store.update("a", one_more), store.update("a", one_more), store.update("b", one_more)] == [1, 2, 1]
    assert (store.load("a").throttled, store.load("b").throttled) == (2, 1)


def test_another_opening_sees_everything(new_store):
    full = AccountState(
        paid_at_us=1_772_366_400_123_456,
        paused_until_ms=1_772_366_400_123,
        throttled=2,
        breaker=BreakerState(reason='it\'s ours – "always"', opened_at=datetime(2026, 3, 1, tzinfo=UTC)),
        day=date(2026, 3, 1),
        used_today=7,
        recent={1_772_366_400: 5},
    )
    new_store().update("an account: +1 555", lambda _: (full, None))
    assert new_store().load("an account: +1 555") == full


def test_a_change_that_fails_changes_nothing(new_store):
    store = new_store()
    store.update("a", one_more)

    def fail(state: AccountState) -> tuple[AccountState, None]:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        store.update("a", fail)
    assert store.load("a").throttled == 1
    assert store.update("a", one_more) == 2  # and it can still be written


def test_no_change_is_lost_between_threads(new_store):
    def work() -> None:
        store = new_store()
        for _ in range(25):
            store.update("a", one_more)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert new_store().load("a").throttled == 100


def count_in_three_processes(url: str) -> None:
    code = (
        "import sys; from rekindle.governor.stores import open_store\n"
        "store = open_store(sys.argv[1])\n"
        "change = lambda state: (state.model_copy(update={'throttled': state.throttled + 1}), None)\n"
        "for _ in range(100): store.update('a', change)"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, url], env=INCLUDE) for _ in range(3)]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0, 0]


def test_no_change_is_lost_between_processes(tmp_path):
    url = f"sqlite:///{tmp_path}/folder/g.sqlite"
    count_in_three_processes(url)
    store = open_store(url)
    assert store.load("a").throttled == 300
    store.close()


def test_no_change_is_lost_between_processes_on_several_machines(server_url):
    count_in_three_processes(server_url)
    store = open_store(server_url)
    assert store.load("a").throttled == 300
    store.close()


def test_a_process_that_dies_in_the_middle_of_a_change_leaves_the_state_as_it_was(tmp_path):
    url = f"sqlite:///{tmp_path}/g.sqlite"
    store = open_store(url)
    store.update("a", one_more)
    code = (
        "import os, sys; from rekindle.governor.stores import open_store\n"
        "open_store(sys.argv[1]).update('a', lambda state: os._exit(9))"
    )
    assert subprocess.run([sys.executable, "-c", code, url], env=INCLUDE, check=False, timeout=60).returncode == 9
    assert store.update("a", one_more) == 2
    store.close()


def test_a_state_of_another_version_is_read_as_far_as_it_is_known():
    assert AccountState.model_validate_json('{"throttled": 3, "of_the_future": 1}') == AccountState(throttled=3)


def test_relative_and_absolute_files(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite:///here.sqlite", f"sqlite:///{tmp_path}/there.sqlite"):
        store = open_store(url)
        store.update("a", one_more)
        store.close()
    assert {path.name for path in tmp_path.glob("*.sqlite")} == {"here.sqlite", "there.sqlite"}


def test_a_file_that_can_not_be_used_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailableError, match="can not be used"):
        SqliteStore(tmp_path / "file" / "governor.sqlite")
    broken = tmp_path / "broken.sqlite"
    broken.write_bytes(b"no database " * 100)
    with pytest.raises(StoreUnavailableError, match="can not be used"):
        SqliteStore(broken)


def test_a_redis_that_went_away_is_said_without_its_password(small_redis):
    store = open_store(small_redis.url)
    store.update("a", one_more)
    small_redis.shutdown()
    small_redis.server_close()
    store.close()
    for use in (lambda: store.load("a"), lambda: store.update("a", one_more)):
        with pytest.raises(StoreUnavailableError, match="Redis") as caught:
            use()
        assert "a-password" not in str(caught.value)


def test_a_postgresql_that_went_away_is_said_without_its_password(tmp_path, small_psycopg):
    store = open_store("postgresql://u:a-password@host/db")
    store.update("a", one_more)
    store.close()
    for use in (lambda: store.load("a"), lambda: store.update("a", one_more)):
        with pytest.raises(StoreUnavailableError, match="PostgreSQL") as caught:
            use()
        assert "a-password" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://host/db", "'mysql'"),
        ("sqlite://relative.sqlite", "'sqlite'"),
        ("sqlite:///", "'sqlite'"),
        ("/var/lib/governor", "is not a URL"),
        ("redis:host-a-password", "is not a URL"),
    ],
)
def test_a_store_we_do_not_know_is_refused_with_those_we_do(url, told):
    with pytest.raises(ConfigurationError, match=r"sqlite:///.*postgresql://") as caught:
        open_store(url)
    assert told in str(caught.value)
    assert "a-password" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "package"),
    [("redis://:a-password@host/0", "'redis'"), ("postgresql://u:a-password@host/db", "'psycopg")],
)
def test_a_missing_driver_is_said_with_its_package(monkeypatch: pytest.MonkeyPatch, url, package):
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(stores, "import_module", missing)
    with pytest.raises(ConfigurationError, match="install it on every machine") as caught:
        open_store(url)
    assert package in str(caught.value)
    assert "a-password" not in str(caught.value)
