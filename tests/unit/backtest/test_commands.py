"""`rekindle backtest` and `rekindle diff-score` as a user meets them, over the real models."""

from __future__ import annotations

import csv
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from rekindle.backtest.areas import area

ROOT = Path(__file__).parents[3]
CROSS_VALIDATED = ROOT.parent / "shared" / "data" / "cross_validated_events.parquet"


def leads_of(log: Path, as_of: datetime, horizon: int) -> list[tuple[float, int, bool]]:
    """Days silent, events and whether they came back, counted without the models."""
    silent: dict[str, list[datetime]] = {}
    back: set[str] = set()
    for row in csv.DictReader(log.read_text().splitlines()):
        when = datetime.fromisoformat(row["occurred_at"])
        if row["event_type"] == "email_sent":
            continue
        if when < as_of:
            silent.setdefault(row["user_id"], []).append(when)
        elif when < as_of + timedelta(days=horizon) and row["event_type"] != "page_viewed":
            back.add(row["user_id"])
    return [((as_of - max(seen)).total_seconds(), len(seen), lead in back) for lead, seen in silent.items()]


@pytest.mark.slow
def test_a_backtest_of_a_small_log(backtest_command, small_log, tmp_path):
    picture = tmp_path / "areas.svg"
    code, out, err = backtest_command(
        "backtest", "--events", small_log, "--as-of", "2025-06-01,2025-08-01", "--horizon-days", 30, "--key-action",
        "purchase", "--json", "--picture", picture,
    )  # fmt: skip
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["key_actions"] == ["purchase"] and found["log_ins"] == ["logged_in"]
    assert found["passive"] == ["email_sent"]
    counted = {}
    for each in found["dates"]:
        # Then the yardsticks are those anybody would count from the file
        leads = leads_of(small_log, datetime.fromisoformat(each["as_of"]).replace(tzinfo=UTC), 30)
        away = [not back for *_, back in leads]
        assert (each["n"], each["returned"]) == (len(leads), len(leads) - sum(away))
        assert each["auc"]["recency"] == pytest.approx(area([silence for silence, *_ in leads], away))
        assert each["auc"]["frequency"] == pytest.approx(area([-events for _, events, _ in leads], away))
        for name, value in each["auc"].items():
            low, high = each["interval"][name]
            assert 0.5 < low <= value <= high <= 1
        counted[each["as_of"]] = each["n"], each["returned"]
    assert list(counted) == ["2025-06-01", "2025-08-01"]
    pooled = found["pooled"]
    assert (pooled["n"], pooled["returned"]) == tuple(map(sum, zip(*counted.values(), strict=True)))
    assert pooled["ahead_of"]["recency"]["value"] == pytest.approx(pooled["auc"]["score"] - pooled["auc"]["recency"])
    assert abs(pooled["ahead_of"]["recency"]["value"]) < 0.01
    assert sum(band["n"] for band in found["calibration"]) == pooled["n"]
    assert picture.read_text().lstrip().startswith("<?xml") and "</svg>" in picture.read_text()


@pytest.mark.slow
@pytest.mark.skipif(not CROSS_VALIDATED.exists(), reason=f"the log is not at {CROSS_VALIDATED}")
def test_on_a_real_log_the_score_is_ahead_of_recency_for_certain(backtest_command):
    code, out, _ = backtest_command(
        "backtest", "--events", CROSS_VALIDATED, "--as-of", "2013-09-01,2014-08-01", "--json",
        "--key-action", "question_posted", "--key-action", "answer_posted",
    )  # fmt: skip
    assert code == 0
    found = json.loads(out)
    assert [each["n"] for each in found["dates"]] == [21_615, 37_835]
    for each in (*found["dates"], found["pooled"]):
        assert each["auc"]["score"] > 0.82
        assert each["ahead_of"]["recency"]["interval"][0] > 0.005


