"""The cold score over days: who turns cold, when, who stays, and that a day can be run again."""

from __future__ import annotations

import json
import random
from datetime import date, timedelta

import pytest

TRANSITIONS = "select * from rekindle_marts.fct_cold_transitions order by scored_on, lead_id"
COHORT = "select * from rekindle_activation.sync_cold_leads order by lead_id"


def test_an_average_lead_crosses_once_between_75_and_95_days_and_only_the_last_week_is_the_cohort(
    warehouse, day, daily_score
):
    # Given one lead per day of silence, whose last visit was a key action, never mailed, without tickets
    warehouse.see(
        *((f"{silence:03d}", "purchase", day(0) - timedelta(days=silence, hours=1)) for silence in range(60, 120))
    )
    # When it is the very first run
    warehouse.build((day(0), daily_score))
    # Then silence alone orders them, and one day separates warm from cold
    scores = warehouse.rows("select lead_id, is_cold, cold_score from rekindle_marts.fct_cold_scores order by lead_id")
    assert [score for *_, score in scores] == sorted(score for *_, score in scores)
    cold = [int(lead) for lead, is_cold, _ in scores if is_cold]
    first_cold_day = min(cold)
    assert 75 <= first_cold_day <= 95
    assert cold == list(range(first_cold_day, 120))
    # And the cohort is those who crossed within seven days, each on a day of its own
    cohort = warehouse.rows(
        "select lead_id, crossed_cold_on, segment from rekindle_activation.sync_cold_leads order by 1"
    )
    today = day(0).date()
    assert cohort == [
        (f"{first_cold_day + days:03d}", today - timedelta(days=days), "lapsed_buyer") for days in range(7)
    ]
    # And the contributions say why
    [(contributions, score)] = warehouse.rows(
        "select score_contributions, cold_score from rekindle_activation.sync_cold_leads order by lead_id limit 1"
    )
    points = json.loads(contributions)
    assert points.keys() == {
        *("last_seen", "log_in", "email_click", "email_open", "key_action", "habit", "support"),
        *("payment_failure", "usage_trend", "plan"),
    }
    assert points["last_seen"] == max(points.values())
    assert sum(points.values()) == pytest.approx(score, abs=0.05)


def test_the_first_run_dates_crossings_as_daily_runs_would_have(
    new_warehouse, day, daily_score, daily_score_without_tests
):
    # Given leads of every kind of history, none of whom does anything during the days that are compared
    chance = random.Random(7)
    leads = [
        (f"lead-{number:03d}", chance.uniform(50, 90), chance.random(), chance.random() < 0.4) for number in range(200)
    ]
    daily, late = new_warehouse("daily"), new_warehouse("late")
    for warehouse in (daily, late):
        warehouse.see(*((lead, "page_viewed", day(0) - timedelta(days=silence)) for lead, silence, *_ in leads))
        warehouse.see(
            *(
                (lead, "purchase", day(0) - timedelta(days=silence + share * 200))
                for lead, silence, share, is_active in leads
                if is_active
            )
        )
        warehouse.insert(
            "rekindle_raw.support_tickets",
            [
                {"ticket_id": lead, "user_id": lead, "opened_at": day(0) - timedelta(days=silence + 40 * share)}
                for lead, silence, share, _ in leads[::3]
            ],
        )
    # When one warehouse is scored every day and the other for the first time on the last day
    daily.build((day(-1), daily_score), *[(day(number), daily_score_without_tests) for number in range(7)])
    late.build((day(6), daily_score))
    # Then both know the same cohort, to the day
    crossings = dict(late.rows("select lead_id, crossed_cold_on from rekindle_activation.sync_cold_leads"))
    assert len(crossings) > 20 and len(set(crossings.values())) == 7
    assert crossings == dict(daily.rows("select lead_id, crossed_cold_on from rekindle_activation.sync_cold_leads"))
    # And in the daily one every crossing is dated by the day that found it
    [(wrong,)] = daily.rows(
        "select count(*) from rekindle_marts.fct_cold_transitions "
        "where scored_on > ? and is_cold and scored_on is distinct from crossed_cold_on",
        day(-1).date(),
    )
    assert wrong == 0


