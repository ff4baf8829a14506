"""Moves entries: out, when something ended them; on, when a message was accepted or a wait is over."""

from __future__ import annotations

from datetime import datetime

from rekindle.campaigns.models import Campaign, EmailStep, SmsStep, Step
from rekindle.journey.exits import end_by_exits
from rekindle.journey.fold import fold
from rekindle.journey.moving import move_from, waits_for_news
from rekindle.journey.under_way import oldest_entered_at, oldest_recorded_at
from rekindle.journey.versions import Standing, VersionInFlight, in_flight, move_to_newest
from rekindle.run import Run
from rekindle.stops import cancel_stopped, open_stops
from rekindle.warehouse import Transaction, Warehouse


def end_journeys(transaction: Transaction, run: Run) -> int:
    """End every active entry, of any campaign, that a life sign, an answer or a receipt ends; how many ended."""
    oldest = oldest_entered_at(transaction, run)
    return _end(transaction, oldest, run) if oldest is not None else 0


def advance_journeys(warehouse: Warehouse, campaign: Campaign, run: Run) -> dict[str, int]:
    """One tick: end what is ended, then move every entry that is done with its step, through steps that take no time.

    Leads are moved by the version they are on. Raises `ConfigurationError` if `moves` forgets a step they stand on.
    """
    with warehouse.transaction() as transaction:
        flying = in_flight(transaction, campaign)
        oldest = oldest_entered_at(transaction, run)
        if oldest is None:
            return {"ended": 0, "advanced": 0}
        counts = {"ended": _end(transaction, oldest, run), "advanced": 0}
        for version in flying:
            if version.standing:
                counts["ended"] += end_by_exits(transaction, version.campaign, run)
        stops = open_stops(transaction)
        counts["ended"] += cancel_stopped(transaction, campaign, stops, run)
        if stops.holds(campaign.campaign_id):
            return counts
        if move_to_newest(transaction, campaign, flying, run):
            flying = in_flight(transaction, campaign)
        for version in flying:
            counts["advanced"] += _advance_version(transaction, version, run, oldest)
    return counts


def _end(transaction: Transaction, oldest: datetime, run: Run) -> int:
    ended = transaction.execute(
        "journey/insert_ending_transitions",
        oldest_entered_at=oldest,
        oldest_recorded_at=oldest_recorded_at(transaction, oldest),
        **run.signature(),
    )
    if ended:
        fold(transaction, run)
    return ended


def _advance_version(transaction: Transaction, version: VersionInFlight, run: Run, oldest: datetime) -> int:
    """Pass over the steps in reading order, so that whoever is moved on is found at the later step in the same pass."""
    moved_to: set[str] = set()
    advanced = 0
    for step in version.campaign.steps:
        if not _may_leave(step, version.standing.get(step.step_id), step.step_id in moved_to, run):
            continue
        moved = move_from(transaction, version.campaign, step, run, oldest)
        if moved:
            moved_to.update(version.campaign.ways[step.step_id].values())
        advanced += moved
    return advanced


def _may_leave(step: Step, standing: Standing | None, is_reached_now: bool, run: Run) -> bool:
    """Whether somebody may be done with the step: who is reached now has had no message there yet."""
    if is_reached_now and not isinstance(step, (EmailStep, SmsStep)):
        return True
    if standing is None:
        return False
    return standing.is_due(run.as_of) or waits_for_news(step)
