"""`rekindle estimate`: what a day and a month would cost, before anything is sent."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

    from rekindle.campaigns.models import Campaign
    from rekindle.estimate import Workload
    from rekindle.warehouse import Warehouse


class WarehouseSize(StrEnum):
    """Snowflake's standard warehouses that a tick could need."""

    XSMALL = "XSMALL"
    SMALL = "SMALL"
    MEDIUM = "MEDIUM"
    LARGE = "LARGE"
    XLARGE = "XLARGE"


def print_estimate(workload: Workload, as_json: bool, console: Console) -> None:
    """Count a day's statements and print what such days would cost."""
    from rekindle.estimate import estimate, measure_day, read_builds
    from rekindle.estimate.page import estimate_json, estimate_page
    from rekindle.estimate.prices import load_prices

    found = estimate(workload, measure_day(), read_builds(), load_prices())
    if as_json:
        console.print_json(data=estimate_json(found))
    else:
        console.print(estimate_page(found))


def planned_counts(
    warehouse: Warehouse, campaign: Campaign, default_region: str, as_of: datetime | None
) -> tuple[int, int, int]:
    """Leads of the warehouse, and the e-mails and texts of the campaign's run at an instant (now), as `rekindle plan`
    foresees it.
    """
    from datetime import UTC

    from rekindle.clock import clock_from_environment
    from rekindle.preview.day import foresee_day, rivals
    from rekindle.project import project_root
    from rekindle.vocabulary import Arm, Channel

    with warehouse.transaction() as transaction:
        leads = transaction.fetch("report/count_leads")[0]["leads"]
    now = as_of.replace(tzinfo=UTC) if as_of else clock_from_environment().now()
    others = rivals(warehouse, campaign, project_root() / "include", now)
    day = foresee_day(warehouse, campaign, others, now, default_region)
    sent = dict.fromkeys(Channel, 0)
    for row in day.messages:
        if row["arm"] == Arm.TREATMENT:
            sent[Channel(row["channel"])] += row["messages"]
    return int(leads), sent[Channel.EMAIL], sent[Channel.SMS]
