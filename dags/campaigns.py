"""
### Campaign: one tick of one campaign

Made from `include/campaigns/<campaign>.yaml`. Freezes the cohort that just crossed the cold line (with its holdout),
ends and advances journeys, checks the addresses that are due, plans, sends in batches through the provider's pool, and
settles.

**Rerun or clear?** Both are safe, also in the middle of sending: a message is claimed by one attempt, committed as
`attempting` before the call, and never sent again once its outcome is not proved a refusal.

**Stop** one campaign, a channel or everything: `rekindle stop` (docs/runbooks/stops.md). Pausing the DAG stops the
campaign too; people wait where they stand and nobody is skipped.

**Waiting for a person.** A run above the campaign's `approval:` limits waits at `approve_run`, with the report in it,
for twenty hours; "Reject" and no answer leave everybody where they are (docs/runbooks/approvals.md). Below the limits
that task is skipped.

**How often?** Once a day, after `score`; campaigns that enter from carts, prices, sign-ups or inbound signals also each
hour, after `refresh`.

**`dry_run`** holds for runs that a person starts, and is on unless it is switched off: the run is rehearsed, its report
logged, and undone. Runs that an asset starts are never dry.

**Triage.** Why somebody was not written to is in `rekindle_state.decisions`; a configuration error stops the run, and
no lead is marked bad for our fault. A **skipped** send task means that the provider account may send nothing now: its
breaker is open or its day's allowance is spent. `rekindle governor` says which and until when; nobody is lost
(docs/governor.md).
"""

from airflow.sdk import Param, TriggerRule, dag, task

from rekindle_airflow.assets import FRESH, JOURNEYS, SCORES
from rekindle_airflow.campaign_files import campaign_files
from rekindle_airflow.dag_defaults import following_dag
from rekindle_airflow.operators.approve_run_operator import ApproveRunOperator
from rekindle_airflow.pools import CHANNEL, WAREHOUSE
from rekindle_airflow.tags import Tag
from rekindle_airflow.tasks.campaign import (
    APPROVAL,
    advance_journeys,
    check_numbers,
    fail_the_run,
    freeze_cohort,
    plan_emails,
    plan_texts,
    send_emails,
    send_texts,
    settle_run,
)


def campaign_dag(campaign_id: str, description: str, updated):
    @dag(
        dag_id=f"campaign__{campaign_id}",
        description=description,
        doc_md=__doc__,
        is_paused_upon_creation=True,  # a merged file writes to nobody before a person says so
        params={
            "dry_run": Param(
                True,
                type="boolean",
                description="Only show what would be done. Counts when a person starts the run; others are never dry.",
            )
        },
        **following_dag(updated, Tag.CAMPAIGN, Tag.STOPS_SENDING),
    )
    def campaign():
        freeze = task(pool=WAREHOUSE)(freeze_cohort)(campaign_id)
        advance = task(pool=WAREHOUSE)(advance_journeys)(campaign_id)
        approve = ApproveRunOperator(task_id=APPROVAL, campaign_id=campaign_id, pool=WAREHOUSE)
        # after a yes, or when nobody had to be asked: then the approval is skipped and `advance` is the one success
        email_batches = task(pool=WAREHOUSE, trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)(plan_emails)(
            campaign_id
        )
        check = task(pool=WAREHOUSE)(check_numbers)(campaign_id)
        text_batches = task(pool=WAREHOUSE)(plan_texts)(campaign_id)
        emails = (
            task(pool=CHANNEL["email"], map_index_template="{{ batch }}")(send_emails)
            .partial(campaign_id=campaign_id)
            .expand(batch=email_batches)
        )
        texts = (
            task(pool=CHANNEL["sms"], map_index_template="{{ batch }}")(send_texts)
            .partial(campaign_id=campaign_id)
            .expand(batch=text_batches)
        )
        # settles also what a failed batch got through, and runs when there was nothing to send
        settle = task(pool=WAREHOUSE, trigger_rule=TriggerRule.ALL_DONE, outlets=[JOURNEYS])(settle_run)(campaign_id)

        # without it the run would be green whatever became of the send tasks: settle is its only other end
        failed = task(task_id="fail_the_run", pool=WAREHOUSE, trigger_rule=TriggerRule.ONE_FAILED, retries=0)(
            fail_the_run
        )()

        # texts are planned after e-mails: who can not be mailed moves on to the text step in the same tick
        freeze >> advance >> approve >> email_batches >> check >> text_batches
        advance >> email_batches
        [emails, texts] >> settle
        [freeze, advance, approve, email_batches, check, text_batches, emails, texts, settle] >> failed

    return campaign()


for campaign_file in campaign_files():
    # carts and sign-ups are looked at within hours, cold leads once a day
    campaign_dag(
        campaign_file.campaign_id,
        campaign_file.description,
        SCORES | FRESH if campaign_file.is_hourly else SCORES,
    )
