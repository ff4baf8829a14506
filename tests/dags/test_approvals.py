"""The approval task and dry runs, as the plain calls Airflow makes, on a real warehouse."""

from __future__ import annotations

import dataclasses
import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TriggerRule
from airflow.sdk.api.datamodels._generated import DagRunType
from airflow.sdk.exceptions import (
    AirflowRuntimeError,
    AirflowSkipException,
    DownstreamTasksSkipped,
    ErrorType,
    TaskAwaitingInput,
)
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.sdk.execution_time.context import set_current_context

from rekindle.errors import ConfigurationError
from rekindle.journey import freeze_cohort
from rekindle_airflow.operators.approve_run_operator import ApproveRunOperator
from rekindle_airflow.settings import settings
from rekindle_airflow.tasks import campaign as tasks

TODAY = datetime(2026, 1, 12, 18, tzinfo=UTC)
CAMPAIGN = "cold_lead_reengagement"
OF_ITS_FILE = tasks._campaign


@pytest.fixture
def installed(new_world, monkeypatch):
    """Makes a world that is this installation's, with a campaign of these words in place of its file."""

    def install(**changes):
        world = new_world(**changes)
        monkeypatch.setenv("REKINDLE_WAREHOUSE_PATH", str(world.path))
        monkeypatch.setenv("REKINDLE_CLOCK_FILE", str(world.folder / "clock"))
        monkeypatch.setattr(tasks, "_campaign", lambda campaign_id: world.campaign)
        settings.cache_clear()
        return world

    yield install
    settings.cache_clear()


def context(run_type="asset_triggered", as_of=TODAY, **params):
    run = SimpleNamespace(
        conf={"as_of": as_of.isoformat()},
        run_id=f"r {as_of}",
        run_after=as_of,
        run_type=DagRunType(run_type),  # as a task is told, not as a plain word
    )
    instance = SimpleNamespace(
        id="ti",
        map_index=-1,
        get_dag=lambda _: SimpleNamespace(is_paused=True),  # every other campaign, as they are shipped
        xcom_push=lambda **_: None,
    )
    return {
        "dag_run": run,
        "params": params,
        "task": SimpleNamespace(outlets=[]),
        "ti": instance,
        "task_instance": instance,
    }


def entered(world, leads, day=0):
    """So many leads have entered and are due on that day."""
    world.leads([{} for _ in range(leads)], on=day)
    world.freeze(day)
    world.advance(day)


def ask(operator, **words):
    """What `execute` does; the request to Airflow's database is caught, because there is none here."""
    with (
        patch("airflow.providers.standard.operators.hitl.upsert_hitl_detail") as asked,
        set_current_context(context(**words)),
    ):
        try:
            return operator.execute(context(**words)), asked
        except TaskAwaitingInput:
            return "waits", asked


def advance(told):
    """What the task before it does; the tasks it skips."""
    with set_current_context(told):
        try:
            tasks.advance_journeys(CAMPAIGN)
        except DownstreamTasksSkipped as skipped:
            return list(skipped.tasks)
    return []


@pytest.fixture
def operator():
    return ApproveRunOperator(task_id="approve_run", campaign_id=CAMPAIGN)


def test_without_limits_and_below_them_nothing_waits(installed, operator):
    for limits in ({}, {"above_messages": 3}):
        world = installed(approval=limits)
        entered(world, 3)
        # the task is skipped, which costs no process; run by itself it passes at once
        assert advance(context()) == ["approve_run"]
        answer, asked = ask(operator)
        assert answer == {"asked": False}
        asked.assert_not_called()


def test_above_the_limit_it_waits_with_the_report_and_names_no_address(installed, operator):
    world = installed(approval={"above_messages": 2}, holdout={"share": 0.0, "salt": "s"})
    entered(world, 3)
    assert advance(context()) == []
    answer, asked = ask(operator)
    assert answer == "waits"
    body = asked.call_args.kwargs["body"]
    assert "3 messages, above 2" in body and "Entered today: **3**" in body and "probe 3" in body
    assert "lead-00001" in body and "@" not in body and "+1" not in body
    assert asked.call_args.kwargs["defaults"] == ["Reject"]


@pytest.mark.parametrize(("price", "answer"), [("0.01", {"asked": False}), ("0.02", "waits")])
def test_the_cost_counts_every_segment_a_text_may_have(installed, operator, monkeypatch, price, answer):
    nudge = {"id": "nudge", "sms": {"template": "nudge.txt.j2", "max_segments": 2}}
    world = installed(approval={"above_cost": 0.1}, steps=[nudge, {"id": "archive", "end": "archived"}])
    entered(world, 3)
    monkeypatch.setenv("REKINDLE_SEGMENT_PRICE", price)
    settings.cache_clear()
    assert ask(operator)[0] == answer


