"""A domain refusal is a skipped task, not a failed one: nothing was changed and nothing downstream should run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rekindle.errors import RefusedError


@contextmanager
def skip_if_refused() -> Iterator[None]:
    """Turn `RefusedError` into Airflow's skip, with the reason in the log."""
    from airflow.sdk.exceptions import AirflowSkipException

    try:
        yield
    except RefusedError as refusal:
        raise AirflowSkipException(str(refusal)) from refusal
