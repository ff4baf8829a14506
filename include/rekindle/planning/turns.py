"""One arbitration over all campaigns of a tick: of those that want to write to one person today, one wins.

Every campaign of the tick is brought to where it is known whom it wants (entered and advanced) before anything is
planned, whichever campaign's DAG comes first. So the outcome does not depend on their order.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from rekindle.campaigns.models import Campaign
from rekindle.errors import RekindleError
from rekindle.journey import advance_journeys, freeze_cohort
from rekindle.journey.under_way import oldest_entered_at
from rekindle.run import Run
from rekindle.stops import open_stops
from rekindle.warehouse import Warehouse

#: Without Airflow's word a campaign that took part so lately is taken to take part again.
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
        oldest = oldest_entered_at(transaction, run)
        if oldest is None:
            return 0
        return transaction.execute(
            "plan/insert_lost_turns",
            as_of=run.as_of,
            oldest_entered_at=oldest,
            day_begins_at=run.as_of.replace(hour=0, minute=0, second=0, microsecond=0),
        )


def campaigns_of_lately(warehouse: Warehouse, campaign_ids: Sequence[str], run: Run) -> list[str]:
    """The campaigns that lately took part: who takes part now, as far as it is known without asking Airflow."""
    if not campaign_ids:
        return []
    with warehouse.transaction() as transaction:
        rows = transaction.fetch("plan/list_campaign_turns", since=run.as_of - LATELY, as_of=run.as_of)
    lately = {row["campaign_id"] for row in rows}
    return [each for each in campaign_ids if each in lately]
