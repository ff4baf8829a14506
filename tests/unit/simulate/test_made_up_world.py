"""The parts a simulation is made of: its calendar, its people, its providers, its warehouse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest

from rekindle.campaigns.loader import load_campaign
from rekindle.channels.ports import OutcomeKind, OutgoingEmail, OutgoingSms
from rekindle.sandbox.people import STOP_REPLIES
from rekindle.simulate.calendar import RUNS_A_DAY, runs_of_day
from rekindle.simulate.clock import StillClock
from rekindle.simulate.people import gather_people
from rekindle.simulate.play import FIRST_DAY
from rekindle.simulate.providers import World
from rekindle.simulate.warehouse import MemoryWarehouse, fill_warehouse
from rekindle.vocabulary import Channel, Stream

INCLUDE = Path(__file__).parents[3] / "include"
AMERICA = (
    "America/New_York", "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles",
    "America/Anchorage", "Pacific/Honolulu",
)  # fmt: skip


@pytest.mark.parametrize("day", [1, 2, 3, 56, 57, 180])  # winter, the days around 8 March 2026, summer
@pytest.mark.parametrize("campaign_id", ["incentive_win_back", "cart_abandonment"])
def test_every_zone_is_met_inside_its_window(campaign_id: str, day: int) -> None:
    campaign = load_campaign(INCLUDE / "campaigns" / f"{campaign_id}.yaml", INCLUDE / "templates")
    midnight = FIRST_DAY + timedelta(days=day)
    runs = runs_of_day([campaign], AMERICA, midnight)
    assert 1 <= len(runs) <= RUNS_A_DAY
    assert all(midnight <= at < midnight + timedelta(days=1) for at in runs)
    window = campaign.window_for(Channel.SMS)
    met = {zone for zone in AMERICA for at in runs if window.contains(at.astimezone(ZoneInfo(zone)))}
    # a weekday leaves nobody out; Monday has one hour only, so that one zone may wait for Tuesday
    assert midnight.weekday() >= 5 or len(met) >= len(AMERICA) - 2 * (midnight.weekday() == 0)


def test_a_day_on_which_nothing_leaves_has_one_run() -> None:
    campaign = load_campaign(INCLUDE / "campaigns" / "incentive_win_back.yaml", INCLUDE / "templates")
    saturday = FIRST_DAY + timedelta(days=5)
    assert len(runs_of_day([campaign], AMERICA, saturday)) == 1


def test_a_leads_file_is_played_with_what_it_says_and_the_rest_made_up(tmp_path: Path) -> None:
    file = tmp_path / "leads.csv"
    file.write_text("user_id,email,time_zone\nann,ann@example.com,America/Denver\nbob,,America/Chicago\n")
    ann, bob = gather_people(file, 0, 0, FIRST_DAY)
    assert (ann.lead_id, ann.email, ann.contact["time_zone"]) == ("ann", "ann@example.com", "America/Denver")
    assert (bob.email, bob.contact["time_zone"]) == (None, "America/Chicago")
    assert "email" not in bob.consents


def text_to(number: str, message_id: str, world_step: str = "question") -> OutgoingSms:
    return OutgoingSms(message_id, "spring", world_step, f"lead of {number}", number, "words", 1, 3600)


def test_who_said_stop_is_refused_as_twilio_would() -> None:
    clock = StillClock(FIRST_DAY)
    world = World(0, clock)
    numbers = [f"+1212555{line:04}" for line in range(100, 400)]
    for number in numbers:
        world.take_text(text_to(number, f"first {number}"))
    later = world.until(FIRST_DAY + timedelta(days=3))
    replies = [line["body"] for line in later.lines[Stream.TWILIO_INBOUND]]
    stopped = [reply for reply in replies if any(word.strip().upper() in reply.upper() for word in STOP_REPLIES[:1])]
    outcomes = [world.take_text(text_to(number, f"second {number}")) for number in numbers]
    refused = [outcome for outcome in outcomes if outcome.kind is OutcomeKind.REFUSED]
    assert stopped and len(refused) >= len(stopped) / 2
    assert {outcome.error_code for outcome in refused} == {"21610"}


def test_questions_are_answered_in_expected_words() -> None:
    world = World(0, StillClock(FIRST_DAY), {("spring", "question"): ["yes", "later"]})
    for line in range(100, 200):
        world.take_text(text_to(f"+1212555{line:04}", f"m{line}"))
    bodies = [line["body"] for line in world.until(FIRST_DAY + timedelta(days=2)).lines[Stream.TWILIO_INBOUND]]
    assert sum("Body=yes" in body or "Body=later" in body for body in bodies) > 20


def test_an_answer_that_was_lost_is_unknown_and_sometimes_was_taken() -> None:
    world = World(0, StillClock(FIRST_DAY))
    outcomes = [
        world.take_email(
            OutgoingEmail(f"m{n}", "spring", "probe", f"lead{n}", f"p{n}@example.com", "s", "t", None, "https://u")
        )
        for n in range(4000)
    ]
    unknown = sum(outcome.kind is OutcomeKind.UNKNOWN for outcome in outcomes)
    assert 0 < unknown < 40
    assert 4000 - unknown < world.accepted < 4000


def test_the_clock_never_goes_back() -> None:
    clock = StillClock(FIRST_DAY)
    with pytest.raises(ValueError, match="can not go back"):
        clock.step_to(FIRST_DAY - timedelta(seconds=1))


def test_a_warehouse_in_memory_rolls_back_and_can_be_kept(tmp_path: Path) -> None:
    warehouse = MemoryWarehouse()
    fill_warehouse(warehouse, datetime(2026, 1, 1, tzinfo=UTC), ["sync_of_nobody"])
    with pytest.raises(RuntimeError, match="stop"), warehouse.transaction() as transaction:
        transaction.connection.execute("create table gone (x integer)")
        raise RuntimeError("stop")
    warehouse.write_to(tmp_path / "kept.duckdb")
    warehouse.close()
    with duckdb.connect(str(tmp_path / "kept.duckdb"), read_only=True) as kept:
        tables = {row[0] for row in kept.execute("select table_name from duckdb_tables()").fetchall()}
    assert {"sync_of_nobody", "journey_entries", "provider_errors"} <= tables
    assert "gone" not in tables
