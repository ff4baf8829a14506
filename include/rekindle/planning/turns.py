"""One arbitration over all campaigns of a tick: of those that want to write to one person today, one wins.

Every campaign of the tick is brought to where it is known whom it wants (entered and advanced) before anything is
planned, whichever campaign's DAG comes first. So the outcome does not depend on their order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from rekindle.campaigns.models import Campaign
from rekindle.errors import RekindleError
from rekindle.journey import advance_journeys, freeze_cohort
from rekindle.run import Run
from rekindle.stops import open_stops
from rekindle.warehouse import Warehouse

#: A campaign that took part so lately takes part again; one whose DAG is paused falls out.
LATELY = timedelta(days=2)

_log = logging.getLogger(__name__)


def take_turns(warehouse: Warehouse, campaign: Campaign, others: Sequence[Campaign], run: Run) -> int:
    """Settle for this instant which campaign writes to whom; how many entries lost and wait until tomorrow.

    The campaign itself must have entered and advanced as of this instant; for the others it is done here, unless they
    came first. One of them that can not is left out of the tick with a warning: its own DAG says what is wrong.
    """
    with warehouse.transaction() as transaction:
        recent = transaction.fetch("plan/list_campaign_turns", since=run.as_of, as_of=run.as_of)
        stops = open_stops(transaction)
    came = {row["campaign_id"] for row in recent} | {campaign.campaign_id}
    taking_part = [campaign] if not stops.holds(campaign.campaign_id) else []
    for other in others:
        if other.campaign_id in came or stops.holds(other.campaign_id):
            continue
        try:
            freeze_cohort(warehouse, other, run)
            advance_journeys(warehouse, other, run)
        except RekindleError as error:
            _log.warning("%s takes no part in this tick: %s", other.campaign_id, error)
            continue
        taking_part.append(other)
    with warehouse.transaction() as transaction:
        for each in taking_part:
            transaction.execute(
                "plan/insert_campaign_turn",
                campaign_id=each.campaign_id,
                priority_rank=each.priority,
                as_of=run.as_of,
                run_id=run.run_id,
            )
        return transaction.execute(
            "plan/insert_lost_turns",
            as_of=run.as_of,
            day_begins_at=run.as_of.replace(hour=0, minute=0, second=0, microsecond=0),
        )


def campaigns_of_tick(
    warehouse: Warehouse, campaign_ids: Sequence[str], run: Run, has_run_now: Callable[[str], bool]
) -> list[str]:
    """The campaigns that take part in this tick: those that lately did, and those whose DAG has a run now."""
    if not campaign_ids:
        return []
    with warehouse.transaction() as transaction:
        rows = transaction.fetch("plan/list_campaign_turns", since=run.as_of - LATELY, as_of=run.as_of)
    lately = {row["campaign_id"] for row in rows}
    return [each for each in campaign_ids if each in lately or has_run_now(each)]
