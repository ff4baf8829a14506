"""Two campaigns want one lead on one day: the tasks of their DAGs, as Airflow calls them, and what `rekindle explain`
tells of it. The API server is stood in for, because a task has none here; the warehouse is real.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk.api.datamodels._generated import DagRunType
from airflow.sdk.exceptions import DownstreamTasksSkipped
from airflow.sdk.execution_time.context import set_current_context
from typer.testing import CliRunner

from rekindle.cli import app
from rekindle_airflow.settings import settings
from rekindle_airflow.tasks import campaign as tasks

TODAY = datetime(2026, 1, 12, 18, tzinfo=UTC)
STRONG, WEAK, OFF = "warm_lead_nudge", "sale_announcement", "personal_reminder"
PRIORITIES = {STRONG: 72, WEAK: 30, OFF: 99}
STEPS = [
    {"id": "probe", "email": {"template": "probe.txt.j2", "subject": "Hello"}},
    {"id": "listen", "wait": "20d"},
    {"id": "archive", "end": "archived"},
]


@pytest.fixture
def world(new_world, monkeypatch):
    """A world in which these campaigns want everybody; the strongest of them is paused in Airflow."""
    world = new_world()
    files = {name: world.campaign_with(name, priority=of, steps=STEPS) for name, of in PRIORITIES.items()}
    monkeypatch.setattr(tasks, "_campaign", files.__getitem__)
    monkeypatch.setenv("REKINDLE_WAREHOUSE_PATH", str(world.path))
    monkeypatch.setenv("REKINDLE_CLOCK_FILE", str(world.folder / "clock"))
    settings.cache_clear()
    world.files = files
    yield world
    settings.cache_clear()


def context(as_of):
    run = SimpleNamespace(
        conf={"as_of": as_of.isoformat()}, run_id=f"r {as_of}", run_after=as_of, run_type=DagRunType("asset_triggered")
    )

    def get_dag(dag_id):
        return SimpleNamespace(is_paused=dag_id.removeprefix("campaign__") not in (STRONG, WEAK))

    # asked whether somebody has a run, it would say no: that of the other campaign is not made yet
    instance = SimpleNamespace(id="ti", map_index=-1, get_dag=get_dag, xcom_push=lambda **_: None)
    return {"dag_run": run, "params": {}, "task": SimpleNamespace(outlets=[]), "ti": instance}


@pytest.fixture
def live(world):
    """The day of one campaign's DAG; how many messages it planned."""

    def run(campaign_id, day):
        world.now(day)
        with set_current_context(context(TODAY + timedelta(days=day))):
            tasks.freeze_cohort(campaign_id)
            with suppress(DownstreamTasksSkipped):  # nobody has to approve it
                tasks.advance_journeys(campaign_id)
            batches = tasks.plan_emails(campaign_id)
        world.campaign = world.files[campaign_id]
        world.dispatch([SimpleNamespace(**batch) for batch in batches], world.email, day)
        world.advance(day)  # as the run settles
        return sum(batch["message_count"] for batch in batches)

    return run


def explained(lead, *options):
    told = CliRunner().invoke(app, ["explain", lead.lead_id, *options], env={"COLUMNS": "120"})
    assert told.exit_code == 0, told.output
    return " ".join(told.output.split())


@pytest.mark.parametrize("order", [(STRONG, WEAK), (WEAK, STRONG)])
def test_the_stronger_writes_that_day_and_the_weaker_the_next_and_explain_says_so(world, live, order):
    lead = world.lead()
    assert {name: live(name, 0) for name in order} == {STRONG: 1, WEAK: 0}
    assert {name: live(name, 1) for name in order} == {STRONG: 0, WEAK: 1}
    assert world.broken() == {}
    page = explained(lead)
    assert f"not sent {WEAK}: email of step probe, again from 2026-01-13 18:00 lost_arbitration: {STRONG} has" in page


def test_the_stronger_wins_also_on_its_first_day_before_it_has_a_run(world, live):
    world.lead()
    assert live(WEAK, 0) == 0
    won = "select distinct winning_campaign_id from rekindle_state.lost_turns"
    assert world.values(won) == [STRONG]
    assert live(STRONG, 0) == 1


def test_a_campaign_that_is_paused_wins_nobody(world, live):
    world.lead()
    live(WEAK, 0)
    assert OFF not in world.values("select distinct campaign_id from rekindle_state.campaign_turns")
