"""What one campaign would do at an instant, found by doing it and undoing it. Nobody is written to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rekindle.campaigns.loader import campaign_files, load_each
from rekindle.campaigns.models import Campaign
from rekindle.journey.versions import InFlight, in_flight_report
from rekindle.planning import campaigns_of_lately
from rekindle.planning.rehearsal import check_and_plan, enter_and_advance, undone
from rekindle.run import Run
from rekindle.stops import Stop, open_stops
from rekindle.warehouse.ports import Row, Transaction, Warehouse
from rekindle.warehouse.statements import with_words

RUN_ID = "rekindle plan"


@dataclass(frozen=True, slots=True)
class ForeseenDay:
    """What the run would write, counted. The rows are those of the statements in `sql/queries/report`."""

    as_of: datetime
    scored_as_of: datetime | None  # how new the rows are that leads enter from
    stops: Sequence[Stop]
    entrants: Sequence[Row]
    samples: Sequence[Row]
    cohort_sizes: Sequence[Row]
    messages: Sequence[Row]
    decisions: Sequence[Row]
    moves: Sequence[Row]
    send_hours: Sequence[Row]
    upcoming: Sequence[Row]
    in_flight: Sequence[InFlight]


def foresee_day(
    warehouse: Warehouse, campaign: Campaign, others: Sequence[Campaign], as_of: datetime, default_region: str
) -> ForeseenDay:
    """Freeze, advance, settle the turns with the other campaigns, check and plan as of an instant; then undo it.

    Numbers are checked by the numbering plan alone: asking the provider costs money. Raises `RefusedError` when a
    later run has finished, and what a real run would raise.
    """
    run = Run(as_of=as_of, run_id=RUN_ID, recorded_at=as_of)
    with undone(warehouse) as stage:
        with stage.transaction() as transaction:
            in_flight = in_flight_report(transaction, campaign)
        enter_and_advance(stage, campaign, others, run)
        check_and_plan(stage, campaign, run, default_region)
        day = _read(stage, campaign, run, in_flight)
    return day


def next_run_at(warehouse: Warehouse, campaign: Campaign, now: datetime) -> datetime:
    """As of when the next run acts: as of the rows leads enter from, if they are of today and no run has read them yet;
    else now, and then nobody new is known.
    """
    with warehouse.transaction() as transaction:
        scored = _scored_as_of(transaction, campaign)
        newest = transaction.fetch("audit/fetch_watermark", activity="freeze_cohort", campaign_id=campaign.campaign_id)[
            0
        ]["newest_as_of"]
    is_waiting = scored is not None and scored.date() == now.date() and (newest is None or newest < scored)
    return scored if scored is not None and is_waiting else now


def _scored_as_of(transaction: Transaction, campaign: Campaign) -> datetime | None:
    rows = transaction.fetch(with_words("report/fetch_scores_age", activation_model=campaign.enter.model))
    found: datetime | None = rows[0]["scored_as_of"]
    return found


def _stops_of(transaction: Transaction, campaign: Campaign) -> list[Stop]:
    """What is stopped and concerns this campaign."""
    used = {step.channel for step in campaign.message_steps}
    in_force = open_stops(transaction)
    of_channels = [stop for stop in in_force.in_force if stop.channel in used]
    return [*in_force.of_campaign(campaign.campaign_id), *of_channels]


def rivals(warehouse: Warehouse, campaign: Campaign, include: Path, as_of: datetime) -> list[Campaign]:
    """The other campaigns that lately took turns with this one. A file that is broken takes no part."""
    names = {path.stem: path for path in campaign_files(include / "campaigns") if path.stem != campaign.campaign_id}
    run = Run(as_of=as_of, run_id=RUN_ID, recorded_at=as_of)
    lately = set(campaigns_of_lately(warehouse, list(names), run))
    loaded = load_each(include / "campaigns", include / "templates")
    return [found for path, found in loaded if path.stem in lately and isinstance(found, Campaign)]


def _read(stage: Warehouse, campaign: Campaign, run: Run, in_flight: Sequence[InFlight]) -> ForeseenDay:
    of_run = {"campaign_id": campaign.campaign_id, "run_id": run.run_id}
    of_campaign = {"campaign_id": campaign.campaign_id}
    with stage.transaction() as transaction:
        return ForeseenDay(
            as_of=run.as_of,
            scored_as_of=_scored_as_of(transaction, campaign),
            stops=_stops_of(transaction, campaign),
            entrants=transaction.fetch("report/list_entrants", **of_run),
            samples=transaction.fetch("report/list_entrant_samples", **of_run),
            cohort_sizes=transaction.fetch("report/list_cohort_sizes", **of_campaign),
            messages=transaction.fetch("report/list_planned_messages", **of_run),
            decisions=transaction.fetch("report/list_run_decisions", **of_run),
            moves=transaction.fetch("report/list_run_moves", **of_run),
            send_hours=transaction.fetch("report/list_send_hours", **of_run),
            upcoming=transaction.fetch("report/list_upcoming_steps", **of_campaign),
            in_flight=in_flight,
        )
