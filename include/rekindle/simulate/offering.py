"""Who may enter which campaign on which day, and what people would do by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from rekindle.campaigns.conditions import EventCondition
from rekindle.campaigns.models import BranchStep, Campaign, WaitForStep
from rekindle.campaigns.step_definitions import EventExitDefinition
from rekindle.sandbox.people import DAY, HOUR, Dice
from rekindle.simulate.people import Person, spread_over
from rekindle.simulate.providers import World
from rekindle.simulate.warehouse import (
    ACTIVATION,
    MemoryWarehouse,
    offer_row,
    request_row,
    sign_up_row,
    signal_row,
)
from rekindle.warehouse.duckdb import DuckDbTransaction

#: Share of leads who come back by themselves within the days played: what the holdout is for.
COME_BACK_ANYWAY = 0.06
#: The topic under which a sign-up that must be confirmed comes in.
CONFIRMATION = "confirmation"
#: Share of leads who do what a campaign waits for, each event by itself, some day soon after entering.
DO_WHAT_IS_WAITED_FOR = 0.2
#: The last part of the days has no new leads, so that journeys that begin are seen to end.
ENTERING_SHARE = 0.6


class Offering:
    """Everybody is offered once to each activation model, in equal parts over the first days.

    Each further model deals the people to other days, so that one person is wanted by several campaigns at various
    distances, some of them on one day. Campaigns that share a model are offered the same people, as by dbt.
    """

    def __init__(self, campaigns: Sequence[Campaign], people: Sequence[Person], days: int, seed: int) -> None:
        self._seed = seed
        self._campaigns: dict[str, list[Campaign]] = {}
        for campaign in campaigns:
            self._campaigns.setdefault(campaign.enter.model, []).append(campaign)
        self._entering: dict[str, list[list[Person]]] = {}
        for model in self._campaigns:
            dealt = sorted(people, key=lambda one: self._place(model, one)) if self._entering else people
            self._entering[model] = spread_over(dealt, max(1, int(days * ENTERING_SHARE)))
        self._met: set[str] = set()

    def make(self, warehouse: MemoryWarehouse, world: World, day: int, at: datetime) -> None:
        """Every activation model as of a day, and what its new leads will do whatever we send."""
        for model, campaigns in self._campaigns.items():
            entering = self._entering[model]
            people = entering[day] if day < len(entering) else []
            with warehouse.transaction() as transaction:
                self._fill(transaction, model, campaigns, people, at)
            self._live(world, campaigns, people, at)

    def _place(self, model: str, person: Person) -> float:
        return Dice.of(self._seed, "offered", person.lead_id).unit(model)

    @staticmethod
    def _fill(
        transaction: DuckDbTransaction,
        model: str,
        campaigns: Sequence[Campaign],
        people: Sequence[Person],
        at: datetime,
    ) -> None:
        signals = sorted({(signal[0], signal[1][0]) for one in campaigns if (signal := one.enter.signal)})
        rows: list[dict[str, Any]] = [signal_row(one.lead_id, at, *signal) for one in people for signal in signals]
        if not signals:
            rows = [offer_row(one.lead_id, at, cold_score=one.cold_score, segment=one.segment) for one in people]
        transaction.connection.execute(f"truncate {ACTIVATION}.{model}")
        transaction.insert(f"{ACTIVATION}.{model}", rows)
        if ("opt_in", CONFIRMATION) in signals:
            _sign_up(transaction, people, at - timedelta(hours=1))

    def _live(self, world: World, campaigns: Sequence[Campaign], people: Sequence[Person], at: datetime) -> None:
        events = sorted({event for campaign in campaigns for event in events_of(campaign)})
        for one in people:
            dice = Dice.of(self._seed, "anyway", one.lead_id)
            if one.lead_id not in self._met and dice.chance("comes back", COME_BACK_ANYWAY):
                world.acts(one.lead_id, at + timedelta(seconds=dice.between("after", 60, 30 * DAY)))
            for event in events:
                if dice.chance(f"does {event}", DO_WHAT_IS_WAITED_FOR):
                    soon = at + timedelta(seconds=dice.between(f"{event} after", HOUR, 14 * DAY))
                    world.acts(one.lead_id, soon, event)
            self._met.add(one.lead_id)


def events_of(campaign: Campaign) -> set[str]:
    """The app events a campaign waits for, branches on or ends at."""
    awaited = {step.event for step in campaign.steps if isinstance(step, WaitForStep)}
    branches = [step for step in campaign.steps if isinstance(step, BranchStep)]
    asked = {
        condition.event for step in branches for _, condition in step.cases if isinstance(condition, EventCondition)
    }
    return awaited | asked | {one.event for one in campaign.exits if isinstance(one, EventExitDefinition)}


def _sign_up(transaction: DuckDbTransaction, people: Sequence[Person], at: datetime) -> None:
    """They filled in a form, and have to confirm their address."""
    asking = [one for one in people if one.email]
    transaction.insert("rekindle_raw.opt_ins", [sign_up_row(one.lead_id, one.email or "", at) for one in asking])
    requests = [request_row(one.lead_id, one.email or "", at) for one in asking]
    transaction.insert("rekindle_state.preferences", requests)
