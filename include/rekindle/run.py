"""What every piece of work is told about the run it belongs to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from rekindle.errors import RefusedError
from rekindle.warehouse.ports import Transaction


@dataclass(frozen=True)
class Run:
    """The logical instant a run acts as of, and the id it signs its rows with."""

    as_of: datetime
    run_id: str
    recorded_at: datetime  # when this run writes: the clock's time, equal to as_of only in a demonstration

    def signature(self) -> dict[str, object]:
        """The values every state-writing statement signs its rows with."""
        return {"as_of": self.as_of, "recorded_at": self.recorded_at, "run_id": self.run_id}

    @property
    def cohort_date(self) -> date:
        """The UTC day that a cohort frozen by this run is named after."""
        return self.as_of.date()


def refuse_older_day(transaction: Transaction, run: Run, activity: str, campaign_id: str = "") -> None:
    """Raise `RefusedError` if a later day has finished: a finished day is never redone over a newer one.

    State and models stand at the newest day; acting as of an older one would move them backwards.
    """
    newest = transaction.fetch("audit/fetch_watermark", activity=activity, campaign_id=campaign_id)[0]["newest_as_of"]
    if newest is not None and run.as_of < newest:
        raise RefusedError(
            f"{activity} as of {run.as_of:%Y-%m-%d %H:%M} is finished"
            f" and the warehouse stands at {newest:%Y-%m-%d %H:%M}; nothing was changed"
        )


def record_run(
    transaction: Transaction, run: Run, activity: str, counts: Mapping[str, int], campaign_id: str = ""
) -> None:
    """Write the finished activity into `campaign_runs`, once per logical instant."""
    transaction.execute(
        "audit/insert_run",
        activity=activity,
        campaign_id=campaign_id,
        as_of=run.as_of,
        run_id=run.run_id,
        counts=json.dumps(dict(counts), sort_keys=True),
    )
