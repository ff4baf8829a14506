"""The built-in log, as the installed package has it."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import date, datetime, timedelta
from importlib.metadata import PackageNotFoundError

import pytest

from rekindle.demo import cdnow
from rekindle.errors import ConfigurationError


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return cdnow.write_cdnow_events(tmp_path_factory.mktemp("cdnow"), date(2026, 7, 31))


def test_every_purchase_is_there_on_the_line_it_came_from(log):
    rows = read(log.path)
    assert len(rows) == 69_659
    assert len({row["user_id"] for row in rows}) == 23_570
    assert len({row["event_id"] for row in rows}) == 69_659
    assert {row["event_type"] for row in rows} == {"purchase"}
    originals = cdnow.cdnow_file().read_text().splitlines()
    for number in (1, 2, 34_000, 69_659):  # line numbers below the header
        customer, day, cds, dollars = originals[number].split()
        row = rows[number - 1]
        assert row["user_id"] == customer
        moved = datetime.fromisoformat(row["occurred_at"]).date() - date.fromisoformat(day)
        assert moved == timedelta(weeks=log.weeks_moved)
        assert json.loads(row["properties"]) == {
            "cds": int(cds),
            "dollars": float(dollars),
            "time_of_day_made_up": True,
        }


@pytest.mark.parametrize(
    ("ends_by", "last_day"),
    [
        (date(1998, 6, 30), date(1998, 6, 30)),
        (date(2026, 7, 28), date(2026, 7, 28)),  # a Tuesday, as 1998-06-30 was
        (date(2026, 7, 27), date(2026, 7, 21)),
        (date(2026, 8, 3), date(2026, 7, 28)),
        (date(1997, 1, 1), date(1996, 12, 31)),
    ],
)
def test_the_log_moves_by_whole_weeks_and_ends_in_time(tmp_path, ends_by, last_day):
    moved = cdnow.write_cdnow_events(tmp_path, ends_by)
    assert moved.last_day == last_day == cdnow.CDNOW_LAST_DAY + timedelta(weeks=moved.weeks_moved)
    assert max(row["occurred_at"] for row in read(moved.path))[:10] == last_day.isoformat()
    assert 0 <= (ends_by - last_day).days < 7


def test_two_purchases_on_a_day_are_two_events_at_two_times(log):
    rows = read(log.path)
    days = Counter((row["user_id"], row["occurred_at"][:10]) for row in rows)
    repeated = {key for key, count in days.items() if count > 1}
    assert len(repeated) > 100
    times = {(row["user_id"], row["occurred_at"]) for row in rows}
    assert len(rows) - len(times) < 5  # two draws of 43,200 seconds may meet


def test_ids_and_times_of_day_do_not_depend_on_the_move(log, tmp_path):
    other = read(cdnow.write_cdnow_events(tmp_path, date(2020, 1, 1)).path)
    for row, moved in zip(read(log.path)[::500], other[::500], strict=True):
        assert row["event_id"] == moved["event_id"]
        assert row["occurred_at"][10:] == moved["occurred_at"][10:]
        assert "12:00:00" <= row["occurred_at"][11:19] <= "23:59:59"


def test_a_missing_package_says_what_to_do(monkeypatch):
    """The package can not be uninstalled for a test, so its look-up is replaced."""

    def not_installed(_name):
        raise PackageNotFoundError

    monkeypatch.setattr(cdnow, "distribution", not_installed)
    with pytest.raises(ConfigurationError, match="give an event log of your own"):
        cdnow.cdnow_file()
