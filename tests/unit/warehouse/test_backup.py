"""A copy made between other processes' transactions is whole, and takes nobody's lock away."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from rekindle.cli import app
from rekindle.errors import BadInputError
from rekindle.warehouse.backup import back_up
from rekindle.warehouse.duckdb import DuckDbWarehouse

#: Opens the file again and again and adds two rows that belong together, until it is told to stop.
WRITER = """
import sys, time
from pathlib import Path
from rekindle.warehouse.duckdb import DuckDbWarehouse
warehouse, stop = DuckDbWarehouse(Path(sys.argv[1])), Path(sys.argv[2])
number = 0
while not stop.exists():
    number += 1
    with warehouse.transaction() as transaction:
        for half in ("left", "right"):
            transaction.connection.execute("insert into rekindle_state.pairs values (?, ?)", [number, half])
    if number == 1:
        print("writing", flush=True)
    time.sleep(0.02)
print(number)
"""


@pytest.fixture
def live(tmp_path: Path, empty_warehouse: Path) -> Path:
    path = tmp_path / "live" / "warehouse.duckdb"
    path.parent.mkdir()
    shutil.copyfile(empty_warehouse, path)
    DuckDbWarehouse(path).run_script("create table rekindle_state.pairs (number bigint, half varchar)")
    return path


@pytest.fixture
def writer(live: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(live), str(tmp_path / "stop")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "writing\n"
    yield process
    process.kill()
    process.wait()


def pairs(path: Path) -> list[tuple[int, int]]:
    """Rows, and the numbers of which one half is missing."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(
            "select count(*), count(*) filter (where halves <> 2) from"
            " (select number, count(*) as halves from rekindle_state.pairs group by number)"
        ).fetchall()


def test_a_copy_made_between_somebodys_transactions_is_whole(
    live: Path, writer: subprocess.Popen[str], tmp_path: Path
) -> None:
    warehouse = DuckDbWarehouse(live)
    copies = [back_up(warehouse, tmp_path / "kept" / str(number)) for number in range(3)]
    (tmp_path / "stop").touch()
    told, _ = writer.communicate(timeout=60)
    assert writer.returncode == 0  # nobody was thrown out of his transaction
    counted = [pairs(copy)[0] for copy in copies]
    assert [broken for _, broken in counted] == [0, 0, 0]
    assert 1 <= counted[0][0] <= counted[1][0] <= counted[2][0] <= int(told)
    assert pairs(live) == [(int(told), 0)]


def test_what_a_crash_left_in_the_log_is_in_the_copy(live: Path, tmp_path: Path) -> None:
    crash = "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute(sys.argv[2]); os._exit(9)"
    subprocess.run(
        [sys.executable, "-c", crash, str(live), "insert into rekindle_state.pairs values (1, 'left'), (1, 'right')"],
        check=False,
    )
    assert live.with_name("warehouse.duckdb.wal").exists()
    copy = back_up(DuckDbWarehouse(live), tmp_path / "kept")
    assert pairs(copy) == [(1, 0)]
    assert [path.name for path in copy.parent.iterdir()] == ["warehouse.duckdb"]


def test_the_copy_is_the_owners_alone_and_is_never_overwritten(live: Path, tmp_path: Path) -> None:
    copy = back_up(DuckDbWarehouse(live), tmp_path / "kept")
    assert (copy.stat().st_mode & 0o777, copy.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    before = copy.read_bytes()
    with pytest.raises(BadInputError, match="exists"):
        back_up(DuckDbWarehouse(live), tmp_path / "kept")
    assert copy.read_bytes() == before


def test_the_command(live: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKINDLE_WAREHOUSE_PATH", str(live))
    told = CliRunner().invoke(app, ["backup", str(tmp_path / "kept")], catch_exceptions=False).stdout
    assert "bytes, whole" in " ".join(told.split())
    # restored under its own name it is a warehouse again
    live.unlink()
    shutil.copyfile(tmp_path / "kept" / "warehouse.duckdb", live)
    assert CliRunner().invoke(app, ["check"]).exit_code == 0
