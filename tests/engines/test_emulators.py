"""A part that can not be had is said, and is a failure where nobody looks at skips."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def nowhere(emulators, monkeypatch, tmp_path):
    """A machine with neither the environments nor what they are made from."""
    monkeypatch.setattr(emulators, "HOME", tmp_path / "emulators")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return emulators


@pytest.mark.parametrize(
    ("serve", "told"),
    [
        ("bigquery_server", r"Python 3\.13 is not on this machine \(pyenv install 3\.13\)"),
        ("snowflake_server", r"uv pip install --quiet … failed: .*snowduck"),
    ],
)
def test_what_is_missing_is_named_skipped_and_fails_in_ci(nowhere, monkeypatch, serve, told):
    with pytest.raises(nowhere.NotAvailableError, match=f"(?s){told}") as missing, getattr(nowhere, serve)():
        pass
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=f"(?s)an emulator is missing: .*{told}"):
        nowhere.give_up(missing.value)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=f"(?s)an emulator is missing: .*{told}"):
        nowhere.give_up(missing.value)


def test_a_server_that_ends_at_once_is_missing(emulators, tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, "-c", "raise SystemExit('no such extension')"]
    with (
        pytest.raises(emulators.NotAvailableError, match="the emulator ended with 1: no such extension"),
        emulators._running(command, 1, log, {}),
    ):
        pass


def test_a_server_ends_with_the_test_that_started_it(emulators, tmp_path):
    (port,) = emulators._free_ports(1)
    listening = f"""
import pathlib, os, socket
server = socket.create_server(("127.0.0.1", {port}))
pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
while True:
    server.accept()
"""
    with emulators._running([sys.executable, "-c", listening], port, tmp_path / "log", {}):
        pid = int((tmp_path / "pid").read_text())
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()


def test_live_tests_say_how_to_ask_for_them():
    folder = Path(__file__).parents[1] / "live"
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", str(folder)],
        env={name: value for name, value in os.environ.items() if name != "REKINDLE_LIVE"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stdout
    for engine in ("bigquery", "snowflake"):
        assert (
            f"REKINDLE_LIVE does not name {engine}; set it, and its credentials, to talk to the real one"
            in finished.stdout
        )
