"""A run that finds a broken promise says which, and how to see it again."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from rekindle import cli
from rekindle.chaos import command
from rekindle.chaos.checker import Findings
from rekindle.chaos.ground import Counts
from rekindle.chaos.report import Story


@pytest.fixture
def broken(monkeypatch):
    """The second history finds a duplicate; nothing is really played."""

    def play(folder, template, room, seed, kills, keeps, on_kills=None, stop=None):
        on_kills(kills)
        duplicates = ["message-1"] if seed == 8 else []
        return command.Told(seed, Counts(), Story(), Findings(duplicates, [], [], [], [], [], []))

    monkeypatch.setattr(command, "play_history", play)
    monkeypatch.setattr(command, "build_empty_ground", lambda path: path)


def test_it_names_the_message_and_the_seed(broken, tmp_path):
    console = Console(width=120, record=True, file=io.StringIO())
    assert command.run_chaos(150, 7, 1, tmp_path / "kept", console) is False
    said = console.export_text()
    assert "history 8 broke a promise" in said
    assert "accepted twice by a provider: message-1" in said
    assert "rekindle chaos --seed 8 --kills 50" in said
    assert "history-8" in said
    assert "1 histories broke a promise" in said


def test_the_command_then_exits_1(broken, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["rekindle", "chaos", "--kills", "150", "--seed", "7"])
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
