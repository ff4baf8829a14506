"""The re-activation marts against a count made in Python, and the claims that stop a run."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from statsmodels.stats.proportion import confint_proportions_2indep

CAMPAIGN = "win_back"
EXITS = ("re_engaged", "replied", "archived", "unsubscribed", "cancelled", None)


@dataclass(frozen=True)
class Story:
    """One entry and what its lead did afterwards."""

    entry_id: str
    arm: str
    entered_at: datetime
    exit_reason: str | None
    life_sign_after: timedelta | None
    window: int | None  # days; none is written in entries from before there was one

    @property
    def lead(self) -> str:
        return f"lead-of-{self.entry_id}"

    @property
    def days(self) -> int:
        return self.window or 30

    def is_over(self, as_of: datetime) -> bool:
        return self.has_matured(as_of, self.days)

    def came_back(self, as_of: datetime, days: int = 30) -> bool:
        return (
            self.life_sign_after is not None
            and timedelta(0) < self.life_sign_after <= timedelta(days=days)
            and self.entered_at + self.life_sign_after < as_of
        )

    def has_matured(self, as_of: datetime, days: int = 30) -> bool:
        return self.entered_at + timedelta(days=days) <= as_of


@pytest.fixture
def stories(day) -> list[Story]:
    """Two hundred entries over ninety days; a quarter are held out; some come back, on the border too."""
    chance = random.Random(3)
    borders = [timedelta(0), timedelta(seconds=1), timedelta(days=30), timedelta(days=30, seconds=1)]
    made = []
    for number in range(200):
        came_back = chance.random()
        after = None
        if came_back < 0.3:
            after = timedelta(days=chance.uniform(-5, 45))
        elif came_back < 0.4:
            after = chance.choice(borders)
        made.append(
            Story(
                entry_id=f"{number:03d}",
                arm="holdout" if chance.random() < 0.25 else "treatment",
                entered_at=day(chance.randrange(90)),
                exit_reason=chance.choice(EXITS),
                life_sign_after=after,
                window=chance.choice([14, 45, None]),
            )
        )
    return made


@pytest.fixture
def told(warehouse, stories):
    """The stories, written into raw and state tables as the DAGs would."""
    entries, transitions, states, messages = [], [], [], []
    for story in stories:
        common = {"entry_id": story.entry_id, "campaign_id": CAMPAIGN}
        who = {"lead_id": story.lead, "person_id": story.lead, "arm": story.arm}
        ended_at = story.entered_at + timedelta(days=10)
        entries.append(
            {
                **common,
                **who,
                "cohort_date": story.entered_at.date(),
                "entered_at": story.entered_at,
                "cold_score": 70.0,
                "attribution_window_days": story.window,
            }
        )
        transitions.append(
            {**common, "sequence": 1, "to_stage": "probe", "happened_at": story.entered_at, "reason": "entered"}
        )
        if story.exit_reason:
            transitions.append(
                {
                    **common,
                    "sequence": 2,
                    "from_stage": "probe",
                    "to_stage": "exited",
                    "exit_reason": story.exit_reason,
                    "happened_at": ended_at,
                    "reason": "told",
                }
            )
        states.append(
            {
                **common,
                **who,
                "stage": "exited" if story.exit_reason else "probe",
                "exit_reason": story.exit_reason,
                "last_sequence": 2 if story.exit_reason else 1,
            }
        )
        is_sent = story.arm == "treatment"
        messages.append(
            {
                **common,
                "message_id": f"message-{story.entry_id}",
                "lead_id": story.lead,
                "arm": story.arm,
                "channel": "email",
                "status": "delivered" if is_sent else "withheld",
                "attempting_at": story.entered_at if is_sent else None,
                "accepted_at": story.entered_at if is_sent else None,
                "planned_at": story.entered_at,
            }
        )
    warehouse.insert("rekindle_state.journey_entries", entries)
    warehouse.insert("rekindle_state.journey_transitions", transitions)
    warehouse.insert("rekindle_state.journey_state", states)
    warehouse.insert("rekindle_state.messages", messages)
    warehouse.insert(
        "rekindle_state.message_events",
        [
            # everybody in treatment clicks: that is engagement, and no re-activation
            {
                "event_key": f"click-{story.entry_id}",
                "message_id": f"message-{story.entry_id}",
                "event_type": "clicked",
                "is_human": True,
                "occurred_at": story.entered_at + timedelta(days=2),
            }
            for story in stories
            if story.arm == "treatment"
        ],
    )
    warehouse.see(
        *(
            (story.lead, life_sign_of(story), story.entered_at + story.life_sign_after)
            for story in stories
            if story.life_sign_after is not None
        ),
        *((story.lead, "page_viewed", story.entered_at + timedelta(days=1)) for story in stories),
    )
    warehouse.insert(
        "rekindle_raw.users", [{"user_id": story.lead, "is_made_up": story.arm == "holdout"} for story in stories]
    )
    return warehouse


def life_sign_of(story: Story) -> str:
    return "login" if int(story.entry_id) % 2 else "purchase"


def test_counts_rates_and_interval_are_those_of_a_count_by_hand(told, stories, day, data_only):
    as_of = day(75)
    # Given the day's staging views, which the scores are built on before anything is measured
    told.build(
        (as_of, ["run", "--select", "path:models/staging"]), (as_of, [*data_only, "--select", "tag:score_rules"])
    )
    told.build((as_of, [*data_only, "--select", "tag:measure"]))

    # Then the campaign's row is the count of the stories that had begun
    entered = [story for story in stories if story.entered_at <= as_of]
    ended = [story for story in entered if story.exit_reason and story.entered_at + timedelta(days=10) <= as_of]
    compared = {
        arm: (
            sum(story.came_back(as_of) for story in entered if story.arm == arm and story.has_matured(as_of)),
            sum(story.has_matured(as_of) for story in entered if story.arm == arm),
        )
        for arm in ("treatment", "holdout")
    }
    assert all(hits > 0 for hits, _ in compared.values())
    in_window = [
        (
            sum(story.came_back(as_of, story.days) for story in entered if story.arm == arm and story.is_over(as_of)),
            sum(story.is_over(as_of) for story in entered if story.arm == arm),
        )
        for arm in ("treatment", "holdout")
    ]
    assert in_window != list(compared.values())
    assert told.rows(
        "select treatment_reactivated_in_window, treatment_matured_in_window, holdout_reactivated_in_window, "
        "holdout_matured_in_window, attribution_window_days from rekindle_marts.reactivation_by_campaign"
    ) == [(*in_window[0], *in_window[1], 45)]
    [row] = told.rows(
        "select entered, active, exited, treatment_reactivated_30d, treatment_matured_30d, holdout_reactivated_30d, "
        "holdout_matured_30d, treatment_entered, holdout_entered, has_made_up_leads "
        "from rekindle_marts.reactivation_by_campaign"
    )
    assert row == (
        len(entered),
        len(entered) - len(ended),
        len(ended),
        *compared["treatment"],
        *compared["holdout"],
        sum(story.arm == "treatment" for story in entered),
        sum(story.arm == "holdout" for story in entered),
        True,
    )
    exits = Counter(story.exit_reason for story in ended)
    columns = ", ".join(f"exited_{reason}" for reason in exits)
    assert told.rows(f"select {columns}, exited_superseded from rekindle_marts.reactivation_by_campaign") == [
        (*exits.values(), 0)
    ]
    # And the intervals are Newcombe's
    for name, arms in (("lift_in_window", in_window), ("lift", compared.values())):
        [(lift, low, high)] = told.rows(
            f"select {name}, {name}_ci_low, {name}_ci_high from rekindle_marts.reactivation_by_campaign"
        )
        (treatment_hits, treatment_size), (holdout_hits, holdout_size) = arms
        assert lift == pytest.approx(treatment_hits / treatment_size - holdout_hits / holdout_size)
        assert (low, high) == pytest.approx(
            confint_proportions_2indep(treatment_hits, treatment_size, holdout_hits, holdout_size, method="newcomb"),
            abs=1e-12,
        )
    # And the days add up to the campaign
    assert told.rows(
        "select sum(entered), sum(exited), sum(treatment_matured_30d), sum(holdout_reactivated_30d) "
        "from rekindle_marts.reactivation_by_cohort_day"
    ) == [(len(entered), len(ended), treatment_size, holdout_hits)]
    assert told.rows("select sum(exits) from rekindle_marts.fct_exits_by_day") == [(len(ended),)]
    assert told.rows(
        "select sum(entered), sum(exited), sum(messages_accepted), sum(messages_clicked) "
        "from rekindle_marts.fct_funnel_by_day"
    ) == [
        (
            len(entered),
            len(ended),
            sum(story.arm == "treatment" for story in entered),
            sum(story.arm == "treatment" and story.entered_at + timedelta(days=2) <= as_of for story in entered),
        )
    ]

    # And every return within the window after a message is told with that message, current without another run
    [(events, entries, first_ones)] = told.rows(
        "select count(*), count(distinct entry_id), sum(case when is_first_of_entry then 1 else 0 end) "
        "from rekindle_activation.sync_reactivation_events"
    )
    returned = [
        story
        for story in stories
        if story.arm == "treatment"
        and story.life_sign_after is not None
        and timedelta(0) < story.life_sign_after <= timedelta(days=story.days)
    ]
    assert (events, entries, first_ones) == (len(returned), len(returned), len(returned))

    # And measuring the same day again changes nothing
    before = told.rows("select * from rekindle_marts.fct_journey_entries order by entry_id")
    told.build((as_of, ["run", "--selector", "measure"]))
    assert told.rows("select * from rekindle_marts.fct_journey_entries order by entry_id") == before


def test_each_broken_invariant_stops_the_run_by_its_own_name(told, stories, day, data_only):
    untouched = [story.entry_id for story in stories if story.exit_reason is None]
    held_out = next(story.entry_id for story in stories if story.arm == "holdout")
    # Given one of each
    told.execute("update rekindle_state.journey_state set stage = 'elsewhere' where entry_id = ?", untouched[0])
    told.execute("update rekindle_state.journey_state set lead_id = 'twin' where entry_id in (?, ?)", *untouched[1:3])
    told.execute(
        "update rekindle_state.messages set status = 'unknown', arm = 'treatment' where entry_id = ?", held_out
    )
    told.execute(
        "update rekindle_state.journey_entries set person_id = 'both' "
        "where entry_id in (select min(entry_id) from rekindle_state.journey_entries group by arm)"
    )
    told.execute("insert into rekindle_state.journey_entries select * from rekindle_state.journey_entries limit 1")
    told.execute("insert into rekindle_state.messages select * from rekindle_state.messages limit 1")
    told.execute("update rekindle_state.journey_transitions set exit_reason = 'bored' where exit_reason = 'cancelled'")
    told.insert(
        "rekindle_state.message_events",
        [{"event_key": "stop", "event_type": "unsubscribed", "address_hash": "nobody suppressed this"}],
    )
    # When it is measured
    [outcome] = told.run((day(100), [*data_only, "--select", "tag:measure"]))
    # Then each claim that was broken says so
    assert outcome.named("fail") >= {
        "assert_no_state_that_differs_from_its_transitions",
        "assert_no_lead_with_two_active_entries",
        "assert_no_holdout_message_attempted",
        "assert_no_entry_written_twice",
        "assert_no_message_planned_twice",
        "assert_no_exit_outside_the_closed_set",
        "assert_no_opt_out_without_a_suppression",
    }
    assert "tell_a_person_in_two_arms" in outcome.named("warn")


def test_suppressed_addresses_are_current_without_another_run(warehouse, day, data_only):
    warehouse.build((day(0), [*data_only, "--select", "suppressed_addresses"]))
    warehouse.insert(
        "rekindle_state.suppressions",
        [
            {"address_hash": "one", "channel": "email", "topic": "all", "reason": "complained"},
            {"address_hash": "two", "channel": "sms", "topic": "all", "lifted_at": day(0)},
        ],
    )
    assert warehouse.rows("select address_hash, channel, reason from rekindle_marts.suppressed_addresses") == [
        ("one", "email", "complained")
    ]


def test_a_scanners_click_is_kept_and_told_apart_and_warms_nobody(warehouse, day, daily_score, data_only):
    warehouse.insert("rekindle_raw.users", [{"user_id": lead} for lead in ("person", "scanner")])
    warehouse.insert(
        "rekindle_state.messages",
        [
            {"message_id": lead, "lead_id": lead, "channel": "email", "accepted_at": day(-1), "planned_at": day(-1)}
            for lead in ("person", "scanner")
        ],
    )
    delivered = {"event_type": "delivered", "provider": "sendgrid", "occurred_at": day(-1)}
    clicked = {"event_type": "clicked", "provider": "rekindle", "is_human": True}
    warehouse.insert(
        "rekindle_state.message_events",
        [
            {**delivered, "event_key": "d1", "message_id": "person"},
            {**delivered, "event_key": "d2", "message_id": "scanner"},
            {**clicked, "event_key": "c1", "message_id": "person", "occurred_at": day(-1) + timedelta(hours=2)},
            # with a browser's name, two seconds after delivery
            {**clicked, "event_key": "c2", "message_id": "scanner", "occurred_at": day(-1) + timedelta(seconds=2)},
        ],
    )
    warehouse.build((day(0), daily_score), (day(0), [*data_only, "--select", "tag:measure"]))
    assert warehouse.rows("select lead_id, is_human, reasons from rekindle_marts.fct_engagements order by lead_id") == [
        ("person", True, "no_open"),
        ("scanner", False, "too_soon, no_open"),
    ]
    for table, column in (
        ("rekindle_intermediate.int_lead_activity_aggregated", "last_email_click_at"),
        ("rekindle_marts.fct_messages", "first_clicked_at"),
    ):
        assert dict(warehouse.rows(f"select lead_id, {column} from {table}")) == {
            "person": day(-1) + timedelta(hours=2),
            "scanner": None,
        }
