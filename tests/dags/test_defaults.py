"""What a task does when it fails: which errors are tried again, what is logged, what is skipped."""

from __future__ import annotations

import logging
from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowSkipException
from cosmos.exceptions import CosmosDbtRunError

from rekindle.campaigns.findings import InvalidCampaign
from rekindle.errors import BadInputError, ConfigurationError, RefusedError, WarehouseBusyError
from rekindle.governor.rate import RateUnavailableError
from rekindle_airflow.callbacks import report_failure
from rekindle_airflow.defaults import DEFAULT_ARGS, RETRY_BY_KIND
from rekindle_airflow.guards import skip_if_refused


def decide(error):
    return RETRY_BY_KIND.evaluate(error, try_number=1, max_tries=2)


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError("the API key is missing"),
        InvalidCampaign([]),
        BadInputError("the column user_id is missing"),
        RefusedError("the clock is stepped by hand"),  # where no guard makes it a skip, trying again is refused again
    ],
)
def test_what_a_person_must_mend_is_not_tried_again(error):
    assert decide(error).action is RetryAction.FAIL


def test_a_busy_warehouse_is_tried_again_soon():
    decision = decide(WarehouseBusyError("somebody holds it"))
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, timedelta(seconds=30))


@pytest.mark.parametrize("error", [ConnectionError(), TimeoutError(), RateUnavailableError("busy"), ValueError()])
def test_everything_else_is_tried_again_as_often_as_every_task(error):
    assert decide(error).action is RetryAction.DEFAULT
    assert DEFAULT_ARGS["retries"] == 2


def test_the_policy_survives_being_stored_with_the_dag():
    stored = RETRY_BY_KIND.serialize()
    decision = type(RETRY_BY_KIND).deserialize(stored).evaluate(ConfigurationError("x"), try_number=1, max_tries=2)
    assert decision.action is RetryAction.FAIL


def test_a_dbt_test_that_failed_is_not_run_again_on_the_same_rows(dags):
    policies = {dag_id: task.retry_policy for dag_id in ("score", "measure") for task in dags[dag_id].tasks}
    for policy in policies.values():
        decision = policy.evaluate(CosmosDbtRunError("1 data test failed"), try_number=1, max_tries=2)
        assert decision.action is RetryAction.FAIL
        assert policy.evaluate(OSError("disk"), try_number=1, max_tries=2).action is RetryAction.DEFAULT


def test_a_failure_is_one_line_that_names_the_runbook_and_nobody(caplog):
    instance = SimpleNamespace(dag_id="ingest", task_id="load_tables", run_id="manual__1")
    with caplog.at_level(logging.ERROR):
        report_failure({"task_instance": instance, "exception": ValueError("jane@example.com")})
    (record,) = caplog.records
    assert record.getMessage() == (
        "REKINDLE TASK FAILED dag=ingest task=load_tables run=manual__1;"
        " rerunning is safe, see docs/runbooks/failed_task.md"
    )
    assert record.exc_info is None


def test_a_refusal_is_a_skip_that_says_why():
    with pytest.raises(AirflowSkipException, match="a later day is finished") as skipped, skip_if_refused():
        raise RefusedError("a later day is finished")
    assert isinstance(skipped.value.__cause__, RefusedError)


@pytest.mark.parametrize("error", [ConfigurationError("x"), BadInputError("x"), ValueError("x"), KeyboardInterrupt()])
def test_no_other_error_becomes_a_skip(error):
    with pytest.raises(type(error)), skip_if_refused():
        raise error
    with skip_if_refused():
        pass
