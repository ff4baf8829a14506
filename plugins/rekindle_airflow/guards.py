"""A domain refusal is a skipped task, not a failed one: nothing was changed and nothing downstream should run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from rekindle.errors import RefusedError

if TYPE_CHECKING:
    from rekindle.governor.rate import Governor
    from rekindle.run import Run
    from rekindle.warehouse import Warehouse


@contextmanager
def skip_if_refused() -> Iterator[None]:
    """Turn `RefusedError` into Airflow's skip, with the reason in the log."""
    from airflow.sdk.exceptions import AirflowSkipException

    try:
        yield
    except RefusedError as refusal:
        raise AirflowSkipException(str(refusal)) from refusal


def skip_if_held(governor: Governor, warehouse: Warehouse, batch_id: str, now: datetime, run: Run) -> None:
    """Skip while the provider account may send nothing (breaker open, day's allowance spent): the batch waits, and each
    message has a decision that says why and until when. It is offered again by the next run.
    """
    from airflow.sdk.exceptions import AirflowSkipException

    from rekindle.governor.receipts import defer_batch

    held = governor.held()
    if held is None:
        return
    deferred = defer_batch(warehouse, batch_id, held, now, run)
    raise AirflowSkipException(f"{deferred} messages wait: {held}")
