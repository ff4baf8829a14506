"""Task bodies, called as the plain functions they are, on a real warehouse and in a context made up by hand."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time.context import OutletEventAccessors, set_current_context
from cosmos.operators.local import DbtBuildLocalOperator

from rekindle.clock import SteppedClock
from rekindle.errors import RefusedError
from rekindle.run import Run, record_run
from rekindle.warehouse import open_warehouse
from rekindle_airflow.operators.build_models_operator import BuildModelsOperator
from rekindle_airflow.settings import settings
from rekindle_airflow.tasks import campaign, ingest, upkeep

TODAY = datetime(2026, 3, 2, 18, tzinfo=UTC)
CAMPAIGN = "cold_lead_reengagement"
ACCOUNT = "AC" + "0" * 32


@pytest.fixture
def installation(tmp_path, monkeypatch, empty_warehouse):
    """A migrated warehouse and empty folders, as settings and environment name them."""
    path = tmp_path / "warehouse.duckdb"
    shutil.copyfile(empty_warehouse, path)
    monkeypatch.setenv("REKINDLE_WAREHOUSE_PATH", str(path))
    monkeypatch.setenv("REKINDLE_INBOX_ROOT", str(tmp_path / "inbox"))
    monkeypatch.setenv("REKINDLE_LANDING_ROOT", str(tmp_path / "landing"))
    monkeypatch.setenv("REKINDLE_DBT_CACHE_ROOT", str(tmp_path / "dbt_cache"))
    monkeypatch.setenv("REKINDLE_TOKEN_KEYS", "a-key-of-the-test")
    (tmp_path / "landing").mkdir()
    SteppedClock(tmp_path / "clock").step_to(TODAY)
    monkeypatch.setenv("REKINDLE_CLOCK_FILE", str(tmp_path / "clock"))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


@pytest.fixture
def in_run():
    """Runs a task body inside Airflow's own current context; returns its value and what it told its outlets."""

    def run(body, *arguments, as_of=TODAY, takes_context=False):
        accessors = OutletEventAccessors()
        outlet = Asset("told")
        context = {
            "dag_run": SimpleNamespace(conf={"as_of": as_of.isoformat()}, run_id="manual__1", run_after=as_of),
            "task": SimpleNamespace(outlets=[outlet]),
            "outlet_events": accessors,
        }
        with set_current_context(context):
            value = body(*arguments, **(context if takes_context else {}))
        return value, accessors[outlet].extra

    return run


def finish(activity, as_of, campaign_id=""):
    """Record that an activity is finished as of an instant."""
    with open_warehouse().transaction() as transaction:
        record_run(transaction, Run(as_of, "manual__0", as_of), activity, {}, campaign_id)


def test_migrations_are_applied_once(installation, monkeypatch):
    monkeypatch.setenv("REKINDLE_WAREHOUSE_PATH", str(installation / "new.duckdb"))
    applied = upkeep.apply_migrations()
    assert applied[0] == "0001_create_schemas.sql"
    assert upkeep.apply_migrations() == []


def test_ingest_of_nothing_counts_nothing_and_tells_the_next_dag(installation, in_run):
    assert in_run(ingest.load_tables)[0] == {
        "users": 0,
        "events": 0,
        "support_tickets": 0,
        "product_feedback": 0,
        "external_messages": 0,
        "rejects": 0,
    }
    counts, told = in_run(ingest.load_landing_files, takes_context=True)
    assert set(counts.values()) == {0}
    assert told == {"as_of": "2026-03-02T18:00:00+00:00"}


def test_ingest_skips_a_day_older_than_the_newest_finished_one(installation, in_run):
    finish("ingest", TODAY)
    in_run(ingest.load_tables)  # the same instant again is not older
    with pytest.raises(AirflowSkipException, match="is finished and the warehouse stands at 2026-03-02 18:00"):
        in_run(ingest.load_tables, as_of=TODAY - timedelta(days=1))