def test_two_thresholds_a_replayed_day_and_a_second_crossing(warehouse, day, daily_score, daily_score_without_tests):
    # Given four leads on the verge
    for lead in ("comes_back", "clicks", "stays", "late_mover"):
        warehouse.see((lead, "purchase", day(0) - timedelta(days=85, hours=1)))
    warehouse.see(("clicks", "project_created", day(0) - timedelta(days=85)))
    warehouse.build((day(-3), daily_score))
    assert warehouse.rows(COHORT) == []

    # When they cross
    warehouse.build((day(0), daily_score_without_tests))
    assert {row[0] for row in warehouse.rows(COHORT)} == {"comes_back", "clicks", "stays", "late_mover"}

    # And one logs in, and one clicks in a mail of ours, which warms her a little but not below the leaving line
    warehouse.see(("comes_back", "logged_in", day(0) + timedelta(hours=3)))
    warehouse.insert(
        "rekindle_state.messages",
        [{"message_id": "m", "lead_id": "clicks", "channel": "email", "accepted_at": day(0) + timedelta(hours=1)}],
    )
    warehouse.insert(
        "rekindle_state.message_events",
        [
            {
                "event_key": "k",
                "message_id": "m",
                "event_type": "clicked",
                "is_human": True,
                "occurred_at": day(0) + timedelta(hours=2),
            }
        ],
    )
    warehouse.build((day(1), daily_score_without_tests))

    # Then the first is warm again, and the second stays cold between the two lines
    state = {
        lead: (is_cold, score, enter, leave)
        for lead, is_cold, score, enter, leave in warehouse.rows(
            "select lead_id, is_cold, cold_score, enter_score, leave_score from rekindle_marts.fct_cold_scores"
        )
    }
    assert state["comes_back"][0] is False and state["comes_back"][1] < state["comes_back"][3]
    is_cold, score, enter, leave = state["clicks"]
    assert is_cold and leave <= score < enter
    history, cohort = warehouse.rows(TRANSITIONS), warehouse.rows(COHORT)
    assert [(row[0], row[1], row[5]) for row in history if row[1] == day(1).date()] == [
        ("comes_back", day(1).date(), False)
    ]

    # When the same day is run again, and an earlier one
    warehouse.build((day(1), daily_score_without_tests))
    assert warehouse.rows(TRANSITIONS) == history
    assert warehouse.rows(COHORT) == cohort
    warehouse.build((day(0), daily_score_without_tests))
    assert warehouse.rows(TRANSITIONS) == history
    assert {row[0] for row in warehouse.rows(COHORT)} == {"comes_back", "clicks", "stays", "late_mover"}
    assert {row[6] for row in warehouse.rows(COHORT)} == {day(0)}

    # And when the one who came back falls silent again, she crosses a second time, on a day of its own
    warehouse.build((day(60), daily_score_without_tests), (day(100), daily_score_without_tests))
    crossings = warehouse.rows(
        "select scored_on, crossed_cold_on from rekindle_marts.fct_cold_transitions "
        "where lead_id = 'comes_back' and is_cold order by scored_on"
    )
    assert len(crossings) == 2
    # the runs between were missing: she crossed more than a week before the run that noticed, so nobody writes to her
    assert crossings[0] == (day(0).date(), date(2026, 3, 1))
    assert crossings[1] == (day(100).date(), None)
    assert warehouse.rows(COHORT) == []
    # while whoever stayed silent crossed once
    assert warehouse.rows(
        "select count(*) from rekindle_marts.fct_cold_transitions where lead_id in ('clicks', 'stays')"
    ) == [(2,)]


def test_a_day_that_finds_other_facts_on_its_second_run_keeps_no_row_of_the_first(
    warehouse, day, daily_score, daily_score_without_tests
):
    warehouse.see(("ann", "purchase", day(0) - timedelta(days=85)))
    warehouse.build((day(0), daily_score))
    assert [row[0] for row in warehouse.rows(TRANSITIONS)] == ["ann"]
    warehouse.see(("ann", "login", day(0) - timedelta(days=1)))
    warehouse.build((day(0), daily_score_without_tests))
    assert warehouse.rows(TRANSITIONS) == []


def test_a_list_imported_by_accident_enters_no_cohort(warehouse, day, daily_score):
    warehouse.see(*((f"known-{number:02d}", "login", day(0) - timedelta(days=10)) for number in range(20)))
    warehouse.build((day(-1), daily_score))
    # Given last year's customers and a list of strangers, both arriving today
    warehouse.see(*((f"old-{number:02d}", "purchase", day(0) - timedelta(days=200 + number)) for number in range(20)))
    warehouse.insert("rekindle_raw.users", [{"user_id": f"stranger-{number:02d}"} for number in range(20)])
    [outcome] = warehouse.build((day(0), daily_score))
    assert warehouse.rows("select count(*) from rekindle_marts.fct_cold_scores where is_cold") == [(40,)]
    assert warehouse.rows(COHORT) == []
    assert outcome.named("warn") == {"tell_a_day_without_a_cohort"}


