"""Plans one campaign's messages as of one instant, set-based: verdicts first, then messages, decisions and
transitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rekindle.campaigns.models import Campaign, MessageStep
from rekindle.contacts.number_zones import store_number_zones
from rekindle.journey.fold import fold
from rekindle.journey.under_way import oldest_entered_at
from rekindle.journey.versions import in_flight
from rekindle.rendering.render import template_hash
from rekindle.run import Run, record_run, refuse_older_day
from rekindle.stops import Stop, may_give_up_since, open_stops
from rekindle.timing.quiet_hours import quiet_hours
from rekindle.timing.send_window import next_window, zones_to_respect
from rekindle.timing.zones import whereabouts
from rekindle.vocabulary import Channel
from rekindle.warehouse import Transaction, Warehouse

#: Messages a mapped send task carries. A mapped task costs about half a second, so a batch must be worth one.
BATCH_SIZE = {Channel.EMAIL: 12_000, Channel.SMS: 1_000}


#: How long an entry waits at a send step for an hour that is known to be decent, or for what its template lacks, before
#: it moves on: every wait ends.
PATIENCE_WITH_THE_WINDOW = timedelta(days=7)


@dataclass(frozen=True)
class Batch:
    """What one send task is handed: an id and a count, nothing personal."""

    batch_id: str
    message_count: int


def plan_messages(warehouse: Warehouse, campaign: Campaign, channel: Channel, run: Run) -> list[Batch]:
    """Judge every due entry at a send step of a channel and plan what may be sent; returns the batches that hold
    something to send.

    Idempotent: message ids are deterministic, so the same instant plans the same rows. Raises `RefusedError` if a later
    day is finished.
    """
    counts = {"planned": 0, "deferred": 0, "ended_or_skipped": 0}
    with warehouse.transaction() as transaction:
        refuse_older_day(transaction, run, f"plan_{channel}", campaign.campaign_id)
        stop = open_stops(transaction).forbids_writing(campaign.campaign_id, channel)
        oldest = oldest_entered_at(transaction, run)
        for version in in_flight(transaction, campaign):
            moved = 0
            for step in version.campaign.message_steps:
                standing = version.standing.get(step.step_id)
                # who was moved past an earlier step may have come to this one
                if step.channel is channel and (moved or (standing is not None and standing.is_due(run.as_of))):
                    moved += _plan_step(transaction, version.campaign, step, run, counts, stop, oldest)
        record_run(transaction, run, f"plan_{channel}", counts, campaign.campaign_id)
        open_batches = transaction.fetch(
            "plan/list_open_batches", campaign_id=campaign.campaign_id, channel=channel, now=run.recorded_at
        )
    return [Batch(row["batch_id"], row["message_count"]) for row in open_batches]


def _plan_step(
    transaction: Transaction,
    campaign: Campaign,
    step: MessageStep,
    run: Run,
    counts: dict[str, int],
    stop: Stop | None,
    oldest: datetime | None,
) -> int:
    """Plan one step; how many ended there, were moved past it, or got a later due date."""
    place: dict[str, Any] = {"campaign_id": campaign.campaign_id, "step_id": step.step_id}
    store_number_zones(transaction, campaign.campaign_id, step.step_id, run)
    _store_send_windows(transaction, campaign, step, run)
    transaction.execute("plan/delete_due_entries", campaign_id=campaign.campaign_id)
    judged = transaction.execute(
        "plan/insert_due_entries",
        channel=str(step.channel),
        topic=campaign.topic,
        as_of=run.as_of,
        cap_since=run.as_of - timedelta(days=campaign.caps.per_days),
        cap_messages=campaign.caps.messages,
        give_up_since=may_give_up_since(transaction, run, PATIENCE_WITH_THE_WINDOW),
        patience_seconds=int(PATIENCE_WITH_THE_WINDOW.total_seconds()),
        oldest_entered_at=oldest,
        stopped_by=f"{stop.what}: {stop.mode}" if stop else None,
        journey_version=campaign.journey_version,
        **place,
    )
    if not judged:
        return 0
    counts["planned"] += transaction.execute(
        "plan/insert_messages",
        as_of=run.as_of,
        run_id=run.run_id,
        template_hash=template_hash(step),
        batch_size=BATCH_SIZE[step.channel],
        # of one version only: a batch is composed from the words of one
        batch_prefix=f"{campaign.campaign_id}:{step.step_id}:{campaign.journey_version}:{run.as_of:%Y%m%dT%H%M%SZ}:",
        journey_version=campaign.journey_version,
        oldest_entered_at=oldest,
        offer_code=step.offer.code if step.offer else None,
        offer_ends_at=run.as_of + step.offer.valid_for if step.offer and step.offer.valid_for else None,
        **place,
    )
    counts["deferred"] += transaction.execute("plan/insert_decisions", as_of=run.as_of, run_id=run.run_id, **place)
    moved = transaction.execute(
        "plan/insert_verdict_transitions",
        next_stage=campaign.stage_after_skipping(step.step_id),
        **run.signature(),
        **place,
    )
    if moved:
        fold(transaction, run)
    counts["ended_or_skipped"] += moved
    return moved


def _store_send_windows(transaction: Transaction, campaign: Campaign, step: MessageStep, run: Run) -> None:
    """Compute the window once per distinct evidence of time zone, and keep it as the evidence of the decision."""
    evidence = transaction.fetch(
        "plan/list_zone_evidence",
        campaign_id=campaign.campaign_id,
        step_id=step.step_id,
        channel=str(step.channel),
        as_of=run.as_of,
        journey_version=campaign.journey_version,
    )
    rows = []
    for row in evidence:
        phone_zones = row["phone_time_zones"].split(",") if row["phone_time_zones"] else []
        place = row["country"], row["region"], row["postal_code"]
        found = whereabouts(row["profile_time_zone"], phone_zones, *place)
        window = quiet_hours().limit(campaign.send_window, step.channel, *place, zones=found.zones, on=run.as_of.date())
        zones = zones_to_respect(window, found.zones, row["country"])
        interval = next_window(window, zones, run.as_of)
        rows.append(
            {
                "campaign_id": campaign.campaign_id,
                "channel": str(step.channel),
                "journey_version": campaign.journey_version,
                "as_of": run.as_of,
                **row,
                "zone_evidence": found.evidence or ("every_zone_of_the_country" if zones else None),
                "time_zones": ",".join(zones) or None,
                "window_opens_at": interval.opens_at if interval else None,
                "window_closes_at": interval.closes_at if interval else None,
            }
        )
    transaction.insert("rekindle_state.send_windows", rows)
