"""A process is frozen where it does not have the file open, however often it opens it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rekindle.chaos.open_files import freeze_without

OPENS_IT_AGAIN_AND_AGAIN = """
import sys, time
while True:
    with open(sys.argv[1]):
        print("open", flush=True)
        time.sleep(0.02)
    time.sleep(0.02)
"""


@pytest.fixture
def other(tmp_path):
    path = tmp_path / "warehouse.duckdb"
    path.touch()
    with subprocess.Popen(
        [sys.executable, "-c", OPENS_IT_AGAIN_AND_AGAIN, str(path)], stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        yield process.pid, path
        process.kill()


def open_files_of(pid: int) -> set[Path]:
    return {descriptor.readlink() for descriptor in Path(f"/proc/{pid}/fd").iterdir()}


def test_a_process_is_frozen_without_the_file(other):
    pid, path = other
    for _ in range(30):
        freeze_without(pid, path)
        assert os.waitpid(pid, os.WUNTRACED) == (pid, signal.SIGSTOP << 8 | 0x7F)
        assert path not in open_files_of(pid)
        os.kill(pid, signal.SIGCONT)
