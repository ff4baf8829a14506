"""Moves entries: out, when something ended them; on, when a message was accepted or a wait is over."""

from __future__ import annotations

from rekindle.campaigns.models import Campaign, EndStep, MessageStep, Step, WaitStep
from rekindle.errors import ConfigurationError
from rekindle.run import Run
from rekindle.warehouse import Transaction, Warehouse

EXITED = "exited"


def end_journeys(transaction: Transaction, run: Run) -> int:
    """End every active entry, of any campaign, that a life sign, an answer or a receipt ends; how many ended."""
    ended = transaction.execute("journey/insert_ending_transitions", **run.signature())
    _fold(transaction, run)
    return ended


def advance_journeys(warehouse: Warehouse, campaign: Campaign, run: Run) -> dict[str, int]:
    """One tick: end what is ended, then move accepted messages into their wait and finished waits onward.

    Raises `ConfigurationError` if entries stand on a step the campaign no longer has.
    """
    with warehouse.transaction() as transaction:
        _refuse_lost_stages(transaction, campaign)
        counts = {"ended": end_journeys(transaction, run), "advanced": 0}
        for step in campaign.steps:
            counts["advanced"] += _advance_step(transaction, campaign, step, run)
    return counts


def _advance_step(transaction: Transaction, campaign: Campaign, step: Step, run: Run) -> int:
    following = campaign.step_after(step.step_id)
    if following is None:
        return 0
    is_last = isinstance(following, EndStep)
    move: dict[str, object] = {
        "campaign_id": campaign.campaign_id,
        "stage": step.step_id,
        "next_stage": EXITED if is_last else following.step_id,
        "exit_reason": str(following.exit) if isinstance(following, EndStep) else None,
        "wait_seconds": following.seconds if isinstance(following, WaitStep) else 0,
        "recorded_at": run.recorded_at,
        "run_id": run.run_id,
    }
    if isinstance(step, MessageStep):
        moved = transaction.execute("journey/insert_sent_transitions", **move)
    else:
        moved = transaction.execute("journey/insert_due_transitions", as_of=run.as_of, **move)
    _fold(transaction, run)
    return moved


def _fold(transaction: Transaction, run: Run) -> None:
    transaction.execute("journey/fold_transitions", recorded_at=run.recorded_at, run_id=run.run_id)


def _refuse_lost_stages(transaction: Transaction, campaign: Campaign) -> None:
    known = {step.step_id for step in campaign.steps}
    standing = transaction.fetch("journey/list_active_stages", campaign_id=campaign.campaign_id)
    lost = {row["stage"]: row["entries"] for row in standing if row["stage"] not in known}
    if lost:
        described = ", ".join(f"{count} on `{stage}`" for stage, count in lost.items())
        raise ConfigurationError(
            f"include/campaigns/{campaign.campaign_id}.yaml no longer has steps that entries stand on: {described};"
            " put the steps back until these entries have left"
        )
