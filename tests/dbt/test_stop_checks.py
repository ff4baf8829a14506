"""What stops a day before anybody is written to: an unusual cohort, a stale log, an emptied suppression list."""

from __future__ import annotations

import pytest

COHORT = "assert_no_cohort_out_of_the_ordinary"
STALE = "assert_no_stale_log"
SUPPRESSIONS = "assert_no_empty_suppression_list"


@pytest.fixture
def told(warehouse, day):
    """Runs a check on some days, with statements and environment variables set in between; the days that failed."""

    def ask(check: str, *steps: int | str | tuple[str, str]) -> list[int]:
        days = [step for step in steps if isinstance(step, int)]
        outcomes = warehouse.run(
            *(
                (day(step), ("test", "--select", check))
                if isinstance(step, int)
                else (None, ("sql", step) if isinstance(step, str) else ("set", *step))
                for step in steps
            )
        )
        assert len(outcomes) == len(days)
        # a warning would stop nobody, an error says nothing
        assert all(outcome.statuses.get(check) in ("pass", "fail") for outcome in outcomes), outcomes
        return [number for number, outcome in zip(days, outcomes, strict=True) if outcome.named("fail")]

    return ask


@pytest.fixture
def crossed(day):
    """The statement that records so many crossings of a day, found by the scoring of that day or of a later one."""

    def statement(number: int, leads: int, scored: int | None = None, is_cold: bool = True, crossed: str = "") -> str:
        on, scored_on = (f"date '{day(each).date()}'" for each in (number, number if scored is None else scored))
        return (
            "insert into rekindle_marts.fct_cold_transitions"
            f" select 'lead', {scored_on}, {is_cold}, {crossed or on} from range({leads});"
        )

    return statement


EMPTY = (
    "create schema rekindle_marts; create table rekindle_marts.fct_cold_transitions"
    " (lead_id varchar, scored_on date, is_cold boolean, crossed_cold_on date)"
)


def test_a_cohort_of_nobody_or_of_three_times_the_usual(crossed, told, warehouse):
    # Given a first scoring that dates a week of crossings, then 25 a day
    history = [crossed(number, 25, scored=0) for number in range(-6, 1)] + [crossed(each, 25) for each in range(1, 10)]
    # who left the line, or crossed it long ago, is in no cohort
    history += [crossed(9, 500, is_cold=False, crossed="null"), crossed(9, 500, crossed="null")]
    # And on the tenth nobody; a day later a run that catches up with it: twice the usual, once for each day
    history += [crossed(10, 70, scored=11), crossed(11, 70, scored=11)]
    # And then three times as many as usual, and one less
    history += [crossed(12, 75), crossed(13, 74)]
    # Then those two days stop, unless whoever looked at them lets them through
    through = ("REKINDLE_COHORT_TIMES_USUAL", "0")
    assert told(COHORT, EMPTY, "".join(history), 0, 1, 5, 10, 11, 12, 13, through, 10, 12) == [10, 12]
    # And dbt says what it found
    assert f"{COHORT}: leads=0, usual_leads=25.0, known_days=14" in warehouse.printed


def test_few_leads_and_few_days_say_nothing(crossed, told):
    # Given two leads a day, a day of nobody, one of 59, and one of 60, which no chance explains
    few = [crossed(number, 2) for number in range(11)] + [crossed(12, 59), crossed(13, 60)]
    # And in another warehouse sixty leads and then none, before a week is known
    young = ["delete from rekindle_marts.fct_cold_transitions;", *(crossed(number, 60) for number in range(6))]
    last = "".join((*young, crossed(6, 60)))
    assert told(COHORT, EMPTY, "".join(few), 0, 2, 11, 12, 13, "".join(young), 6, last, 7) == [13, 7]


def test_a_log_that_stopped_arriving(told, day):
    table = "rekindle_intermediate.int_lead_days"
    columns = "last_loaded_at timestamp, first_event_at timestamp"
    empty = f"create schema rekindle_intermediate; create table {table} ({columns})"
    loaded = f"insert into {table} values (timestamp '{day(0)}', timestamp '{day(-400)}')"
    # where the mapping names no time of loading, the newest event says it
    unknown = f"update {table} set last_loaded_at = null, first_event_at = timestamp '{day(1)}'"
    through = ("REKINDLE_STALE_AFTER_HOURS", "0")
    # three days are not too long, and a new installation has nothing that could be stale
    assert told(STALE, empty, 0, loaded, -5, 3, 4, unknown, 4, 5, through, 5) == [4, 5]


def test_a_suppression_list_that_was_emptied(told, day, warehouse):
    warehouse.insert("rekindle_state.messages", [{"message_id": "m", "accepted_at": day(0)}])
    warehouse.insert("rekindle_state.suppressions", [{"address_hash": "h"}])
    warehouse.insert("rekindle_state.message_events", [{"event_key": "k", "event_type": "complained"}])
    emptied = "create table kept as from rekindle_state.suppressions; delete from rekindle_state.suppressions"
    nobody = "delete from rekindle_state.message_events"
    # of two thousand messages somebody must have been suppressed
    more = "insert into rekindle_state.messages select messages.* replace ('{0}' || n as message_id)"
    more += " from rekindle_state.messages, range({1}) as numbers (n) where message_id = 'm'"
    nearly, one_more = more.format("a", 1998), more.format("b", 1)
    restored = "insert into rekindle_state.suppressions from kept"
    assert told(SUPPRESSIONS, 1, emptied, 2, nobody, 3, nearly, 4, one_more, 0, 5, restored, 6) == [2, 5]


def test_rules_that_can_not_be_used_are_told_by_row(warehouse):
    columns = "score_version bigint, preset varchar"
    warehouse.execute(
        f"create schema rekindle_seeds; create table rekindle_seeds.score_weights ({columns}, signal varchar,"
        " shape varchar, weight double, days double, reason varchar);"
        f"create table rekindle_seeds.score_thresholds ({columns}, enter_score double, leave_score double,"
        " late_window_days bigint, reason varchar);"
        "insert into rekindle_seeds.score_weights values (3, 'default', 'habits', 'decay', 61, 15, 'a reason');"
        "insert into rekindle_seeds.score_thresholds values (3, 'default', 55, 69, 7, 'a reason')"
    )
    rows = {
        "assert_no_unknown_signal_or_shape": "preset=default, signal=habits, shape=decay, weight=61.0",
        "assert_no_preset_whose_weights_miss_100": "preset=default, total_weight=61.0",
        "assert_no_threshold_out_of_order": "preset=default, enter_score=55.0, leave_score=69.0",
    }
    [outcome] = warehouse.run((None, ("test", "--select", *rows)))
    assert outcome.named("fail") == rows.keys()
    for check, row in rows.items():
        assert f"{check}: " in warehouse.printed and row in warehouse.printed
