"""`rekindle chaos` as a user meets it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "rekindle.cli", "chaos", "--workers", "1", "--seed", "11"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "include"), "COLUMNS": "120"}


def test_a_short_run_tells_what_it_killed_and_keeps_what_it_was_told_to_keep(tmp_path):
    keep = tmp_path / "kept"
    arguments = [*COMMAND, "--kills", "6", "--keep", str(keep)]
    run = subprocess.run(arguments, capture_output=True, text=True, env=ENVIRONMENT, timeout=200, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "6 dispatchers killed in 1 histories, seeds 11 to 11: every promise kept" in run.stdout
    assert "accepted twice by a provider" in run.stdout and "BROKEN" not in run.stdout
    assert {"warehouse.duckdb", "record.jsonl", "clock"} <= {path.name for path in (keep / "history-11").iterdir()}
    again = subprocess.run(arguments, capture_output=True, text=True, env=ENVIRONMENT, timeout=60, check=False)
    assert again.returncode == 2
    assert "is not empty; name a new folder" in again.stderr


def test_ctrl_c_leaves_no_process_behind(tmp_path):
    keep = tmp_path / "kept"
    run = subprocess.Popen(
        [*COMMAND, "--kills", "200", "--keep", str(keep)], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    deadline = time.monotonic() + 100
    while len(list(keep.glob("history-11/*.trail"))) < 3:
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    started = psutil.Process(run.pid).children(recursive=True)
    assert len(started) >= 3  # the room, the receiver, the sandbox
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "stopped; every process that was started is gone" in said
    assert not [process for process in started if process.is_running()]
