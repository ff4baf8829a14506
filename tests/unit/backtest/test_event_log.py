"""Dates, and what event types prove."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rekindle.backtest.event_log import WishedKinds, decide_kinds, read_instants, spelled
from rekindle.errors import BadInputError

PROJECT = Path(__file__).parents[3] / "dbt_project"


def decide(*types: str, **wished):
    return decide_kinds(Path("log.csv"), dict.fromkeys(types, 1), WishedKinds(**wished), PROJECT)


def test_dates_are_midnights_sorted_and_told_once():
    instants = read_instants(["2014-03-01,2013-03-01", "2014-03-01", "2014-06-01T12:00:00+02:00"])
    assert instants == (
        datetime(2013, 3, 1, tzinfo=UTC),
        datetime(2014, 3, 1, tzinfo=UTC),
        datetime(2014, 6, 1, 10, tzinfo=UTC),
    )
    assert [spelled(instant) for instant in instants] == ["2013-03-01", "2014-03-01", "2014-06-01T10:00:00Z"]


def test_the_projects_lists_come_first_then_the_name_of_the_type():
    kinds = decide(
        "Logged_In", "purchase", "subscription_renewed", "badge_earned", "signed_up", "email_clicked", "email_opened",
        "song_played",
    )  # fmt: skip
    assert kinds.log_ins == ("Logged_In",)
    assert kinds.key_actions == ("purchase", "song_played")
    assert kinds.passive == ("subscription_renewed", "badge_earned")
    assert (kinds.email_clicks, kinds.email_opens) == (("email_clicked",), ("email_opened",))


def test_what_the_caller_names_holds():
    kinds = decide("purchase", "badge_earned", "song_played", key_actions=["badge_earned"], passive=None)
    assert kinds.key_actions == ("badge_earned",)
    assert kinds.passive == ()
    assert decide("purchase", "song_played", passive=["purchase"]).passive == ("purchase",)
    # no log-in is none, not the project's own list
    assert decide("purchase").environment()["REKINDLE_LOGIN_EVENTS"] == " "


def test_a_type_that_is_not_in_the_log_is_refused_with_the_nearest():
    with pytest.raises(BadInputError) as refused:
        decide("purchase", "login", key_actions=["purchas"])
    assert str(refused.value) == (
        "log.csv: no event is of type `purchas`; the log has `purchase`, `login`. Did you mean `purchase`?"
    )
