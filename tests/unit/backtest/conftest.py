"""Small logs with a known truth, and folders of rules to spoil."""

from __future__ import annotations

import csv
import random
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rekindle import cli

ROOT = Path(__file__).parents[3]
LOG_BEGINS = datetime(2025, 1, 1, tzinfo=UTC)
LOG_DAYS = 300


@pytest.fixture
def backtest_command(monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Calls `rekindle …` in this process; exit code, stdout and the complaint alone."""
    monkeypatch.setattr(cli.console, "_width", 200)
    monkeypatch.setattr(cli.complaints, "_width", 400)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rekindle", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err.strip()

    return call


@pytest.fixture
def seeds(tmp_path) -> Path:
    """A copy of the reviewed rules."""
    folder = tmp_path / "seeds"
    folder.mkdir()
    for name in ("score_weights.csv", "score_thresholds.csv", "score_plan_presets.csv"):
        shutil.copyfile(ROOT / "dbt_project" / "seeds" / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def small_log(tmp_path_factory) -> Path:
    """300 leads who come at a pace of their own until they leave for good, and are mailed long after."""
    path = tmp_path_factory.mktemp("small_log") / "small.csv"
    chance = random.Random(3)
    rows: list[tuple[str, str, str]] = []
    for number in range(300):
        pace = chance.choice((3, 10, 30, 60))
        begins = chance.uniform(0, 200)
        leaves = begins + chance.expovariate(1 / 90)
        when = begins
        while when < min(leaves, LOG_DAYS):
            event = chance.choice(("logged_in", "purchase", "page_viewed"))
            rows.append((f"lead-{number:03d}", event, f"{LOG_BEGINS + timedelta(days=when):%Y-%m-%dT%H:%M:%SZ}"))
            when += chance.expovariate(1 / pace)
        rows.append((f"lead-{number:03d}", "email_sent", f"{LOG_BEGINS + timedelta(days=299):%Y-%m-%dT%H:%M:%SZ}"))
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("user_id", "event_type", "occurred_at"), *rows])
    return path
