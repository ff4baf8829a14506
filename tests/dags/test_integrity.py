"""What Airflow makes of `dags/`: which DAGs, which tasks, in which order, with which defaults."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from airflow.sdk import AssetAny, AssetOrTimeSchedule
from airflow.sdk.definitions.mappedoperator import MappedOperator

from rekindle_airflow import callbacks, dag_defaults
from rekindle_airflow.assets import RAW
from rekindle_airflow.callbacks import report_failure
from rekindle_airflow.campaign_files import HOURLY_MODELS
from rekindle_airflow.defaults import DEFAULT_ARGS
from rekindle_airflow.listening import ListeningSettings, listening_schedule
from rekindle_airflow.settings import Settings
from rekindle_airflow.tags import Tag

ROOT = Path(__file__).parents[2]
CAMPAIGN_DAG = "campaign__cold_lead_reengagement"

#: Every campaign file makes one of these.
CAMPAIGN_DAGS = [f"campaign__{file.stem}" for file in sorted((ROOT / "include" / "campaigns").glob("*.yaml"))]

#: Task ids and what follows each.
STRUCTURE = {
    "migrate": {"apply_migrations": {"build_models"}, "build_models": set()},
    "ingest": {"load_tables": {"load_landing_files"}, "load_landing_files": set()},
    "listen": {"load_arrivals": {"hand_over_replies"}, "hand_over_replies": set()},
    "score": {"build_scores": set()},
    "refresh": {"load_tables": {"refresh_models"}, "refresh_models": set()},
    "reconcile": {"reconcile_ledger": set()},
    "provider_sync": {
        "sync_suppressions": {"push_email_opt_outs", "push_text_opt_outs"},
        "push_email_opt_outs": set(),
        "push_text_opt_outs": set(),
        "poll_open_texts": set(),
        "sync_deactivations": set(),
        "hand_over_replies": set(),
    },
    # every task also tells `fail_the_run` when it fails
    CAMPAIGN_DAG: {
        "freeze_cohort": {"advance_journeys", "fail_the_run"},
        "advance_journeys": {"approve_run", "plan_emails", "fail_the_run"},
        "approve_run": {"plan_emails", "fail_the_run"},
        "plan_emails": {"send_emails", "check_numbers", "fail_the_run"},
        "check_numbers": {"plan_texts", "fail_the_run"},
        "plan_texts": {"send_texts", "fail_the_run"},
        "send_emails": {"settle_run", "fail_the_run"},
        "send_texts": {"settle_run", "fail_the_run"},
        "settle_run": {"fail_the_run"},
        "fail_the_run": set(),
    },
    "measure": {"build_marts": set()},
}

#: What starts each DAG, and what it tells the next: the daily cycle.
CYCLE = {
    "migrate": (None, set()),
    "ingest": ("0 20 * * *", {"rekindle_raw"}),
    "listen": ({"*/5 * * * *", "rekindle_arrivals"}, set()),  # tells nobody: it must not start a day
    "score": ({"rekindle_raw"}, {"rekindle_scores"}),
    "refresh": ("15 * * * *", {"rekindle_fresh"}),  # not on the hour, where the day begins
    "reconcile": ({"rekindle_raw"}, {"rekindle_ledger"}),
    "provider_sync": ("0 20 * * *", set()),
    CAMPAIGN_DAG: ({"rekindle_scores"}, {"rekindle_journeys"}),
    "measure": ({"rekindle_journeys"}, {"rekindle_marts"}),
}

IMPACT = {
    "migrate": "impact:stops_sending",
    "ingest": "impact:stops_listening",
    "listen": "impact:stops_listening",
    "score": "impact:stops_sending",
    "refresh": "impact:stops_sending",
    "reconcile": "impact:stops_listening",
    "provider_sync": "impact:stops_listening",
    CAMPAIGN_DAG: "impact:stops_sending",
    "measure": "impact:stops_measuring",
}

for _campaign_dag in CAMPAIGN_DAGS:
    for _expected in (STRUCTURE, CYCLE, IMPACT):
        _expected[_campaign_dag] = _expected[CAMPAIGN_DAG]
#: These enter from what `refresh` makes current: either of the two starts them.
for _name in ("cart_abandonment", "double_opt_in", "fresh_lead_welcome", "warm_lead_nudge"):
    CYCLE[f"campaign__{_name}"] = ({"rekindle_scores", "rekindle_fresh"}, {"rekindle_journeys"})

#: A task with one of these runs, or is skipped, only if nothing before it failed: a failure goes through it.
PASSES_FAILURE_ON = {"all_success", "none_failed", "none_failed_min_one_success", "one_failed"}


def outlets_of(task):
    return (task.partial_kwargs.get("outlets") if task.is_mapped else task.outlets) or []


def every_task(dags):
    return [(dag.dag_id, task) for dag in dags.values() for task in dag.tasks]


def test_every_file_is_imported_without_an_error_or_a_warning(dag_bag):
    assert dag_bag.import_errors == {}
    assert dag_bag.captured_warnings == {}
    assert set(dag_bag.dags) == set(STRUCTURE)


def test_every_file_in_the_folder_gives_a_dag(dags):
    assert {Path(dag.fileloc) for dag in dags.values()} == set((ROOT / "dags").glob("*.py"))


def test_a_dag_file_is_not_named_like_a_dbt_plugin():
    # dbt imports every module called dbt_* it finds on the path
    assert [path.name for path in (ROOT / "dags").rglob("dbt_*")] == []


@pytest.mark.parametrize("dag_id", STRUCTURE)
def test_tasks_and_what_follows_them(dags, dag_id):
    assert {task.task_id: task.downstream_task_ids for task in dags[dag_id].tasks} == STRUCTURE[dag_id]


@pytest.mark.parametrize("dag_id", CYCLE)
def test_what_starts_a_dag_and_what_it_tells_the_next(dags, dag_id):
    schedule = dags[dag_id].schedule
    started_by = {asset.name for asset in schedule} if isinstance(schedule, list) else schedule
    if isinstance(schedule, AssetOrTimeSchedule):
        started_by = {schedule.timetable.expression, schedule.asset_condition.name}
    if isinstance(schedule, AssetAny):
        started_by = {asset.name for asset in schedule.objects}
    told = {asset.name for task in dags[dag_id].tasks for asset in outlets_of(task)}
    assert (started_by, told) == CYCLE[dag_id]


def test_only_a_last_task_tells_the_next_dag(dags):
    # what starts the next DAG too early would let it read half a day; `fail_the_run` changes nothing
    telling = [(dag_id, task) for dag_id, task in every_task(dags) if outlets_of(task)]
    assert {
        f"{dag_id}.{task.task_id}" for dag_id, task in telling if task.downstream_task_ids - {"fail_the_run"}
    } == set()
    assert len(telling) == 5 + len(CAMPAIGN_DAGS)


def test_an_empty_schedule_means_only_when_triggered(monkeypatch):
    monkeypatch.setenv("REKINDLE_DAILY_SCHEDULE", "")
    monkeypatch.setattr(dag_defaults, "settings", Settings)
    assert dag_defaults.daily_dag(Tag.STOPS_LISTENING)["schedule"] is None
    monkeypatch.setenv("REKINDLE_DAILY_SCHEDULE", "15 6 * * *")
    assert dag_defaults.daily_dag(Tag.STOPS_LISTENING)["schedule"] == "15 6 * * *"


@pytest.mark.parametrize(
    ("environment", "schedule"),
    [
        ({}, "*/5 * * * *"),
        ({"REKINDLE_INGEST_SCHEDULE": "* * * * *"}, "* * * * *"),
        ({"REKINDLE_INGEST_SCHEDULE": ""}, None),
        # a demonstration steps its clock: nothing there runs by itself
        ({"REKINDLE_CLOCK_FILE": "/somewhere/clock"}, None),
        ({"REKINDLE_CLOCK_FILE": "/somewhere/clock", "REKINDLE_INGEST_SCHEDULE": "* * * * *"}, "* * * * *"),
    ],
)
def test_when_the_tick_between_two_days_runs(monkeypatch, environment, schedule):
    for name in ("REKINDLE_INGEST_SCHEDULE", "REKINDLE_CLOCK_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ListeningSettings().schedule == schedule


@pytest.mark.parametrize(
    ("environment", "schedule"),
    [
        ({}, "15 * * * *"),
        ({"REKINDLE_REFRESH_SCHEDULE": "*/30 * * * *"}, "*/30 * * * *"),
        ({"REKINDLE_REFRESH_SCHEDULE": ""}, None),
        # a demonstration steps its clock: nothing there runs by itself, and no day gets slower
        ({"REKINDLE_CLOCK_FILE": "/somewhere/clock"}, None),
        ({"REKINDLE_CLOCK_FILE": "/somewhere/clock", "REKINDLE_REFRESH_SCHEDULE": "0 * * * *"}, "0 * * * *"),
    ],
)
def test_when_carts_are_looked_at_again(monkeypatch, environment, schedule):
    for name in ("REKINDLE_REFRESH_SCHEDULE", "REKINDLE_CLOCK_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(dag_defaults, "settings", Settings)
    assert dag_defaults.hourly_dag(Tag.STOPS_SENDING)["schedule"] == schedule


def test_the_hourly_models_are_those_that_dbt_calls_hourly():
    models = yaml.safe_load((ROOT / "dbt_project/models/library/_library__models.yml").read_text())["models"]
    tagged = {model["name"] for model in models if "hourly" in model.get("config", {}).get("tags", [])}
    assert tagged == HOURLY_MODELS | {"int_last_refresh"}


@pytest.mark.parametrize(
    ("environment", "started_by"),
    [
        ({}, {"clock": "*/5 * * * *", "looks_every": 2.0}),
        ({"REKINDLE_LANDING_ROOT": "gs://landing/zone"}, {"clock": "*/5 * * * *", "looks_every": 30.0}),
        ({"REKINDLE_LANDING_ROOT": "file:///landing"}, {"clock": "*/5 * * * *", "looks_every": 2.0}),
        ({"REKINDLE_ARRIVAL_POLL_SECONDS": "7"}, {"clock": "*/5 * * * *", "looks_every": 7.0}),
        ({"REKINDLE_INGEST_SCHEDULE": ""}, {"clock": None, "looks_every": 2.0}),
        ({"REKINDLE_LISTEN_ON_ARRIVAL": "false"}, {"clock": "*/5 * * * *", "looks_every": None}),
        # a demonstration steps its clock: an arrival starts nothing there, unless it is told to
        ({"REKINDLE_CLOCK_FILE": "/somewhere/clock"}, {"clock": None, "looks_every": None}),
        (
            {"REKINDLE_CLOCK_FILE": "/somewhere/clock", "REKINDLE_LISTEN_ON_ARRIVAL": "true"},
            {"clock": None, "looks_every": 2.0},
        ),
    ],
)
def test_what_lands_starts_a_tick_by_itself(monkeypatch, environment, started_by):
    for name in ("INGEST_SCHEDULE", "CLOCK_FILE", "LANDING_ROOT", "LISTEN_ON_ARRIVAL", "ARRIVAL_POLL_SECONDS"):
        monkeypatch.delenv(f"REKINDLE_{name}", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    schedule = listening_schedule(ListeningSettings())
    watched = schedule if isinstance(schedule, list) else [getattr(schedule, "asset_condition", None)]
    clock = getattr(getattr(schedule, "timetable", None), "expression", schedule if isinstance(schedule, str) else None)
    watchers = [watcher for asset in watched if asset for watcher in asset.watchers]
    looks_every = watchers[0].trigger.poll_seconds if watchers else None
    assert {"clock": clock, "looks_every": looks_every} == started_by


@pytest.mark.parametrize("dag_id", STRUCTURE)
def test_runs_of_a_dag_are_one_at_a_time_and_never_caught_up(dags, dag_id):
    dag = dags[dag_id]
    assert dag.max_active_runs == 1
    assert dag.catchup is False


def test_a_run_may_act_as_of_a_day_long_ago(dags):
    """Airflow gives a run whose logical date is before the start date no tasks at all, and calls it a success; logs
    are shown from before 2010.
    """
    assert {dag_id: dag.start_date.year for dag_id, dag in dags.items() if dag.start_date.year > 1990} == {}


@pytest.mark.parametrize("dag_id", STRUCTURE)
def test_every_dag_uses_the_one_set_of_defaults(dags, dag_id):
    assert dags[dag_id].default_args == DEFAULT_ARGS
    for task in dags[dag_id].tasks:
        assert task.owner == "rekindle"
        assert task.retries == (0 if task.task_id == "fail_the_run" else 2)
        assert task.retry_delay == timedelta(minutes=1)
        # a person has longer than a task
        assert task.execution_timeout == (None if task.task_id == "approve_run" else timedelta(hours=2))
        callbacks = task.partial_kwargs["on_failure_callback"] if task.is_mapped else task.on_failure_callback
        assert callbacks in (report_failure, [report_failure])  # a mapped task keeps it as it was given


@pytest.mark.parametrize("dag_id", STRUCTURE)
def test_tags_are_ours_and_exactly_one_is_an_impact(dags, dag_id):
    tags = {str(tag) for tag in dags[dag_id].tags}
    assert tags <= {str(tag) for tag in Tag}
    assert "rekindle" in tags
    assert [tag for tag in tags if tag.startswith("impact:")] == [IMPACT[dag_id]]


@pytest.mark.parametrize("dag_id", STRUCTURE)
def test_every_dag_tells_the_on_call_reader_whether_to_rerun(dags, dag_id):
    text = dags[dag_id].doc_md
    assert text.strip().startswith("### ")
    assert "**Rerun or clear?**" in text


def test_files_that_the_documentation_names_are_there(dags):
    texts = [dag.doc_md for dag in dags.values()] + [Path(callbacks.__file__).read_text()]
    named = {found for text in texts for found in re.findall(r"docs/[\w/]+\.md", text)}
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_every_task_has_a_pool_that_make_creates(dags):
    pools = json.loads((ROOT / "include" / "pools.json").read_text())
    used = {task.pool for _, task in every_task(dags)}
    assert used == {"rekindle_warehouse", "rekindle_sendgrid", "rekindle_twilio"}
    assert used == set(pools)
    # one process at a time may open the embedded warehouse
    assert pools["rekindle_warehouse"]["slots"] == 1
    assert all(pool["slots"] > 0 and pool["description"] for pool in pools.values())


def test_mapped_tasks_have_their_providers_pool_and_are_named_after_their_batch(dags):
    mapped = {f"{dag_id}.{task.task_id}": task for dag_id, task in every_task(dags) if isinstance(task, MappedOperator)}
    assert {name: task.pool for name, task in mapped.items()} == {
        f"{dag_id}.send_{texts}": pool
        for dag_id in CAMPAIGN_DAGS
        for texts, pool in (("emails", "rekindle_sendgrid"), ("texts", "rekindle_twilio"))
    }
    for task in mapped.values():
        assert task.partial_kwargs["map_index_template"] == "{{ batch }}"


def test_a_campaign_is_born_paused_and_nothing_else_is(dags):
    born_paused = {dag_id for dag_id, dag in dags.items() if dag.is_paused_upon_creation}
    assert born_paused == set(CAMPAIGN_DAGS)


def test_settling_runs_whatever_became_of_the_batches(dags):
    rules = {task.task_id: task.trigger_rule.value for task in dags[CAMPAIGN_DAG].tasks}
    assert rules.pop("settle_run") == "all_done"
    assert rules.pop("fail_the_run") == "one_failed"
    # the approval is skipped when nobody has to be asked; what refuses the run or makes it dry skips both before it
    assert rules.pop("plan_emails") == "none_failed_min_one_success"
    assert set(rules.values()) == {"all_success"}


@pytest.mark.parametrize("dag_id", STRUCTURE)
def test_a_task_that_fails_fails_its_run(dags, dag_id):
    """Airflow judges a run by its last tasks alone: a failure must reach one of them."""
    dag = dags[dag_id]

    def failure_ends_in(task):
        if not task.downstream_task_ids:
            return True
        following = [dag.get_task(task_id) for task_id in task.downstream_task_ids]
        return any(each.trigger_rule.value in PASSES_FAILURE_ON and failure_ends_in(each) for each in following)

    assert [task.task_id for task in dag.tasks if not failure_ends_in(task)] == []


def test_following_dags_take_their_schedule_from_the_asset():
    assert dag_defaults.following_dag(RAW, Tag.STOPS_SENDING)["schedule"] == [RAW]
