"""The log is summed up a day at a time: what is loaded late, twice or read otherwise must come out as if built anew."""

from __future__ import annotations

from datetime import timedelta

import pytest

SUMMED_UP = (
    "select * exclude (last_loaded_at, revision) from rekindle_intermediate.int_lead_days order by lead_id, active_on"
)
SUM_UP = ("run", "--select", "base_app__event_arrivals", "int_lead_days")


@pytest.fixture
def day_of(warehouse, day):
    """What the warehouse has summed up of one lead's day, as key actions and the last time it was seen."""

    def look(lead: str, number: int) -> list[tuple]:
        return warehouse.rows(
            "select key_actions, last_seen_at from rekindle_intermediate.int_lead_days "
            "where lead_id = ? and active_on = ?",
            lead,
            day(number).date(),
        )

    return look


def test_what_comes_late_or_twice_is_where_it_belongs(warehouse, day, day_of):
    warehouse.see(*(("ann", "login", day(-number)) for number in range(1, 60)))
    warehouse.see(("ann", "purchase", day(-40)))
    warehouse.build((day(0), SUM_UP))
    assert day_of("ann", -40) == [(1, day(-40))]

    # Given an event of long ago that is loaded today, a repeat of another, and somebody new
    warehouse.see(("ann", "purchase", day(-20) + timedelta(hours=1)))
    warehouse.see(("ann", "purchase", day(-40)), ("bob", "project_created", day(-1)))
    # And one in a day that nothing else of is touched, loaded before its like by somebody who committed later
    warehouse.see(("ann", "project_created", day(-30)))
    warehouse.execute("update rekindle_raw.events set loaded_at = loaded_at - interval 2 day where user_id = 'bob'")
    warehouse.build((day(1), SUM_UP))
    assert day_of("ann", -20) == [(1, day(-20) + timedelta(hours=1))]
    assert day_of("ann", -40) == [(1, day(-40))]
    assert day_of("bob", -1) == [(1, day(-1))]
    assert day_of("ann", -30) == [(1, day(-30))]

    # When it is built again, and built anew
    summed_up = warehouse.rows(SUMMED_UP)
    warehouse.build((day(1), SUM_UP), (day(1), [*SUM_UP, "--full-refresh"]))
    assert warehouse.rows(SUMMED_UP) == summed_up
    # Then the days of the last load, of which nothing more came, were left alone: the run in between counted no further
    revisions = "select distinct revision from rekindle_intermediate.int_lead_days"
    assert warehouse.rows(revisions) == [(3,)]


def test_a_day_that_brings_nothing_reads_nothing_and_other_kinds_read_everything(warehouse, day, day_of):
    warehouse.see(*(("ann", "login", day(-number)) for number in range(1, 60)))
    warehouse.build((day(0), SUM_UP))
    # Given a row of long ago that vanishes from the log: only whoever reads that day again would notice
    warehouse.execute("delete from rekindle_raw.events where occurred_at = ?", day(-40))
    warehouse.execute(
        "update rekindle_intermediate.int_lead_days set key_actions = 7 where active_on = ?", day(-50).date()
    )
    warehouse.execute(
        "update rekindle_raw.events set loaded_at = loaded_at - interval 9 day where occurred_at < ?", day(-3)
    )
    warehouse.build((day(1), SUM_UP))
    assert day_of("ann", -40) == [(0, day(-40))]
    assert day_of("ann", -50) == [(7, day(-50))]

    # When a log-in becomes a key action, every day is computed anew
    warehouse.environment["REKINDLE_LOGIN_EVENTS"] = " "
    warehouse.environment["REKINDLE_KEY_ACTION_EVENTS"] = "login"
    warehouse.build((day(1), SUM_UP))
    assert day_of("ann", -50) == [(1, day(-50))]


def test_a_history_that_is_continued_is_what_all_its_days_come_to(warehouse, day):
    sum_up = (*SUM_UP, "int_lead_history")
    known = "select * exclude (known_as_of, days_revision) from rekindle_intermediate.int_lead_history order by lead_id"
    # Given who comes daily, every second, every fifth and every eleventh day, and twice a year
    paces = {"daily": 1, "often": 2, "weekly": 5, "seldom": 11, "gone": 180}
    for lead, pace in paces.items():
        warehouse.see(
            *((lead, "purchase" if number % 3 else "login", day(-number)) for number in range(1, 400, pace)),
        )
    # And who comes back after three weeks
    warehouse.see(*(("back", "purchase", day(-number)) for number in (20, 21, 45, 70, 100, 109, 380)))
    warehouse.build((day(0), sum_up))
    # When days go by, one of them is computed in two halves, and one is missed
    for number, built in ((0, True), (1, True), (2, False), (3, True)):
        for lead, pace in paces.items():
            if number % pace == 0:
                warehouse.see((lead, "purchase", day(number)), (lead, "purchase", day(number) + timedelta(hours=2)))
        if number == 1:
            warehouse.see(("back", "purchase", day(number)))
        if built:
            warehouse.build((day(number) + timedelta(hours=1), sum_up), (day(number + 1), sum_up))
    # Then every count is what it is when everybody is computed anew
    continued = warehouse.rows(known)
    warehouse.build((day(4), [*sum_up, "--full-refresh"]))
    assert warehouse.rows(known) == continued
    assert len(continued) == len(paces) + 1