@pytest.mark.slow
def test_nobody_came_back(backtest_command, tmp_path):
    log = tmp_path / "gone.csv"
    log.write_text(
        "user_id,event_type,occurred_at\nann,purchase,2025-01-01\nbob,purchase,2025-01-02\ncid,page_viewed,2025-06-01\n"
    )
    code, out, err = backtest_command("backtest", "--events", log, "--as-of", "2025-03-01", "--key-action", "purchase")
    assert (code, out) == (2, "")
    assert err == (
        f"error: {log}: of the 2 leads known as of 2025-03-01 nobody came back within 30 days (what proves it:"
        " purchase). Choose another date, a longer --horizon-days, or say with --key-action or --log-in which event"
        " types prove it."
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["--as-of", "2025-06-01", "--events", "nowhere.csv"],
            "nowhere.csv: there is no such file. Check the path.",
        ),
        (
            ["--as-of", "2025-01-01"],
            "{log}: as of 2025-01-01 nothing had happened yet: the log begins on 2025-01-01; choose a later date",
        ),
        (
            ["--as-of", "2025-06-01,2025-10-20"],
            "{log}: the 30 days after 2025-10-20 are not over when the log ends, on 2025-10-27; choose 2025-09-28 or"
            " earlier, or a shorter --horizon-days",
        ),
        (
            ["--as-of", "June"],
            "--as-of: `June` is no date; write 2014-03-01, several with commas: 2014-03-01,2014-06-01",
        ),
        (
            ["--as-of", "2025-06-01", "--key-action", "purchased"],
            "{log}: no event is of type `purchased`; the log has `email_sent`, `logged_in`, `page_viewed`, `purchase`."
            " Did you mean `purchase`?",
        ),
        (
            ["--as-of", "2025-06-01", "--picture", "areas.pdf"],
            "--picture areas.pdf: give a file name that ends in .svg or .png",
        ),
        (
            ["--as-of", "2025-06-01", "--picture", "no/such/areas.svg"],
            "--picture no/such/areas.svg: there is no folder no/such; make it first",
        ),
        (
            ["--as-of", "2025-06-01", "--seeds", "no/seeds"],
            "there is no folder no/seeds; name the folder that holds score_weights.csv",
        ),
    ],
)
def test_what_can_not_be_judged_is_told_in_one_line(
    backtest_command, small_log, monkeypatch, tmp_path, arguments, complaint
):
    monkeypatch.chdir(tmp_path)
    events = [] if "--events" in arguments else ["--events", small_log]
    code, out, err = backtest_command("backtest", *events, *arguments)
    assert (code, out) == (2, "")
    assert err == "error: " + complaint.format(log=small_log)


def test_a_log_without_a_column(backtest_command, tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("user_id,event,occurred_at\nann,purchase,2025-01-01\n")
    code, _, err = backtest_command("backtest", "--events", log, "--as-of", "2025-01-02")
    assert code == 2
    assert err == (
        f"error: {log}: missing column `event_type`; the file has `user_id`, `event`, `occurred_at`. Did you mean"
        " `event` → event_type? Rename or add the column."
    )


@pytest.mark.slow
def test_a_changed_line_moves_leads_and_says_who(backtest_command, small_log, seeds):
    # Given rules under which a lead is cold later than under the reviewed ones
    thresholds = seeds / "score_thresholds.csv"
    thresholds.write_text(thresholds.read_text().replace("3,default,69,55,", "3,default,85,70,"))
    code, out, err = backtest_command(
        "diff-score", "--base", seeds, "--events", small_log, "--as-of", "2025-08-01", "--key-action", "purchase",
        "--json",
    )  # fmt: skip
    assert (code, err) == (0, "")
    found = json.loads(out)
    # Then leads enter by the rules of the working tree, none leaves, and no score moves
    assert found["enter"] == found["cold_after"] - found["cold_before"] > 5
    assert (found["leave"], found["mean_shift"]) == (0, 0)
    assert sum(found["enter_by_segment"].values()) == found["enter"]
    assert set(found["enter_by_segment"]) <= {"never_activated", "high_intent", "lapsed_buyer", "low_engagement"}
    for segment, samples in found["enter_samples"].items():
        assert 1 <= len(samples) <= min(5, found["enter_by_segment"][segment])
        assert all(lead.startswith("lead-") for lead in samples)


@pytest.mark.slow
def test_a_warehouse_is_compared_in_copies_and_stays_as_it_is(
    backtest_command, empty_warehouse, seeds, monkeypatch, tmp_path
):
    path = tmp_path / "ours.duckdb"
    shutil.copyfile(empty_warehouse, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "insert into rekindle_raw.events (event_id, user_id, event_type, occurred_at, is_made_up,"
            " source_file, source_row, loaded_at)"
            " select 'e' || n, 'lead-' || n, 'purchase', timestamp '2025-06-01' - to_days(cast(n as integer)), false,"
            " 'log.csv', n, now() from range(60, 120) as numbers (n)"
        )
    before = path.read_bytes()
    monkeypatch.setenv("REKINDLE_WAREHOUSE_PATH", str(path))
    # When nobody ever scored it, the instant must be said
    code, _, err = backtest_command("diff-score", "--base", seeds)
    assert (code, err) == (2, "error: this warehouse was never scored; say as of when with --as-of")
    # And with it, the reviewed rules differ in nothing from a copy of themselves
    code, out, err = backtest_command("diff-score", "--base", seeds, "--as-of", "2025-06-01")
    assert (code, err) == (0, "")
    assert out.startswith(f"As of 2025-06-01, 60 leads, compared with {seeds}: cold 35 → 35,")
    assert "Would enter the cold side: 0" in out and "Would leave it: 0" in out
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("base", "complaint"),
    [
        ("no-such-branch", "--base no-such-branch: this is neither a folder of seeds nor a git revision of "),
        ("--output=x", "--base --output=x: this is neither a folder of seeds nor a git revision of "),
    ],
)
def test_a_base_that_is_nothing(backtest_command, small_log, base, complaint):
    code, out, err = backtest_command("diff-score", f"--base={base}", "--events", small_log)
    assert (code, out) == (2, "")
    assert err.startswith("error: " + complaint)