def test_a_limit_on_cost_without_a_price_is_said_and_nothing_is_sent(installed, operator):
    entered(installed(approval={"above_cost": 1.0}), 1)
    for attempt in (lambda: advance(context()), lambda: ask(operator)):
        with pytest.raises(ConfigurationError, match="REKINDLE_SEGMENT_PRICE"):
            attempt()


@pytest.mark.parametrize(
    ("today", "limits", "answer", "alert"),
    [
        (3, {}, "goes on", None),
        (4, {}, "goes on", "4 entered, 2.0 times the usual 2"),
        (6, {"above_times_usual": 3}, "goes on", "6 entered, 3.0 times the usual 2"),
        (7, {"above_times_usual": 3}, "waits", "7 entered, 3.5 times the usual 2"),
        (0, {"above_times_usual": 3}, "waits", "nobody entered, and usually 2 do"),
        (0, {}, "goes on", "nobody entered, and usually 2 do"),
    ],
)
def test_the_cohort_is_held_against_the_median_of_the_days_before(
    installed, operator, caplog, today, limits, answer, alert
):
    world = installed(approval=limits)
    for day, leads in enumerate((1, 2, 50)):
        entered(world, leads, day)
    entered(world, today, 3)
    with caplog.at_level(logging.WARNING):
        skipped = advance(context(as_of=TODAY + timedelta(days=3)))
    found, _ = ask(operator, as_of=TODAY + timedelta(days=3))
    assert (found if found == "waits" else "goes on") == answer
    assert skipped == (["approve_run"] if answer == "goes on" else [])
    assert [record.getMessage().split(" ", 3)[3] for record in caplog.records if "ALERT" in record.getMessage()] == (
        [alert] if alert else []
    )


def test_a_campaign_that_enters_each_hour_is_held_against_the_same_time_of_day(installed, operator, caplog):
    world = installed(approval={"above_times_usual": 3})
    for day, leads in enumerate((2, 2, 2)):
        entered(world, leads, day)
    # at one in the morning nobody has entered, and nobody usually has by then
    night = TODAY.replace(hour=1) + timedelta(days=3)
    run = dataclasses.replace(world.run(3), as_of=night)
    freeze_cohort(world.warehouse, world.campaign, run)
    with caplog.at_level(logging.WARNING):
        assert advance(context(as_of=night)) == ["approve_run"]
    assert "ALERT" not in caplog.text
    # at six in the evening nobody still has, and two usually have
    freeze_cohort(world.warehouse, world.campaign, world.run(3))
    with caplog.at_level(logging.WARNING):
        assert advance(context(as_of=TODAY + timedelta(days=3))) == []
    assert "nobody entered, and usually 2 do" in caplog.text


def test_between_two_days_only_hourly_campaigns_are_brought_forward(yesterday):
    dags = dict.fromkeys(
        ("campaign__warm_lead_nudge", "campaign__personal_reminder", "campaign__incentive_win_back"), False
    )
    told = airflow_that_says(dags)
    told["dag_run"].conf = {}
    told["triggering_asset_events"] = {
        "rekindle_fresh": [SimpleNamespace(extra={"as_of": TODAY.isoformat(), "between_days": True})]
    }
    advance(told)
    today = "select campaign_id from rekindle_state.campaign_turns where as_of = $as_of order by 1"
    assert yesterday.values(today, as_of=TODAY) == [CAMPAIGN, "warm_lead_nudge"]
    # the others' own day is not refused as older than this tick
    entered_by = "select distinct campaign_id from rekindle_state.campaign_runs where activity = 'freeze_cohort'"
    assert "incentive_win_back" not in yesterday.values(entered_by)


def told_by(user, answer):
    """What Airflow hands to the task that is answered; nobody is `None`."""
    return {"chosen_options": [answer], "params_input": {}, "responded_at": TODAY, "responded_by_user": user}


@pytest.fixture
def operator_in_its_dag():
    """As in the campaign's DAG: planning follows, and the task that makes a run red."""
    with DAG("d", schedule=None):
        operator = ApproveRunOperator(task_id="approve_run", campaign_id=CAMPAIGN)
        failed = EmptyOperator(task_id="fail_the_run", trigger_rule=TriggerRule.ONE_FAILED)
        operator >> EmptyOperator(task_id="plan_emails") >> failed
        operator >> failed
    return operator


def give(operator, user, answer):
    """Resume the task with an answer; the ids of the tasks it skips."""
    told = context() | {"task": operator}
    with set_current_context(told):
        try:
            assert operator.execute_complete(told, told_by(user, answer)) == {"answer": answer, "asked": True}
        except DownstreamTasksSkipped as skipped:
            return list(skipped.tasks)
    return []


