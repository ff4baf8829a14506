"""Freezes the cohort that just crossed the cold line."""

from __future__ import annotations

from datetime import date, timedelta

from rekindle.campaigns.definition import AfterDays
from rekindle.campaigns.models import Campaign, WaitStep
from rekindle.run import Run, record_run, refuse_older_day
from rekindle.warehouse import Warehouse

_NEVER = date(1, 1, 1)


def freeze_cohort(warehouse: Warehouse, campaign: Campaign, run: Run) -> dict[str, int]:
    """Enter the leads of the campaign's activation model, draw their arms, and put them on the first step.

    Re-running the same day enters nobody twice and fills no more than the maximum cohort size.
    Raises `RefusedError` if a later day is finished.
    """
    with warehouse.transaction() as transaction:
        refuse_older_day(transaction, run, "freeze_cohort", campaign.campaign_id)
        transaction.execute(
            "cohort/insert_campaign_version",
            campaign_id=campaign.campaign_id,
            journey_version=campaign.journey_version,
            definition=campaign.definition_json,
            as_of=run.as_of,
        )
        entered = transaction.execute(
            "cohort/insert_entries",
            campaign_id=campaign.campaign_id,
            journey_version=campaign.journey_version,
            as_of=run.as_of,
            cohort_date=run.cohort_date,
            cohort_date_text=run.cohort_date.isoformat(),
            may_re_enter_on=_may_re_enter_on(campaign, run),
            maximum_cohort_size=campaign.enter.maximum_cohort_size,
            holdout_share=campaign.holdout.share,
            holdout_salt=campaign.holdout.salt,
            run_id=run.run_id,
        )
        transaction.execute(
            "cohort/insert_entry_transitions",
            campaign_id=campaign.campaign_id,
            cohort_date=run.cohort_date,
            first_stage=campaign.first_step.step_id,
            wait_seconds=campaign.first_step.seconds if isinstance(campaign.first_step, WaitStep) else 0,
            recorded_at=run.recorded_at,
            run_id=run.run_id,
        )
        transaction.execute(
            "cohort/insert_journey_state", campaign_id=campaign.campaign_id, cohort_date=run.cohort_date
        )
        counts = {"entered": entered}
        record_run(transaction, run, "freeze_cohort", counts, campaign.campaign_id)
    return counts


def _may_re_enter_on(campaign: Campaign, run: Run) -> date:
    """The newest cohort date that does not forbid entering today."""
    rule = campaign.enter.re_entry
    if isinstance(rule, AfterDays):
        return run.cohort_date - timedelta(days=rule.after_days)
    return run.cohort_date if rule == "each_time" else _NEVER
