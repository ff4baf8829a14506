"""What a person stopped stays stopped, everybody keeps their place, and nobody is skipped for it."""

from __future__ import annotations

import pytest

from rekindle.errors import BadInputError
from rekindle.stops import lift_stop, list_stops, set_stop
from rekindle.vocabulary import Channel, StopMode, StopScope

CAMPAIGN = "cold_lead_reengagement"
WHOLE = [(StopScope.EVERYTHING, None), (StopScope.CAMPAIGN, CAMPAIGN)]
MAIL = [(StopScope.CHANNEL, "email"), (StopScope.PROVIDER, "sendgrid")]
TEXT = [(StopScope.CHANNEL, "sms"), (StopScope.PROVIDER, "twilio")]
ELSEWHERE = [(StopScope.CAMPAIGN, "another_campaign"), *TEXT]


def stop(world, scope, name=None, mode=StopMode.HOLD):
    return set_stop(world.warehouse, scope, name, mode, "somebody complained", "ada", world.clock)


def resume(world, scope, name=None):
    return lift_stop(world.warehouse, scope, name, "ada", world.clock)


def at_the_probe(world):
    """One lead who entered and whose e-mail is due."""
    lead = world.lead()
    world.freeze(0)
    return lead


@pytest.mark.parametrize("mode", StopMode)
@pytest.mark.parametrize(("scope", "name"), WHOLE + MAIL)
def test_nobody_enters_under_a_stop_of_any_mode_and_who_still_may_enters_after_it(world, mode, scope, name):
    lead = world.lead()
    stop(world, scope, name, mode)
    assert world.freeze(0) == 0
    assert resume(world, scope, name) == 1
    world.crosses_again(lead, on=1)
    assert world.freeze(1) == 1


@pytest.mark.parametrize(("scope", "name"), ELSEWHERE)
def test_a_stop_of_something_else_lets_people_in(world, scope, name):
    world.lead()
    stop(world, scope, name)
    assert world.freeze(0) == 1


@pytest.mark.parametrize(("scope", "name"), WHOLE + MAIL)
def test_on_hold_nothing_is_planned_and_the_decision_says_why(world, scope, name):
    lead = at_the_probe(world)
    before = world.state(lead)
    stop(world, scope, name)
    assert world.plan(0) == [] and world.plan(0) == []
    (decision,) = world.query("select * from rekindle_state.decisions")
    assert (decision["reason"], decision["next_due_at"]) == ("stopped", None)
    assert decision["detail"] == f"{f'{scope} {name}' if name else scope}: hold"
    assert world.state(lead) == before
    resume(world, scope, name)
    assert [batch.message_count for batch in world.plan(0)] == [1]
    assert world.broken() == {}


@pytest.mark.parametrize(("scope", "name"), ELSEWHERE)
def test_a_hold_of_something_else_holds_nothing_here(world, scope, name):
    at_the_probe(world)
    stop(world, scope, name)
    assert [batch.message_count for batch in world.plan(0)] == [1]


@pytest.mark.parametrize(("scope", "name"), WHOLE)
def test_on_hold_a_wait_that_is_over_moves_nobody_and_an_opt_out_still_ends(world, scope, name):
    waiting, leaving = world.lead(), world.lead()
    world.tick(0)
    stop(world, scope, name)
    world.sign_of_life(leaving, world.at(1))
    assert world.advance(4)["ended"] == 1
    assert world.state(leaving)["exit_reason"] == "re_engaged"
    assert world.state(waiting)["stage"] == "listen_after_probe"
    resume(world, scope, name)
    world.advance(4)
    assert world.state(waiting)["stage"] == "nudge"
    assert world.broken() == {}


def test_a_hold_of_a_channel_lets_waits_go_on(world):
    lead = world.lead()
    world.tick(0)
    stop(world, StopScope.CHANNEL, "sms")
    world.advance(4)
    assert world.state(lead)["stage"] == "nudge"
    assert world.plan(4, Channel.SMS) == []


