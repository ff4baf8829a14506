"""Of the campaigns that want one person on one day, the right one writes, whichever is run first; the others wait."""

from __future__ import annotations

import itertools

import pytest

from rekindle.history import read_history
from rekindle.journey import advance_journeys, freeze_cohort
from rekindle.planning import campaigns_of_lately, take_turns
from rekindle.stops import set_stop
from rekindle.vocabulary import StopMode, StopScope

STEPS = [
    {"id": "probe", "email": {"template": "probe.txt.j2", "subject": "Hello"}},
    {"id": "listen", "wait": "20d"},
    {"id": "archive", "end": "archived"},
]


def campaign(world, name, priority=50, **words):
    return world.campaign_with(name, priority=priority, steps=STEPS, **words)


def tick(world, day, campaigns):
    """The day of these campaigns, each run in this order as its DAG does, all of them part of the tick."""
    run = world.run(day)
    for each in campaigns:
        freeze_cohort(world.warehouse, each, run)
        advance_journeys(world.warehouse, each, run)
        take_turns(world.warehouse, each, [other for other in campaigns if other is not each], run)
        world.campaign = each
        batches = world.plan(day)
        world.dispatch(batches, world.email, day)
        advance_journeys(world.warehouse, each, run)


def sent(world):
    """Campaign and day number of each message that left, in order."""
    rows = world.query(
        "select campaign_id, planned_at from rekindle_state.messages where attempting_at is not null"
        " order by planned_at"
    )
    return [(row["campaign_id"], (row["planned_at"] - world.at(0)).days) for row in rows]


def lost(world):
    rows = world.query(
        "select campaign_id, detail, decided_at from rekindle_state.decisions where reason = 'lost_arbitration'"
        " order by decided_at, campaign_id"
    )
    return [(row["campaign_id"], row["detail"], (row["decided_at"] - world.at(0)).days) for row in rows]


@pytest.mark.parametrize("order", list(itertools.permutations(["low", "high", "middle"])))
def test_the_higher_priority_writes_first_and_the_others_on_later_days_in_any_order(world, order):
    lead = world.lead()
    priorities = {"low": 10, "middle": 20, "high": 30}
    campaigns = [campaign(world, name, priorities[name]) for name in order]
    for day in range(4):
        tick(world, day, campaigns)
    assert sent(world) == [("high", 0), ("middle", 1), ("low", 2)]
    assert lost(world) == [("low", "high", 0), ("middle", "high", 0), ("low", "middle", 1)]
    assert world.broken() == {}
    told = [(each.campaign_id, each.what, each.why) for each in read_history(world.warehouse, lead.lead_id).happenings]
    assert ("low", "email of step probe, again from 2026-01-13 18:00:00", "lost_arbitration: high") in told


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_of_equal_priority_the_more_valuable_wins_then_the_longest_waiting_then_the_id(world, order):
    # Given one whom `b` values more, one whom `b` has had for longer, and one who is the same to both
    valued, waiting, same = (world.lead(lead_id=name) for name in ("valued", "waiting", "same"))
    both = [campaign(world, name) for name in order]
    for each in both:
        world.freeze(0, each)
    world.execute(
        "update rekindle_state.journey_entries set cold_score = 90 where campaign_id = 'b' and lead_id = 'valued'"
    )
    world.execute(
        "update rekindle_state.journey_state set stage_entered_at = $before"
        " where campaign_id = 'b' and lead_id = 'waiting'",
        before=world.at(-1),
    )
    tick(world, 0, both)
    winners = {row["lead_id"]: row["campaign_id"] for row in world.messages()}
    assert winners == {valued.lead_id: "b", waiting.lead_id: "b", same.lead_id: "a"}


def test_two_accounts_of_one_person_are_one_person(world):
    world.lead(lead_id="one", person_id="p", email="one@mail.example")
    high, low = campaign(world, "high", 90), campaign(world, "low", 10)
    world.freeze(0, low)
    world.execute("delete from rekindle_activation.sync_cold_leads")
    world.lead(lead_id="two", person_id="p", email="two@mail.example", phone=None)
    tick(world, 0, [low, high])
    assert sent(world) == [("high", 0)]
    assert world.verdicts()[6].holds


def test_the_winner_does_not_starve_the_loser_while_it_is_held_up_itself(world):
    lead = world.lead()
    high = campaign(world, "high", 90, caps={"messages": 1, "per_days": 30})
    low = campaign(world, "low", 10)
    # Given that the winner may not write for three weeks, because somebody else did
    world.insert("rekindle_raw.external_messages", external(world, lead, world.at(-8)))
    for day in range(3):
        tick(world, day, [low, high])
    assert sent(world) == [("low", 1)]


