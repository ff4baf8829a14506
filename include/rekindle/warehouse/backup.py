"""A copy of the embedded warehouse, made while its tasks go on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rekindle.errors import BadInputError, RekindleError
from rekindle.warehouse.duckdb import DuckDbWarehouse

_COPY = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"


def back_up(warehouse: DuckDbWarehouse, folder: Path) -> Path:
    """Copy the file, and the log beside it if there is one, into a folder under its own name; returns the copy.

    Everybody else waits meanwhile, as for any transaction. The name is kept because dbt writes it into the views. The
    copy is opened and compared before it counts. Nobody but the owner may read it: it holds addresses. Raises
    `BadInputError` if there is a copy already, `WarehouseBusyError`, or `RekindleError` if the copy is not whole.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy, beginning = folder / warehouse.path.name, folder / f"beginning-{warehouse.path.name}"
    if copy.exists():
        raise BadInputError(f"{copy} exists; name another folder, a new one for each backup")
    log, log_copy = (path.with_name(f"{path.name}.wal") for path in (warehouse.path, beginning))
    try:
        with warehouse.transaction() as transaction:
            applied = transaction.fetch("audit/list_migrations")
            _copy(warehouse.path, beginning)
            if log.exists():
                _copy(log, log_copy)
        with DuckDbWarehouse(beginning).transaction() as transaction:  # takes the log in, too
            if transaction.fetch("audit/list_migrations") != applied:
                raise RekindleError(f"the copy of {warehouse.path} is not whole; is the disk full? Try again")
        return beginning.rename(copy)
    finally:
        for leftover in (beginning, log_copy):
            leftover.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    target.touch(mode=0o600)
    # by another process: who closes a file lets go of all locks his process has on it, DuckDB's too (fcntl(2))
    finished = subprocess.run(  # noqa: S603 - our own command and paths
        [sys.executable, "-I", "-S", "-c", _COPY, str(source), str(target)], capture_output=True, text=True, check=False
    )
    if finished.returncode:
        raise RekindleError(f"{source} could not be copied to {target}: {finished.stderr.strip().splitlines()[-1]}")