def test_the_classic_rule_exactly(warehouse, day, daily_score):
    # Given leads with every combination of log-ins, clicks and key actions, some to the second
    chance = random.Random(11)
    as_of = day(0)

    def ages(limit: int) -> list[float | None]:
        second = 1 / 86400
        return [None, limit - second, limit, limit + second, chance.uniform(0, limit), chance.uniform(limit, 3 * limit)]

    leads = {
        f"{login_number}-{click_number}-{acted}": (login, click, acted)
        for login_number, login in enumerate(ages(90))
        for click_number, click in enumerate(ages(120))
        for acted in (False, True)
    }
    warehouse.insert("rekindle_raw.users", [{"user_id": lead} for lead in leads])
    events = []
    for lead, (login, click, acted) in leads.items():
        if login is not None:
            events.append((lead, "login", as_of - timedelta(days=login)))
            events.append((lead, "login", as_of - timedelta(days=login + 50)))
        if click is not None:
            events.append((lead, "email_clicked", as_of - timedelta(days=click)))
        if acted:
            events.append((lead, "project_created", as_of - timedelta(days=500)))
        # seen, but neither of the three: the plain rule does not look at it
        events.append((lead, "page_viewed", as_of - timedelta(days=1)))
    warehouse.see(*events)
    # When the preset is asked for
    warehouse.build((as_of, [*daily_score, "--vars", "rekindle__score_preset: classic_rule"]))
    # Then cold is: no login in 90 days, no e-mail click in 120 days, zero key actions
    expected = {
        lead
        for lead, (login, click, acted) in leads.items()
        if (login is None or login > 90) and (click is None or click > 120) and not acted
    }
    assert 5 < len(expected) < len(leads) / 2
    assert {lead for (lead,) in warehouse.rows("select lead_id from rekindle_marts.fct_cold_scores where is_cold")} == (
        expected
    )


def test_plans_may_have_a_preset_of_their_own(warehouse, day, daily_score):
    warehouse.insert(
        "rekindle_raw.users", [{"user_id": "consumer", "plan": "home"}, {"user_id": "other", "plan": "pro"}]
    )
    for lead in ("consumer", "other"):
        warehouse.see((lead, "purchase", day(0) - timedelta(days=22)))
    warehouse.build((day(0), daily_score))
    # the seed is delivered empty; an analyst's row is one insert away from the build that follows
    warehouse.execute("insert into rekindle_seeds.score_plan_presets values ('home', 'b2c_fast')")
    warehouse.build((day(0), [*daily_score, "--exclude-resource-type", "seed"]))
    assert warehouse.rows("select lead_id, preset, is_cold from rekindle_marts.fct_cold_scores order by lead_id") == [
        ("consumer", "b2c_fast", True),
        ("other", "default", False),
    ]


def test_leads_sharing_an_address_are_one_person_and_a_longer_chain_stops_the_run(warehouse, day, daily_score):
    warehouse.insert(
        "rekindle_raw.users",
        [
            {"user_id": "a", "email": "Shared@example.com"},
            {"user_id": "b", "email": "shared@example.com ", "phone": "+15550100001"},
            {"user_id": "c", "phone": "+15550100001"},
            {"user_id": "d", "email": "alone@example.com"},
        ],
    )
    warehouse.build((day(0), daily_score))
    persons = "select lead_id, person_id from rekindle_activation.sync_lead_contacts order by lead_id"
    assert warehouse.rows(persons) == [("a", "a"), ("b", "a"), ("c", "a"), ("d", "d")]

    # Given a chain of ten leads, each sharing an address with one neighbour and a number with the other
    warehouse.insert(
        "rekindle_raw.users",
        [
            {
                "user_id": f"chain-{number}",
                "email": f"chain-{number // 2}@example.com",
                "phone": f"+1555020000{(number + 1) // 2}",
            }
            for number in range(10)
        ],
    )
    [outcome] = warehouse.run((day(0), daily_score))
    assert outcome.named("fail") == {"assert_no_address_of_two_persons"}
    assert "sync_cold_leads" in outcome.trouble


def test_an_unknown_preset_stops_the_run_instead_of_scoring_nobody(warehouse, day, daily_score):
    warehouse.see(("ann", "login", day(0) - timedelta(days=10)))
    [outcome] = warehouse.run((day(0), [*daily_score, "--vars", "rekindle__score_preset: clasic_rule"]))
    assert outcome.named("fail") == {"assert_no_lead_without_a_score"}
    assert "sync_cold_leads" in outcome.trouble