def test_a_tick_between_two_days_loads_what_arrived_and_is_never_skipped(installation, in_run):
    # Given a finished day, and an opt-out that arrived after it
    finish("ingest", TODAY)
    folder = installation / "landing" / "twilio_inbound" / "2026-03-02"
    folder.mkdir(parents=True)
    (folder / "180000000001-0.jsonl").write_text(
        json.dumps(
            {
                "received_at": TODAY.isoformat(),
                "headers": {"content-type": "application/x-www-form-urlencoded"},
                "body": "MessageSid=SM1&From=%2B14155550100&Body=STOP",
            }
        )
    )
    # When a tick runs that Airflow had meant for yesterday
    counts, told = in_run(ingest.load_arrivals, as_of=TODAY - timedelta(days=1))
    # Then the opt-out holds, nobody is told, and the day is not finished anew
    assert (counts["files"], counts["suppressed"]) == (1, 1)
    assert told == {}
    with open_warehouse().transaction() as transaction:
        runs = transaction.query("select activity, as_of from rekindle_state.campaign_runs order by activity")
    assert runs == [{"activity": "ingest", "as_of": TODAY}, {"activity": "listen", "as_of": TODAY}]
    assert in_run(ingest.load_arrivals)[0]["files"] == 0


def test_the_landing_zone_may_be_any_object_storage_path(installation, in_run, monkeypatch):
    # Given a store that Airflow reaches through a connection
    monkeypatch.setenv("REKINDLE_LANDING_ROOT", f"file://{installation}/landing")
    monkeypatch.setenv("REKINDLE_LANDING_CONN_ID", "landing")
    monkeypatch.setenv("AIRFLOW_CONN_LANDING", json.dumps({"conn_type": "generic"}))
    folder = installation / "landing" / "app_events" / "2026-03-02"
    folder.mkdir(parents=True)
    call = json.dumps({"type": "track", "userId": "u", "event": "log_in", "messageId": "m"})
    (folder / "1.jsonl").write_text(json.dumps({"received_at": TODAY.isoformat(), "body": call}))
    assert in_run(ingest.load_arrivals)[0]["app_events"] == 1


def test_a_campaign_skips_a_day_older_than_the_newest_finished_one(installation, in_run):
    finish("freeze_cohort", TODAY, CAMPAIGN)
    with pytest.raises(AirflowSkipException, match="the warehouse stands at"):
        in_run(campaign.freeze_cohort, CAMPAIGN, as_of=TODAY - timedelta(days=1))
    # settling runs whatever happened before it, so it must look for itself
    with pytest.raises(AirflowSkipException, match="the warehouse stands at"):
        in_run(campaign.settle_run, CAMPAIGN, as_of=TODAY - timedelta(days=1), takes_context=True)


def test_settling_tells_the_next_dag(installation, in_run):
    _, told = in_run(campaign.settle_run, CAMPAIGN, takes_context=True)
    assert told == {"as_of": "2026-03-02T18:00:00+00:00"}