def test_a_campaign_that_joins_late_does_not_write_to_whom_another_wrote_today(world):
    world.lead()
    low, high = campaign(world, "low", 10), campaign(world, "high", 90)
    tick(world, 0, [low])
    tick(world, 0, [high])
    assert sent(world) == [("low", 0)]
    tick(world, 1, [high])
    assert sent(world) == [("low", 0), ("high", 1)]
    assert world.broken() == {}


def test_a_second_tick_of_the_same_day_is_the_same_day(world):
    world.lead()
    low, high = campaign(world, "low", 10), campaign(world, "high", 90)
    tick(world, 0, [high])
    tick(world, 0.1, [low])
    assert sent(world) == [("high", 0)]


@pytest.mark.parametrize("mode", [StopMode.HOLD, StopMode.CANCEL])
def test_a_stopped_campaign_wins_nobody(world, mode):
    world.lead()
    low, high = campaign(world, "low", 10), campaign(world, "high", 90)
    world.freeze(0, high)
    set_stop(world.warehouse, StopScope.CAMPAIGN, "high", mode, "wrong copy", "ada", world.clock)
    tick(world, 0, [low, high])
    assert sent(world) == [("low", 0)]


def test_a_planned_message_wins_only_until_its_time_has_passed(world):
    world.lead()
    low, high = campaign(world, "low", 10), campaign(world, "high", 90)
    world.freeze(0, high)
    take_turns(world.warehouse, high, [], world.run(0))
    world.campaign = high
    assert [batch.message_count for batch in world.plan(0)] == [1]
    set_stop(world.warehouse, StopScope.CAMPAIGN, "high", StopMode.HOLD, "wrong copy", "ada", world.clock)
    tick(world, 0, [low])
    assert sent(world) == []
    tick(world, 2, [low])
    assert sent(world) == [("low", 2)]


def test_a_campaign_that_is_broken_stops_no_other(world):
    world.lead()
    low, high = campaign(world, "low", 10), campaign(world, "high", 90, enter={"activation_model": "sync_unheard_of"})
    run = world.run(0)
    freeze_cohort(world.warehouse, low, run)
    assert take_turns(world.warehouse, low, [high], run) == 0
    world.campaign = low
    assert [batch.message_count for batch in world.plan(0)] == [1]


def test_the_tick_can_be_run_again_and_changes_nothing(world):
    world.leads([{} for _ in range(4)])
    both = [campaign(world, "low", 10), campaign(world, "high", 90)]
    tick(world, 0, both)
    before = world.fingerprint()
    tick(world, 0, both)
    assert world.fingerprint() == before


def test_without_airflow_who_takes_part_is_who_lately_did(world):
    known = ["lately", "long_ago", "never"]
    world.insert(
        "rekindle_state.campaign_turns",
        *(
            {"campaign_id": name, "as_of": world.at(day), "priority": 1, "run_id": "r"}
            for name, day in (("lately", -1), ("long_ago", -3))
        ),
    )
    assert campaigns_of_lately(world.warehouse, known, world.run(0)) == ["lately"]


# --- who enters


def test_any_activation_model_and_the_error_when_it_is_not_built(world):
    lead = world.lead(is_cold=False)
    chosen = campaign(world, "winback", enter={"activation_model": "sync_lapsed"})
    with pytest.raises(Exception, match="dbt build --select sync_lapsed"):
        world.freeze(0, chosen)
    world.execute("create table rekindle_activation.sync_lapsed as select * from rekindle_activation.sync_cold_leads")
    world.execute(
        "insert into rekindle_activation.sync_lapsed (lead_id, person_id, crossed_cold_on, scored_as_of)"
        " values ($lead, $lead, $on, $at)",
        lead=lead.lead_id,
        on=world.at(-1).date(),
        at=world.at(0),
    )
    assert world.freeze(0, chosen) == 1
    (entry,) = world.query("select * from rekindle_state.journey_entries")
    assert (entry["cold_score"], entry["score_contributions"], entry["segment"]) == (0, "{}", None)


SIGNALS = [
    ({"keyword": ["join", "START10"]}, "keyword", "START10"),
    ({"opt_in": "newsletter"}, "opt_in", "newsletter"),
    ({"group": "vip"}, "group", "vip"),
    ({"webhook": "trial_ended"}, "webhook", "trial_ended"),
]


