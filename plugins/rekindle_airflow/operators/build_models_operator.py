"""Builds a selection of the dbt project through Cosmos, as of the run's logical instant."""

from __future__ import annotations

from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
from cosmos.config import ProfileConfig
from cosmos.constants import InvocationMode
from cosmos.exceptions import CosmosDbtRunError
from cosmos.operators.local import DbtBuildLocalOperator

from rekindle.errors import RefusedError
from rekindle.project import project_root
from rekindle_airflow.guards import skip_if_refused
from rekindle_airflow.run_context import announce, has_a_day, run_of
from rekindle_airflow.settings import settings

#: What a look between two days is called in `campaign_runs`.
REFRESH = "refresh"

#: A model or a data test that failed fails again on the same rows.
RETRY_NOTHING_DBT_REFUSED = ExceptionRetryPolicy(
    rules=[RetryRule(exception=CosmosDbtRunError, action=RetryAction.FAIL, reason="a model or data test failed")]
)


class BuildModelsOperator(DbtBuildLocalOperator):
    """One `dbt build` of a selection, data tests included, in one task.

    The embedded warehouse can be open in one process at a time, so a task per model would only add a start-up per
    model.
    """

    def __init__(self, *, selector: str, between_days: bool = False, only_days: bool = False, **kwargs: Any) -> None:
        """With `between_days` it looks again between two days, and records that as the activity `refresh`; with
        `only_days` it skips what such a look started.
        """
        self.between_days = between_days
        self.only_days = only_days
        project = project_root() / "dbt_project"
        super().__init__(
            project_dir=str(project),
            profile_config=ProfileConfig(
                profile_name="rekindle",
                target_name=settings().dbt_target,
                profiles_yml_filepath=str(project / "profiles.yml"),
            ),
            select=[selector],
            exclude=["test_type:unit"],
            invocation_mode=InvocationMode.DBT_RUNNER,
            install_deps=False,
            emit_datasets=False,
            append_env=True,
            retry_policy=RETRY_NOTHING_DBT_REFUSED,
            **kwargs,
        )

    def execute(self, context: Any, **kwargs: Any) -> None:
        """Build as of the run's logical instant and hand it on to the outlets. Skips if a later day is finished."""
        from rekindle.run import record_run, refuse_older_day
        from rekindle_airflow.warehouses import open_warehouse

        run = run_of(context)
        with skip_if_refused():
            if self.only_days and not has_a_day(context):
                raise RefusedError("started by a look between two days; this is done once a day")
            with open_warehouse().transaction() as transaction:
                refuse_older_day(transaction, run, "ingest")
                if self.between_days:
                    refuse_older_day(transaction, run, REFRESH)
                    # now: dbt keeps the embedded file open in this process until the task ends
                    record_run(transaction, run, REFRESH, {})
        # not --vars: dbt parses the whole project again whenever those change
        self.env = {
            **(self.env or {}),
            "REKINDLE_AS_OF": run.as_of.isoformat(),
            "DBT_LOG_LEVEL_FILE": "none",  # the task's own log holds it
        }
        # a parse of the whole project costs four seconds, a remembered one a fraction of one
        self.cache_dir = settings().dbt_cache_root
        if (self.cache_dir / "target" / "manifest.json").exists():
            self.env["DBT_WRITE_JSON"] = "false"  # nobody reads the artifacts of Cosmos's temporary project
        super().execute(context, **kwargs)
        announce(context, run, between_days=self.between_days)
