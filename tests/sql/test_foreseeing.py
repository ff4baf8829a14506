"""`rekindle plan`: what it foretells is what the run then does, and foretelling changes nothing."""

from __future__ import annotations

import io
from collections import Counter

import pytest
from rich.console import Console

from rekindle.errors import RefusedError
from rekindle.preview.day import foresee_day, next_run_at
from rekindle.preview.day_page import day_page
from rekindle.stops import set_stop
from rekindle.vocabulary import Channel, StopMode, StopScope


@pytest.fixture
def foresee(world):
    """Foretells the campaign's next run while nobody else holds the file."""

    def ask(day):
        world.let_go()
        try:
            return foresee_day(world.warehouse, world.campaign, [], world.at(day), "US")
        finally:
            world.hold()

    return ask


def counted(rows, count, *names):
    return {tuple(row[name] for name in names): row[count] for row in rows}


def test_what_it_foretells_is_what_happens(world, foresee):
    world.leads([{"segment": "lapsed_buyer"}] * 4 + [{"email": None}, {"email": None, "phone": None}])
    world.leads([{"consents": ()}, {"time_zone": None, "country": None, "phone": None}])
    foreseen = foresee(0)
    world.freeze(0)
    world.advance(0)
    world.plan(0, Channel.EMAIL)
    world.plan(0, Channel.SMS)
    assert (
        sum(row["entries"] for row in foreseen.entrants)
        == world.query("select count(*) as n from rekindle_state.journey_entries")[0]["n"]
    )
    assert counted(foreseen.messages, "messages", "step_id", "channel") == Counter(
        (row["step_id"], row["channel"]) for row in world.messages()
    )
    decided = world.query("select step_id, reason from rekindle_state.decisions")
    assert counted(foreseen.decisions, "decisions", "step_id", "reason") == Counter(
        (row["step_id"], row["reason"]) for row in decided
    )
    assert foreseen.messages and foreseen.decisions and foreseen.moves


def test_it_changes_nothing_and_leaves_nothing_behind(world, foresee):
    world.leads([{}] * 3)
    world.tick(0)
    before = world.fingerprint()
    files = {path.name for path in world.folder.iterdir()}
    foresee(3)
    assert world.fingerprint() == before
    assert {path.name for path in world.folder.iterdir()} <= files


def test_an_earlier_day_than_the_last_is_refused(world, foresee):
    world.lead()
    world.tick(2)
    with pytest.raises(RefusedError):
        foresee(1)


def test_the_page_compares_with_the_cohorts_before_and_prices_the_texts(world, foresee):
    world.leads([{}] * 3)
    world.tick(0)
    world.leads([{"email": None}] * 2, on=1)
    console = Console(file=io.StringIO(), width=160)
    console.print(day_page(world.campaign, foresee(1), 0.5))
    page = console.file.getvalue()
    assert "2 in all; -1 to yesterday's 3; sync_cold_leads is as of" in page
    assert "Segments to bill at most: 4, 2.00 at 0.5 a segment" in page
    assert "person" not in page  # nobody's address


def test_it_says_what_is_stopped_and_counts_no_holdout_among_what_leaves(world, foresee):
    # Given two who wait for their window, one of them held out
    world.leads([{"time_zone": "Pacific/Honolulu"}] * 2, on=-0.1)
    world.freeze(-0.1)
    world.execute(
        "update rekindle_state.journey_entries set arm = 'holdout' where lead_id = 'lead-00001';"
        " update rekindle_state.journey_state set arm = 'holdout' where lead_id = 'lead-00001'"
    )
    early = foresee(-0.05)
    assert counted(early.decisions, "decisions", "reason") == {("outside_send_window",): 2}
    assert [(row["leaves_at"], row["messages"]) for row in early.send_hours] == [(world.at(0), 1)]
    set_stop(world.warehouse, StopScope.CHANNEL, "sms", StopMode.HOLD, "carrier trouble", "ada", world.clock)
    console = Console(file=io.StringIO(), width=80)
    console.print(day_page(world.campaign, foresee(0), None))
    assert "Stopped: channel sms (hold) by ada: carrier trouble" in console.file.getvalue()


def test_the_next_run_acts_as_of_todays_scores_until_they_are_used(world):
    world.lead()
    now = world.at(0.1)
    assert next_run_at(world.warehouse, world.campaign, now) == world.at(0)
    assert next_run_at(world.warehouse, world.campaign, world.at(1.1)) == world.at(1.1)
    world.freeze(0)
    assert next_run_at(world.warehouse, world.campaign, now) == now


def test_an_idle_day_says_nothing_of_each(world, foresee):
    console = Console(file=io.StringIO(), width=160)
    console.print(day_page(world.campaign, foresee(0), None))
    page = console.file.getvalue()
    assert page.count("nothing ") >= 5
    assert "0 in all; no cohort before it; sync_cold_leads is empty, or the DAG `score` has not run yet" in page
