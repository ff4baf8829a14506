"""The exits that a campaign itself declares: app events after entering, and conditions on what is known of the lead."""

from __future__ import annotations

from rekindle.campaigns.conditions import CONTEXT_FIELDS
from rekindle.campaigns.models import Campaign
from rekindle.campaigns.sql_conditions import read_sql_condition
from rekindle.campaigns.step_definitions import EventExitDefinition
from rekindle.journey.fold import fold
from rekindle.journey.under_way import oldest_entered_at
from rekindle.run import Run
from rekindle.warehouse import Transaction
from rekindle.warehouse.statements import with_words


def end_by_exits(transaction: Transaction, campaign: Campaign, run: Run, batch_id: str | None = None) -> int:
    """End the entries on this version that meet one of its exits as of the run; how many ended.

    With a batch only the entries it is about to write to: this is the look at the last moment.
    """
    oldest = oldest_entered_at(transaction, run) if campaign.exits else None
    if oldest is None:
        return 0
    exits, conditions = [], []
    values: dict[str, object] = {}
    for place, declared in enumerate(campaign.exits):
        if isinstance(declared, EventExitDefinition):
            exits.append(f"event.{declared.exit}")
            conditions.append("")
            values[f"exit_{place}"] = declared.event
        else:
            terms = read_sql_condition(declared.sql, CONTEXT_FIELDS)
            exits.append(f"condition.{declared.exit}")
            conditions.append(",".join(terms.words))
            values |= {f"exit_{place}_{number}": value for number, value in enumerate(terms.values)}
    if batch_id is not None:
        values["batch_id"] = batch_id
    statement = with_words(
        "journey/insert_exit_transitions",
        exits=",".join(exits),
        conditions="..".join(conditions),
        batched="yes" if batch_id is not None else "",
    )
    ended = transaction.execute(
        statement,
        campaign_id=campaign.campaign_id,
        journey_version=campaign.journey_version,
        oldest_entered_at=oldest,
        **run.signature(),
        **values,
    )
    if ended:
        fold(transaction, run)
    return ended
