"""`rekindle calibrate`: what it learns on a log with a known truth, and where it refuses to write."""

from __future__ import annotations

import csv
import random
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from rekindle import cli
from rekindle.backtest.rules import Signal, read_rules
from rekindle.calibrate.fitting import _logistic, _whole_points
from rekindle.calibrate.proposal import check_dates
from rekindle.errors import BadInputError

ROOT = Path(__file__).parents[3]
REVIEWED = ROOT / "dbt_project" / "seeds"


@pytest.fixture
def calibrate_command(monkeypatch, capsys):
    """Calls `rekindle calibrate …` in this process; exit code, stdout and stderr."""
    monkeypatch.setattr(cli.console, "_width", 200)
    monkeypatch.setattr(cli.complaints, "_width", 400)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rekindle", "calibrate", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err.strip()

    return call


@pytest.fixture
def log_of_habits(tmp_path) -> Path:
    """600 leads who never leave: only their pace tells who comes within thirty days, and silence says little."""
    path = tmp_path / "habits.csv"
    chance = random.Random(4)
    rows = [("user_id", "event_type", "occurred_at")]
    for number in range(600):
        pace = chance.choice((20, 150))
        when = chance.uniform(0, 60)
        while when < 400:
            rows.append(
                (f"{number}", "purchase", f"{datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=when):%Y-%m-%d}")
            )
            when += chance.expovariate(1 / pace)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.mark.slow
def test_habit_is_learnt_where_habit_is_the_truth(calibrate_command, log_of_habits, tmp_path):
    out_folder = tmp_path / "proposal"
    reviewed = {path.name: path.read_bytes() for path in REVIEWED.iterdir()}
    code, out, err = calibrate_command(
        "--events", log_of_habits, "--as-of", "2025-08-01,2025-10-15", "--out", out_folder
    )
    assert (code, err) == (0, "")
    # Then the proposal is a set of rules that is in order, one version up, and says more of habit
    was, will_be = read_rules(REVIEWED), read_rules(out_folder)
    assert will_be.of_preset("default")[Signal.HABIT].weight > was.of_preset("default")[Signal.HABIT].weight
    assert will_be.threshold("default").score_version == was.threshold("default").score_version + 1
    # And nothing the log can not speak about, and no other preset, was touched
    for signal in (Signal.LOG_IN, Signal.EMAIL_CLICK, Signal.EMAIL_OPEN, Signal.SUPPORT):
        assert will_be.of_preset("default")[signal].weight == was.of_preset("default")[signal].weight
    for preset in ("classic_rule", "b2c", "b2b"):
        assert will_be.of_preset(preset) == was.of_preset(preset)
    # And it is ahead on the date it never saw, for certain
    found = re.search(r"than days since last seen by (\S+) \((\S+) to (\S+)\)", out)
    assert found and float(found[2]) > 0
    report = (out_folder / "report.md").read_text()
    assert "| 2025-10-15 |" in report and "| 2025-08-01 |" not in report
    assert (out_folder / "calibration.svg").exists()
    # And the reviewed rules are as they were
    assert {path.name: path.read_bytes() for path in REVIEWED.iterdir()} == reviewed


@pytest.mark.parametrize("folder", [REVIEWED, REVIEWED / "new", REVIEWED / ".." / "seeds"])
def test_the_reviewed_rules_are_never_written_over(calibrate_command, log_of_habits, folder):
    code, out, err = calibrate_command("--events", log_of_habits, "--as-of", "2025-08-01,2025-10-15", "--out", folder)
    assert (code, out) == (2, "")
    assert err == (
        f"error: --out {folder}: this is where the reviewed rules are; a proposal is written elsewhere, and copied"
        " there by whoever reviewed it"
    )
    assert not (REVIEWED / "new").exists()


def test_somebody_elses_rules_are_not_written_over(calibrate_command, log_of_habits, tmp_path):
    (tmp_path / "score_weights.csv").write_text("mine")
    code, _, err = calibrate_command("--events", log_of_habits, "--as-of", "2025-08-01,2025-10-15", "--out", tmp_path)
    assert code == 2
    assert err == f"error: --out {tmp_path}: holds a score_weights.csv that no calibration wrote; name another folder"
    assert (tmp_path / "score_weights.csv").read_text() == "mine"


def days(*texts: str) -> list[datetime]:
    return [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in texts]


def test_the_later_half_judges():
    earlier, later = check_dates(days("2025-01-01", "2025-03-01", "2025-05-01"), 30)
    assert (list(earlier), list(later)) == (days("2025-01-01", "2025-03-01"), days("2025-05-01"))


@pytest.mark.parametrize(
    ("dates", "complaint"),
    [
        (["2025-01-01"], "give two dates or more"),
        (
            ["2025-01-01", "2025-01-20"],
            "the 30 days after 2025-01-01, which the weights are fitted to, reach past 2025-01-20",
        ),
    ],
)
def test_what_is_learnt_may_not_reach_into_what_is_judged(dates, complaint):
    with pytest.raises(BadInputError, match=complaint):
        check_dates(days(*dates), 30)


def test_the_fit_finds_the_coefficients_it_was_given_and_none_below_zero():
    chance = np.random.default_rng(2)
    columns = chance.uniform(0, 1, (20_000, 3))
    away = chance.uniform(0, 1, 20_000) < 1 / (1 + np.exp(-(columns @ [3.0, 1.0, -2.0])))
    _, found = _logistic(columns[:, :2], away)
    assert found == pytest.approx([3.0, 1.0], abs=0.35)
    _, found = _logistic(columns, away)
    assert found[2] == 0 and found[0] > found[1] > 0


@pytest.mark.parametrize(
    ("coefficients", "share", "points"),
    [
        ([1.0, 1.0, 1.0], 100, [34, 33, 33]),
        ([3.0, 1.0, 0.0], 75, [56, 19, 0]),
        ([2.0, 1.0], 7.5, [5.5, 2]),
    ],
)
def test_points_are_whole_and_sum_to_their_share(coefficients, share, points):
    assert list(_whole_points(np.array(coefficients), share)) == points
