"""What one campaign would do at an instant, found by doing it on a copy of the warehouse. Nobody is written to."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from rekindle.campaigns.models import Campaign
from rekindle.contacts.checks import ContactCheck, check_email, check_phone
from rekindle.journey import advance_journeys, freeze_cohort
from rekindle.planning import check_contacts, plan_messages
from rekindle.run import Run
from rekindle.vocabulary import Channel
from rekindle.warehouse.duckdb import DuckDbWarehouse
from rekindle.warehouse.ports import Row

RUN_ID = "rekindle plan"


@dataclass(frozen=True, slots=True)
class ForeseenDay:
    """What the run would write, counted. The rows are those of the statements in `sql/queries/report`."""

    as_of: datetime
    scored_as_of: datetime | None
    entrants: Sequence[Row]
    samples: Sequence[Row]
    cohort_sizes: Sequence[Row]
    messages: Sequence[Row]
    decisions: Sequence[Row]
    moves: Sequence[Row]
    upcoming: Sequence[Row]


def foresee_day(warehouse: DuckDbWarehouse, campaign: Campaign, as_of: datetime, default_region: str) -> ForeseenDay:
    """Freeze, advance, check and plan as of an instant, on a copy that is thrown away.

    Numbers are checked by the numbering plan alone: asking the provider costs money. Raises `RefusedError` when a
    later run has finished, and what a real run would raise.
    """
    with TemporaryDirectory(prefix="rekindle-plan-") as folder:
        copy = _copy(warehouse, Path(folder))
        run = Run(as_of=as_of, run_id=RUN_ID, recorded_at=as_of)
        freeze_cohort(copy, campaign, run)
        advance_journeys(copy, campaign, run)
        for channel in (Channel.EMAIL, Channel.SMS):  # texts last, as in the DAG: who can not be mailed moves on
            _check(copy, campaign, channel, run, default_region)
            plan_messages(copy, campaign, channel, run)
        return _read(copy, campaign, run)


def _copy(warehouse: DuckDbWarehouse, folder: Path) -> DuckDbWarehouse:
    with warehouse.transaction():
        pass  # closing folds the write-ahead log of a killed process into the file
    with warehouse.transaction():  # nobody writes while it is open
        shutil.copyfile(warehouse.path, folder / warehouse.path.name)
    return DuckDbWarehouse(folder / warehouse.path.name)


def _check(copy: DuckDbWarehouse, campaign: Campaign, channel: Channel, run: Run, default_region: str) -> None:
    def check(address: str, country: str | None) -> ContactCheck:
        if channel is Channel.EMAIL:
            return check_email(address)
        return check_phone(address, country or default_region, None)

    for step in campaign.message_steps:
        if step.channel == channel:
            check_contacts(copy, campaign, step, run, check)


def _read(copy: DuckDbWarehouse, campaign: Campaign, run: Run) -> ForeseenDay:
    of_run = {"campaign_id": campaign.campaign_id, "run_id": run.run_id}
    of_campaign = {"campaign_id": campaign.campaign_id}
    with copy.transaction() as transaction:
        return ForeseenDay(
            as_of=run.as_of,
            scored_as_of=transaction.fetch("report/fetch_scores_age")[0]["scored_as_of"],
            entrants=transaction.fetch("report/list_entrants", **of_run),
            samples=transaction.fetch("report/list_entrant_samples", **of_run),
            cohort_sizes=transaction.fetch("report/list_cohort_sizes", **of_campaign),
            messages=transaction.fetch("report/list_planned_messages", **of_run),
            decisions=transaction.fetch("report/list_run_decisions", **of_run),
            moves=transaction.fetch("report/list_run_moves", **of_run),
            upcoming=transaction.fetch("report/list_upcoming_steps", **of_campaign),
        )
