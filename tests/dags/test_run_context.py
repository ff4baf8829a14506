"""Which instant a task acts as of, and how it travels to the next DAG.

Contexts are made up: a real one takes a scheduler, and the end-to-end test has one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors, set_current_context

from rekindle.clock import SteppedClock
from rekindle.errors import RekindleError
from rekindle.run import Run
from rekindle_airflow.assets import JOURNEYS, RAW, SCORES
from rekindle_airflow.run_context import announce, current_run, has_a_day, is_between_days, run_of

MONDAY = datetime(2026, 3, 2, 18, tzinfo=UTC)
STARTED = datetime(2026, 3, 9, 7, 30, tzinfo=UTC)


def context_of(conf=None, events=None, run_id="manual__1", **times):
    dag_run = SimpleNamespace(conf=conf, run_id=run_id, run_after=STARTED)
    return {"dag_run": dag_run, "triggering_asset_events": events, **times}


def event(extra):
    return SimpleNamespace(extra=extra)


@pytest.fixture(autouse=True)
def machine_clock(monkeypatch):
    monkeypatch.delenv("REKINDLE_CLOCK_FILE", raising=False)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-03-02T18:00:00Z", MONDAY),
        ("2026-03-02T18:00:00.000000+00:00", MONDAY),
        ("2026-03-02T18:00:00", MONDAY),  # no zone means UTC
        ("2026-03-02T13:00:00-05:00", MONDAY),  # a zone is respected
        ("2026-03-02", datetime(2026, 3, 2, tzinfo=UTC)),
    ],
)
def test_the_triggers_as_of_wins(written, meant):
    context = context_of(
        {"as_of": written},
        {RAW: [event({"as_of": "2020-01-01T00:00:00+00:00"})]},
        data_interval_end=datetime(2021, 1, 1, tzinfo=UTC),
        logical_date=datetime(2022, 1, 1, tzinfo=UTC),
    )
    run = run_of(context)
    assert run.as_of == meant
    assert run.as_of.tzinfo is UTC


def test_the_newest_of_the_triggering_asset_events_is_taken():
    # Given a DAG that was busy while two days arrived, and an event that carries nothing
    events = {
        RAW: [event({"as_of": "2026-03-01T18:00:00+00:00"}), event({"as_of": "2026-03-02T18:00:00+00:00"}), event({})],
        SCORES: [event({"as_of": "2026-02-28T18:00:00+00:00"}), event(None)],
    }
    assert run_of(context_of(events=events, data_interval_end=None, logical_date=None)).as_of == MONDAY


def test_a_cron_run_acts_as_of_the_end_of_its_interval():
    offset = timezone(timedelta(hours=2))
    context = context_of({}, {}, data_interval_end=MONDAY.astimezone(offset), logical_date=MONDAY - timedelta(days=1))
    assert run_of(context).as_of == MONDAY
    assert run_of(context).as_of.tzinfo is UTC


@pytest.mark.parametrize("conf", [None, {}, {"as_of": ""}, {"as_of": None}])
def test_a_run_without_an_interval_acts_as_of_its_logical_date_else_when_it_may_start(conf):
    assert run_of(context_of(conf, None, data_interval_end=None, logical_date=MONDAY)).as_of == MONDAY
    assert run_of(context_of(conf, None, logical_date=None)).as_of == STARTED


def test_an_event_without_an_instant_is_not_taken_for_one():
    context = context_of(events={RAW: [event({}), event({"as_of": ""})]}, logical_date=MONDAY)
    assert run_of(context).as_of == MONDAY


def test_rows_are_recorded_at_the_stepped_clocks_time(tmp_path, monkeypatch):
    SteppedClock(tmp_path / "clock").step_to(MONDAY)
    monkeypatch.setenv("REKINDLE_CLOCK_FILE", str(tmp_path / "clock"))
    run = run_of(context_of({"as_of": "2026-03-01T18:00:00Z"}, run_id="manual__7"))
    assert run == Run(as_of=MONDAY - timedelta(days=1), run_id="manual__7", recorded_at=MONDAY)


def test_without_a_stepped_clock_rows_are_recorded_now():
    before = datetime.now(UTC)
    recorded_at = run_of(context_of({"as_of": "2026-03-01T18:00:00Z"})).recorded_at
    assert before <= recorded_at <= datetime.now(UTC)


def test_the_current_run_comes_from_airflows_own_context():
    with set_current_context(context_of({"as_of": "2026-03-02T18:00:00Z"})):
        assert current_run().as_of == MONDAY


def test_what_is_announced_is_what_the_next_dag_reads():
    # Given a task with two outlets
    run = Run(as_of=MONDAY, run_id="asset__1", recorded_at=STARTED)
    accessors = OutletEventAccessors()
    # When it announces its run
    announce({"task": SimpleNamespace(outlets=[SCORES, JOURNEYS]), "outlet_events": accessors}, run)
    # Then both events carry the instant, and a run they trigger acts as of it
    assert accessors[SCORES].extra == accessors[JOURNEYS].extra == {"as_of": "2026-03-02T18:00:00+00:00"}
    assert accessors[Asset("somebody_elses")].extra == {}
    triggered = context_of(events={SCORES: [event(accessors[SCORES].extra)]})
    assert run_of(triggered).as_of == MONDAY


DAY = {"as_of": "2026-03-02T20:00:00+00:00"}
LOOK_BEFORE = {"as_of": "2026-03-02T19:15:00+00:00", "between_days": True}
LOOK_AFTER = {"as_of": "2026-03-02T20:15:00+00:00", "between_days": True}


@pytest.mark.parametrize(
    ("extras", "between_days", "day"),
    [
        ([LOOK_BEFORE], True, False),
        ([LOOK_BEFORE, LOOK_AFTER], True, False),
        ([DAY], False, True),
        # both waited: the tick is what the newest of them is, and the day must be measured all the same
        ([LOOK_BEFORE, DAY], False, True),
        ([DAY, LOOK_AFTER], True, True),
        ([{}], False, True),
        ([None, LOOK_BEFORE], True, True),
        ([], False, True),
    ],
)
def test_a_look_between_two_days_is_no_day(extras, between_days, day):
    context = context_of(events={SCORES: [event(extra) for extra in extras]})
    assert (is_between_days(context), has_a_day(context)) == (between_days, day)


def test_a_run_whose_trigger_says_the_instant_is_a_day():
    context = context_of({"as_of": "2026-03-02T18:00:00Z"}, {SCORES: [event(LOOK_AFTER)]})
    assert (is_between_days(context), has_a_day(context)) == (False, True)


def test_that_it_is_no_day_travels_on():
    accessors = OutletEventAccessors()
    run = Run(as_of=MONDAY, run_id="asset__1", recorded_at=STARTED)
    announce({"task": SimpleNamespace(outlets=[JOURNEYS]), "outlet_events": accessors}, run, between_days=True)
    assert is_between_days(context_of(events={JOURNEYS: [event(accessors[JOURNEYS].extra)]}))


def test_a_task_without_outlets_announces_nothing():
    accessors = OutletEventAccessors()
    task = SimpleNamespace(outlets=[])
    announce({"task": task, "outlet_events": accessors}, Run(MONDAY, "manual__1", STARTED))
    assert len(accessors) == 0


def test_an_as_of_that_is_no_instant_is_said_to_be_ours_to_mend():
    with pytest.raises(RekindleError, match=r"as_of.*last tuesday"):
        run_of(context_of({"as_of": "last tuesday"}))
