"""The one set of default arguments, and the retries by kind of error.

A warehouse that is busy or a network that is down is tried again; what a person must mend is not. Retrying is always
safe: the state tables decide what is left to do, not the task.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from rekindle_airflow.callbacks import report_failure

RETRY_BY_KIND = ExceptionRetryPolicy(
    rules=[
        RetryRule(exception="rekindle.errors.ConfigurationError", action=RetryAction.FAIL),
        RetryRule(exception="rekindle.errors.BadInputError", action=RetryAction.FAIL),
        RetryRule(exception="rekindle.errors.RefusedError", action=RetryAction.FAIL),
        RetryRule(
            exception="rekindle.errors.WarehouseBusyError", action=RetryAction.RETRY, retry_delay=timedelta(seconds=30)
        ),
    ],
)

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "rekindle",
    "retries": 2,
    "retry_delay": timedelta(minutes=1),
    "retry_policy": RETRY_BY_KIND,
    "on_failure_callback": report_failure,
    "execution_timeout": timedelta(hours=2),
}