@pytest.mark.parametrize(("scope", "name"), WHOLE + MAIL)
def test_draining_lets_who_is_in_flight_go_on(world, scope, name):
    lead = at_the_probe(world)
    stop(world, scope, name, StopMode.DRAIN)
    world.lead(on=1)
    world.tick(1)
    assert world.message(lead)["status"] == "accepted"
    assert len(world.values("select entry_id from rekindle_state.journey_entries")) == 1
    for day in range(2, 16):
        world.tick(day)
    assert world.state(lead)["exit_reason"] == "archived"


@pytest.mark.parametrize(("scope", "name"), WHOLE + MAIL)
def test_cancelling_ends_who_is_in_flight_once(world, scope, name):
    lead = at_the_probe(world)
    stop(world, scope, name, StopMode.CANCEL)
    assert world.advance(0)["ended"] == 1
    assert world.advance(0)["ended"] == 0
    assert (world.state(lead)["exit_reason"], world.state(lead)["stage"]) == ("cancelled", "exited")
    assert world.plan(0) == []
    assert world.broken() == {}


@pytest.mark.parametrize(("scope", "name"), TEXT)
def test_cancelling_a_channel_ends_only_who_stands_at_a_step_of_it(world, scope, name):
    lead = world.lead()
    world.tick(0)
    stop(world, scope, name, StopMode.CANCEL)
    world.advance(1)
    assert world.state(lead)["stage"] == "listen_after_probe"
    world.advance(3)  # the wait ends: she comes to the text step
    world.advance(3)
    assert world.state(lead)["exit_reason"] == "cancelled"


def test_a_sign_of_life_wins_over_cancelling(world):
    lead = at_the_probe(world)
    world.sign_of_life(lead, world.at(0.1))
    stop(world, StopScope.EVERYTHING, mode=StopMode.CANCEL)
    world.advance(1)
    assert world.state(lead)["exit_reason"] == "re_engaged"


def test_a_long_hold_uses_up_nobodys_patience(world):
    # Given somebody whose window is shut whenever the campaign runs
    lead = world.lead(time_zone="Asia/Tokyo")
    world.freeze(0)
    stop(world, StopScope.CAMPAIGN, CAMPAIGN)
    for day in range(1, 10):
        world.plan(day)
    world.now(10)
    resume(world, StopScope.CAMPAIGN, CAMPAIGN)
    world.plan(10)
    assert world.state(lead)["stage"] == "probe"
    assert world.decisions(lead)[-1] == "outside_send_window"


def test_a_stop_is_replaced_by_another_mode_and_each_row_stays(world):
    assert stop(world, StopScope.CAMPAIGN, CAMPAIGN)
    assert not stop(world, StopScope.CAMPAIGN, CAMPAIGN)
    assert stop(world, StopScope.CAMPAIGN, CAMPAIGN, StopMode.DRAIN)
    in_force, lifted = list_stops(world.warehouse)
    assert (in_force.mode, in_force.lifted_at) == (StopMode.DRAIN, None)
    assert (lifted.mode, lifted.lifted_at, lifted.lifted_by) == (StopMode.HOLD, world.at(0), "ada")


def test_lifting_one_stop_lifts_no_other(world):
    stop(world, StopScope.EVERYTHING)
    stop(world, StopScope.CHANNEL, "email")
    assert resume(world, StopScope.EVERYTHING) == 1
    assert resume(world, StopScope.EVERYTHING) == 0
    at_the_probe(world)
    assert world.plan(0) == []


@pytest.mark.parametrize(("scope", "name"), [(StopScope.CHANNEL, "mail"), (StopScope.PROVIDER, "email")])
def test_a_stop_of_what_is_not_there_is_refused_and_says_what_is(world, scope, name):
    with pytest.raises(BadInputError, match=r"name one of: (email, sms|sendgrid, twilio)"):
        stop(world, scope, name)
    assert list_stops(world.warehouse) == []
