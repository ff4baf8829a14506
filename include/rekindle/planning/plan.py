"""Plans one campaign's messages as of one instant, set-based: verdicts first, then messages, decisions and
transitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rekindle.campaigns.models import Campaign, MessageStep
from rekindle.contacts.checks import check_phone
from rekindle.rendering.render import template_hash
from rekindle.run import Run, record_run, refuse_older_day
from rekindle.timing.send_window import next_window, zones_to_respect
from rekindle.timing.zones import candidate_zones
from rekindle.vocabulary import Channel
from rekindle.warehouse import Transaction, Warehouse

#: Messages a mapped send task carries. A mapped task costs about half a second, so a batch must be worth one.
BATCH_SIZE = {Channel.EMAIL: 5_000, Channel.SMS: 1_000}


#: How long an entry waits at a send step for an hour that is known to be decent before it moves on: every wait ends.
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
        for step in campaign.message_steps:
            if step.channel is not channel:
                continue
            _plan_step(transaction, campaign, step, run, counts)
        record_run(transaction, run, f"plan_{channel}", counts, campaign.campaign_id)
        open_batches = transaction.fetch(
            "plan/list_open_batches", campaign_id=campaign.campaign_id, channel=channel, now=run.recorded_at
        )
    return [Batch(row["batch_id"], row["message_count"]) for row in open_batches]


def _plan_step(
    transaction: Transaction, campaign: Campaign, step: MessageStep, run: Run, counts: dict[str, int]
) -> None:
    place: dict[str, Any] = {"campaign_id": campaign.campaign_id, "step_id": step.step_id}
    _store_number_zones(transaction, campaign, step, run)
    _store_send_windows(transaction, campaign, step, run)
    transaction.execute("plan/delete_due_entries", campaign_id=campaign.campaign_id)
    transaction.execute(
        "plan/insert_due_entries",
        channel=step.kind,
        topic=campaign.topic,
        as_of=run.as_of,
        cap_since=run.as_of - timedelta(days=campaign.caps.per_days),
        cap_messages=campaign.caps.messages,
        give_up_since=run.as_of - PATIENCE_WITH_THE_WINDOW,
        **place,
    )
    counts["planned"] += transaction.execute(
        "plan/insert_messages",
        as_of=run.as_of,
        run_id=run.run_id,
        template_hash=template_hash(step),
        batch_size=BATCH_SIZE[step.channel],
        batch_prefix=f"{campaign.campaign_id}:{step.step_id}:{run.as_of:%Y%m%dT%H%M%SZ}:",
        **place,
    )
    counts["deferred"] += transaction.execute("plan/insert_decisions", as_of=run.as_of, run_id=run.run_id, **place)
    counts["ended_or_skipped"] += transaction.execute(
        "plan/insert_verdict_transitions",
        next_send_stage=_next_send_stage(campaign, step),
        **run.signature(),
        **place,
    )
    transaction.execute("journey/fold_transitions", recorded_at=run.recorded_at, run_id=run.run_id)


def _store_number_zones(transaction: Transaction, campaign: Campaign, step: MessageStep, run: Run) -> None:
    """Ask the numbering plan where the owners of numbers may be; it is local and free."""
    numbers = transaction.fetch(
        "plan/list_numbers_without_zones", campaign_id=campaign.campaign_id, step_id=step.step_id, as_of=run.as_of
    )
    rows = [
        {
            "phone_hash": row["phone_hash"],
            "time_zones": check_phone(row["phone"], row["country"], None).time_zones,
            "determined_at": run.recorded_at,
        }
        for row in numbers
    ]
    transaction.insert("rekindle_state.number_time_zones", rows)


def _store_send_windows(transaction: Transaction, campaign: Campaign, step: MessageStep, run: Run) -> None:
    """Compute the window once per distinct evidence of time zone, and keep it as the evidence of the decision."""
    evidence = transaction.fetch(
        "plan/list_zone_evidence",
        campaign_id=campaign.campaign_id,
        step_id=step.step_id,
        channel=step.kind,
        as_of=run.as_of,
    )
    window = campaign.send_window.for_channel(step.channel)
    rows = []
    for row in evidence:
        phone_zones = row["phone_time_zones"].split(",") if row["phone_time_zones"] else []
        candidates = candidate_zones(row["profile_time_zone"], phone_zones, row["country"])
        zones = zones_to_respect(window, candidates, row["country"])
        interval = next_window(window, zones, run.as_of)
        rows.append(
            {
                "campaign_id": campaign.campaign_id,
                "channel": step.kind,
                "as_of": run.as_of,
                **row,
                "time_zones": ",".join(zones) or None,
                "window_opens_at": interval.opens_at if interval else None,
                "window_closes_at": interval.closes_at if interval else None,
            }
        )
    transaction.insert("rekindle_state.send_windows", rows)


def _next_send_stage(campaign: Campaign, step: MessageStep) -> str | None:
    later = campaign.message_steps[campaign.message_steps.index(step) + 1 :]
    return later[0].step_id if later else None