@pytest.mark.parametrize(
    ("user", "answer", "by", "skipped", "decisions"),
    [
        ({"id": "7", "name": "ada"}, "Approve", "ada", [], 0),
        ({"id": "7", "name": "ada"}, "Reject", "ada", ["plan_emails"], 2),
        (None, "Reject", "nobody in time", ["plan_emails"], 2),
    ],
)
def test_the_answer_is_a_row_and_a_no_skips_what_follows_and_moves_nobody(
    installed, operator_in_its_dag, user, answer, by, skipped, decisions
):
    world = installed(approval={"above_messages": 0}, holdout={"share": 0.0, "salt": "s"})
    entered(world, 2)
    before = world.query("select * from rekindle_state.journey_state order by entry_id")
    # the task that makes a run red is not skipped: what fails after a no still does
    assert give(operator_in_its_dag, user, answer) == skipped
    (row,) = world.query("select * from rekindle_state.approvals")
    assert (row["campaign_id"], row["answer"], row["answered_by"], row["as_of"]) == (CAMPAIGN, answer, by, TODAY)
    assert '"messages": {"probe": 2}' in row["question"]
    assert world.query("select * from rekindle_state.journey_state order by entry_id") == before
    # and everybody who was due has a decision
    told = world.query(
        "select lead_id, step_id, channel, reason, detail from rekindle_state.decisions order by lead_id"
    )
    assert [tuple(row.values()) for row in told] == [
        (f"lead-0000{number}", "probe", "email", "not_approved", by) for number in range(1, decisions + 1)
    ]


def test_asked_again_at_the_same_instant_nobody_has_a_second_decision(installed, operator_in_its_dag):
    world = installed(approval={"above_messages": 0}, holdout={"share": 0.0, "salt": "s"})
    entered(world, 2)
    for user in ({"id": "7", "name": "ada"}, None):
        give(operator_in_its_dag, user, "Reject")
    assert world.values("select answered_by from rekindle_state.approvals order by 1") == ["ada", "nobody in time"]
    assert world.values("select count(*) from rekindle_state.decisions") == [2]


# --- dry runs


def test_a_run_that_a_person_starts_changes_nothing_and_tells_what_it_would_do(installed, caplog):
    world = installed()
    world.leads([{} for _ in range(3)] + [{"time_zone": "Asia/Tokyo"}])
    before = world.fingerprint(without=frozenset())
    told = context("manual")
    with set_current_context(told), caplog.at_level(logging.INFO), pytest.raises(AirflowSkipException, match="dry run"):
        tasks.freeze_cohort(CAMPAIGN)
    assert world.fingerprint(without=frozenset()) == before
    assert "Entered today: **4**" in caplog.text
    assert "3 messages would be planned" in caplog.text and "outside_send_window" in caplog.text
    with set_current_context(told), pytest.raises(AirflowSkipException, match="dry run"):
        tasks.settle_run(CAMPAIGN, **told)


@pytest.mark.parametrize(
    "told", [context("manual", dry_run=False), context("asset_triggered", dry_run=True), context("scheduled")]
)
def test_a_run_is_real_if_an_asset_starts_it_or_the_person_says_so(installed, told):
    world = installed()
    world.leads([{} for _ in range(3)])
    with set_current_context(told):
        assert tasks.freeze_cohort(CAMPAIGN) == {"entered": 3}


# --- who takes part in the tick


def airflow_that_says(others):
    """A context whose task instance knows these DAGs: paused or not, or the status of Airflow's refusal."""

    def get_dag(dag_id):
        said = others.get(dag_id, True)
        if isinstance(said, bool):
            return SimpleNamespace(is_paused=said)
        refusal = ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": said, "message": "no"})
        raise AirflowRuntimeError(refusal)

    told = context()
    told["ti"].get_dag = get_dag
    return told


@pytest.fixture
def yesterday(installed, monkeypatch):
    """A world in which three other campaigns took part yesterday."""
    world = installed()
    monkeypatch.setattr(tasks, "_campaign", OF_ITS_FILE)
    world.insert(
        "rekindle_state.campaign_turns",
        *(
            {"campaign_id": name, "as_of": TODAY - timedelta(days=1), "priority": 1, "run_id": "r"}
            for name in ("warm_lead_nudge", "personal_reminder", "incentive_win_back")
        ),
    )
    return world


def test_a_campaign_whose_dag_is_paused_takes_no_part_though_it_did_yesterday(yesterday):
    dags = {
        "campaign__warm_lead_nudge": False,
        "campaign__personal_reminder": True,
        "campaign__incentive_win_back": 404,
    }
    advance(airflow_that_says(dags))
    today = "select campaign_id from rekindle_state.campaign_turns where as_of = $as_of order by 1"
    assert yesterday.values(today, as_of=TODAY) == [CAMPAIGN, "warm_lead_nudge"]


def test_an_airflow_that_can_not_answer_leaves_nobody_out(yesterday):
    dags = dict.fromkeys(
        ("campaign__warm_lead_nudge", "campaign__personal_reminder", "campaign__incentive_win_back"), 500
    )
    with set_current_context(airflow_that_says(dags)), pytest.raises(AirflowRuntimeError):
        tasks.advance_journeys(CAMPAIGN)
    assert yesterday.values("select count(*) from rekindle_state.campaign_turns where as_of = $as_of", as_of=TODAY) == [
        0
    ]