@pytest.mark.parametrize(
    ("body", "arguments", "takes_context"),
    [
        (campaign.send_emails, (CAMPAIGN, {"batch_id": "b", "message_count": 1}), False),
        (campaign.send_texts, (CAMPAIGN, {"batch_id": "b", "message_count": 1}), False),
        (campaign.check_numbers, (CAMPAIGN,), False),  # a Lookup costs money
        (upkeep.reconcile_ledger, (), True),  # reads the real account's messages as if they were made up
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_under_a_stepped_clock_no_task_talks_to_a_real_provider(
    installation, in_run, monkeypatch, body, arguments, takes_context
):
    # Given connections without a host: the providers themselves
    monkeypatch.setenv("AIRFLOW_CONN_SENDGRID_DEFAULT", json.dumps({"conn_type": "http", "password": "SG.key"}))
    extra = {"account_sid": ACCOUNT, "from_number": "+12125550100"}
    twilio = {"conn_type": "http", "login": ACCOUNT, "password": "token", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps(twilio))
    # Then logical time is refused before anything is asked
    with pytest.raises((RefusedError, AirflowSkipException), match="stepped by hand"):
        in_run(body, *arguments, takes_context=takes_context)


def build(in_run, *, of=None, **options):
    """Execute the operator up to dbt itself, which has tests of its own; what dbt would have been given, what was
    told.
    """
    words = {"selector": "tag:daily_score"} | (of or {})
    operator = BuildModelsOperator(task_id="build_scores", env={"KEPT": "yes"}, **words)
    given = {}

    def run_dbt(self, context, **_):
        given.update(env=dict(self.env), cache_dir=self.cache_dir, append_env=self.append_env)

    with patch.object(DbtBuildLocalOperator, "execute", run_dbt):
        _, told = in_run(lambda **context: operator.execute(context), takes_context=True, **options)
    return operator, given, told


def test_dbt_builds_as_of_the_runs_instant_and_remembers_its_parse(installation, in_run):
    operator, given, told = build(in_run)
    assert given["env"]["REKINDLE_AS_OF"] == "2026-03-02T18:00:00+00:00"
    assert given["env"]["KEPT"] == "yes"
    assert given["append_env"] is True
    assert given["cache_dir"] == installation / "dbt_cache"
    assert told == {"as_of": "2026-03-02T18:00:00+00:00"}
    assert operator.select == ["tag:daily_score"]
    assert operator.exclude == ["test_type:unit"]
    assert operator.full_refresh is False
    # a changed variable would make dbt parse the whole project again
    assert not operator.vars


def test_models_do_not_go_back_to_an_older_day(installation, in_run):
    # Given a warehouse that stands at today; clearing an old run of `score` carries its old instant
    finish("ingest", TODAY)
    with pytest.raises(AirflowSkipException, match="the warehouse stands at 2026-03-02 18:00"):
        build(in_run, as_of=TODAY - timedelta(days=1))
    assert build(in_run)[1]["env"]["REKINDLE_AS_OF"] == "2026-03-02T18:00:00+00:00"


def test_a_look_between_two_days_is_recorded_says_so_and_goes_not_back(installation, in_run):
    look = {"selector": "tag:hourly", "between_days": True}
    finish("ingest", TODAY)
    assert build(in_run, of=look, as_of=TODAY + timedelta(hours=3))[2] == {
        "as_of": "2026-03-02T21:00:00+00:00",
        "between_days": True,
    }
    for hours, stands_at in ((-1, "2026-03-02 18:00"), (2, "2026-03-02 21:00")):
        with pytest.raises(AirflowSkipException, match=f"the warehouse stands at {stands_at}"):
            build(in_run, of=look, as_of=TODAY + timedelta(hours=hours))
    # it is no day: the day may still be scored, and the same look may be repeated
    assert build(in_run, as_of=TODAY)[2] == {"as_of": "2026-03-02T18:00:00+00:00"}
    assert build(in_run, of=look, as_of=TODAY + timedelta(hours=3))[2]["between_days"] is True


@pytest.mark.parametrize(
    ("extras", "built"),
    [([{"between_days": True}], False), ([{"between_days": True}, {}], True), ([{}], True), ([], True)],
)
def test_marts_are_built_for_days_only(installation, extras, built):
    operator = BuildModelsOperator(task_id="build_marts", selector="tag:measure", only_days=True)
    events = [SimpleNamespace(extra={"as_of": TODAY.isoformat()} | extra) for extra in extras]
    context = {
        "dag_run": SimpleNamespace(conf={}, run_id="asset__1", run_after=TODAY),
        "triggering_asset_events": {"rekindle_journeys": events},
        "task": SimpleNamespace(outlets=[]),
    }
    with patch.object(DbtBuildLocalOperator, "execute") as dbt:
        if built:
            operator.execute(context)
        else:
            with pytest.raises(AirflowSkipException, match="between two days"):
                operator.execute(context)
    assert dbt.called is built


def test_a_model_that_fails_tells_nobody(installation, in_run):
    operator = BuildModelsOperator(task_id="build_scores", selector="tag:daily_score")
    accessors = OutletEventAccessors()
    context = {
        "dag_run": SimpleNamespace(conf={"as_of": TODAY.isoformat()}, run_id="manual__1", run_after=TODAY),
        "task": SimpleNamespace(outlets=[Asset("told")]),
        "outlet_events": accessors,
    }
    with (
        patch.object(DbtBuildLocalOperator, "execute", side_effect=RuntimeError("a data test failed")),
        pytest.raises(RuntimeError, match="a data test failed"),
    ):
        operator.execute(context)
    assert len(accessors) == 0


def test_a_run_in_which_a_task_failed_is_failed_and_not_tried_again():
    with pytest.raises(AirflowFailException, match="a task of this run failed"):
        campaign.fail_the_run()
