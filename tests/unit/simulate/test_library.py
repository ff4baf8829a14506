"""Every campaign that is shipped lives: through made-up days with all invariants true, and on the page of a reader."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from rekindle.campaigns.definition import SOURCES
from rekindle.campaigns.loader import load_campaign
from rekindle.campaigns.models import Campaign
from rekindle.preview import preview_sequence, sample_lead
from rekindle.rendering.context import Company
from rekindle.simulate.people import SYNTHETIC, Person, gather_people
from rekindle.simulate.play import FIRST_DAY, simulate
from rekindle.simulate.report import played_page

ROOT = Path(__file__).parents[3]
INCLUDE = ROOT / "include"
LIBRARY = sorted(path.stem for path in (INCLUDE / "campaigns").glob("*.yaml"))
COMPANY = Company("Example Records", "1 Example Street, Springfield, IL 62701, USA")
DAYS = 7


@pytest.fixture(scope="module")
def crowd() -> list[Person]:
    """Some made-up people."""
    return gather_people(SYNTHETIC, 80, 0, FIRST_DAY)


def shipped(campaign_id: str) -> Campaign:
    return load_campaign(INCLUDE / "campaigns" / f"{campaign_id}.yaml", INCLUDE / "templates")


@pytest.mark.parametrize("campaign_id", LIBRARY)
def test_it_lives_through_days_with_all_invariants_true(crowd: list[Person], campaign_id: str) -> None:
    campaign = shipped(campaign_id)
    played = simulate([campaign], crowd, DAYS, seed=0, runs_a_day=1)
    assert {verdict.number: verdict.violations for verdict in played.verdicts} == dict.fromkeys(range(1, 11), 0)
    assert played.accepted > 0
    reached = {row["reached"] for row in played.funnel}
    assert campaign.first_step.step_id in reached
    # nobody goes anywhere but to a step of the file or to an end of the closed set
    known = {step.step_id for step in campaign.steps}
    assert {row["reached"] for row in played.funnel if not row["is_exit"]} <= known


@pytest.mark.parametrize("campaign_id", LIBRARY)
@pytest.mark.parametrize("with_fields", [True, False])
def test_every_message_can_be_read_by_those_we_know_and_those_we_do_not(campaign_id: str, with_fields: bool) -> None:
    campaign = shipped(campaign_id)
    lead = sample_lead(with_fields=with_fields)
    steps = preview_sequence(campaign, lead, COMPANY, datetime(2026, 11, 22, tzinfo=UTC), "https://links.example.com")
    messages = [step.message for step in steps if step.message]
    assert [message.problem for message in messages] == [None] * len(campaign.message_steps)
    for message in messages:
        words = f"{message.subject} {message.text}"
        assert "None" not in words.removeprefix("None ")
        assert not any(trace in words for trace in ("{{", "{%", " ,", " .", "  ("))


@pytest.mark.parametrize("campaign_id", LIBRARY)
def test_it_says_when_to_use_it(campaign_id: str) -> None:
    campaign = shipped(campaign_id)
    assert len(campaign.description.split()) >= 40
    assert sum(getattr(campaign.enter, source) is not None for source in SOURCES) == 1
    table = (ROOT / "docs" / "library.md").read_text()
    assert f"| `{campaign_id}` |" in table


def test_the_same_seed_gives_the_same_life_and_another_seed_another() -> None:
    campaign = shipped("cart_abandonment")
    first, again, other = (
        simulate([campaign], gather_people(SYNTHETIC, 30, seed, FIRST_DAY), 3, seed, runs_a_day=1) for seed in (1, 1, 2)
    )
    assert first == again
    assert first.messages != other.messages or first.funnel != other.funnel


def test_campaigns_that_want_the_same_people_take_turns_and_the_stronger_goes_first(crowd: list[Person]) -> None:
    names = ["sale_announcement", "cart_abandonment"]
    played = simulate([shipped(name) for name in names], crowd[:60], 5, seed=0, runs_a_day=1)
    assert {verdict.number: verdict.violations for verdict in played.verdicts} == dict.fromkeys(range(1, 11), 0)
    assert [one.campaign_id for one in played.campaigns] == ["cart_abandonment", "sale_announcement"]
    assert all(played.ends_of(name)["treatment"].total() > 0 and played.sent_of(name)["sent"] > 0 for name in names)
    # the weakest lets pass most often; what waited was sent later, ended before, or still waits, and is counted once
    waited = {name: sum(row["deferrals"] for row in played.lost_by(name)) for name in names}
    assert waited["sale_announcement"] > waited["cart_abandonment"]
    for row in played.deferrals:
        assert row["campaign_id"] != row["winning_campaign_id"]
        assert 0 <= row["went_later"] + row["ended_before"] <= row["messages"] <= row["deferrals"]
    assert sum(row["went_later"] for row in played.deferrals) > 0

    told = json.loads(json.dumps(played.as_json(), default=str))
    assert told["holds"] and [one["campaign_id"] for one in told["campaigns"]] == [
        one.campaign_id for one in played.campaigns
    ]
    assert sum(one["sent"] for one in told["campaigns"]) == sum(
        row["messages"] for row in played.sends if row["outcome"] == "sent"
    )
    console = Console(file=io.StringIO(), width=80)
    console.print(played_page(played))
    page = console.file.getvalue()
    assert "2 campaigns played together" in page and "…" not in page
    assert all(name in page for name in names)


def test_the_campaign_takes_its_turn_in_every_run_and_plans_only_its_own_channels(
    crowd: list[Person], tmp_path: Path
) -> None:
    kept = tmp_path / "kept.duckdb"
    simulate([shipped("double_opt_in")], crowd[:20], 2, seed=0, runs_a_day=1, keep=kept)
    with duckdb.connect(str(kept), read_only=True) as warehouse:
        turns = warehouse.execute(
            "select campaign_id, count(*) from rekindle_state.campaign_turns group by 1"
        ).fetchall()
        lost = warehouse.execute("select count(*) from rekindle_state.lost_turns").fetchall()
        runs = warehouse.execute("select distinct activity from rekindle_state.campaign_runs").fetchall()
    assert (turns, lost) == ([("double_opt_in", 2)], [(0,)])
    assert ("plan_email",) in runs and ("plan_sms",) not in runs