def signal(world, lead, kind, name, at, day=0):
    world.execute(
        "create table if not exists rekindle_activation.sync_inbound_signals (lead_id varchar, person_id varchar,"
        " kind varchar, name varchar, happened_at timestamp, scored_as_of timestamp)"
    )
    row = {"lead_id": lead.lead_id, "person_id": lead.lead_id, "kind": kind, "name": name}
    world.insert("rekindle_activation.sync_inbound_signals", row | {"happened_at": at, "scored_as_of": world.at(day)})


@pytest.mark.parametrize(("source", "kind", "name"), SIGNALS)
def test_a_signal_lets_in_whom_it_names_and_nobody_else(world, source, kind, name):
    wanted, other, late = (world.lead(is_cold=False) for _ in range(3))
    signal(world, wanted, kind, name, world.at(-0.5))
    signal(world, wanted, kind, name, world.at(-0.7))
    signal(world, other, kind, name + "x", world.at(-0.5))
    signal(world, other, "something", name, world.at(-0.5))
    signal(world, late, kind, name, world.at(0.01))
    world.freeze(0, campaign(world, "asked", enter=source))
    assert world.values("select lead_id from rekindle_state.journey_entries") == [wanted.lead_id]


def test_each_time_is_each_time_it_happens_and_not_each_day_it_is_remembered(world):
    lead = world.lead(is_cold=False)
    chosen = campaign(world, "asked", enter={"keyword": ["JOIN"], "re_entry": "each_time"})
    signal(world, lead, "keyword", "JOIN", world.at(-0.5))
    assert world.freeze(0, chosen) == 1
    world.execute("update rekindle_state.journey_state set exit_reason = 'archived'")
    signal(world, lead, "keyword", "JOIN", world.at(-0.5), day=1)
    assert world.freeze(1, chosen) == 0
    signal(world, lead, "keyword", "JOIN", world.at(1.5), day=2)
    assert world.freeze(2, chosen) == 1


@pytest.mark.parametrize(
    ("condition", "who"),
    [
        ({"field": "plan", "is": "pro"}, {"pro"}),
        ({"field": "plan", "is_not": "pro"}, {"free", "unknown", "no_context"}),
        ({"field": "plan", "one_of": ["pro", "free", "it's"]}, {"pro", "free"}),
        ({"field": "plan", "not_one_of": ["pro", "team"]}, {"free", "unknown", "no_context"}),
        ({"field": "plan", "known": True}, {"pro", "free"}),
        ({"field": "plan", "known": False}, {"unknown", "no_context"}),
        ({"field": "cold_score", "above": 60}, {"pro"}),
        ({"field": "cold_score", "below": 60}, {"free"}),
        ({"field": "renewal_on", "above": "2026-02-01"}, {"free"}),
    ],
)
def test_the_audience_is_who_meets_the_condition(world, condition, who):
    add_contexts(world)
    chosen = campaign(world, "filtered", enter={"activation_model": "sync_cold_leads", "audience": [condition]})
    world.freeze(0, chosen)
    assert set(world.values("select lead_id from rekindle_state.journey_entries")) == who


def test_all_conditions_of_an_audience_must_hold_and_a_value_is_never_read_as_sql(world):
    add_contexts(world)
    conditions = [{"field": "plan", "is": "pro' or 'a' = 'a"}, {"field": "cold_score", "above": 1}]
    chosen = campaign(world, "filtered", enter={"activation_model": "sync_cold_leads", "audience": conditions})
    assert world.freeze(0, chosen) == 0


def add_contexts(world):
    world.execute(
        "create or replace table rekindle_activation.sync_lead_context"
        " (lead_id varchar, plan varchar, cold_score double, renewal_on date)"
    )
    for name, plan, score, renewal in (("pro", "pro", 80, "2026-01-20"), ("free", "free", 50, "2026-03-01")):
        world.lead(lead_id=name)
        row = {"lead_id": name, "plan": plan, "cold_score": score, "renewal_on": renewal}
        world.insert("rekindle_activation.sync_lead_context", row)
    world.lead(lead_id="unknown")
    world.insert("rekindle_activation.sync_lead_context", {"lead_id": "unknown", "plan": None})
    world.lead(lead_id="no_context")


def external(world, lead, at, **words):
    return {
        "external_message_id": f"{lead.lead_id} {at}",
        "lead_id": lead.lead_id,
        "channel": "email",
        "sent_at": at,
        "tool": "newsletter tool",
        "is_made_up": True,
        "source_file": "f",
        "source_row": 1,
        "loaded_at": at,
    } | words
