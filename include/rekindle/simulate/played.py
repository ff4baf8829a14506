"""What a simulation came to, in counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from rekindle.campaigns.models import Campaign, EndStep
from rekindle.invariants import Verdict
from rekindle.vocabulary import Arm
from rekindle.warehouse.ports import Row

ACTIVE = "active"


@dataclass(frozen=True)
class Played:
    """What came of it. The rows are those of the statements in `sql/queries/report`."""

    campaigns: Sequence[Campaign]  # the strongest first
    first_day: date
    days: int
    seed: int
    people: int
    accepted: int
    exits: Sequence[Row]
    messages: Sequence[Row]
    decisions: Sequence[Row]
    funnel: Sequence[Row]
    sends: Sequence[Row]
    deferrals: Sequence[Row]
    verdicts: Sequence[Verdict]

    @property
    def holds(self) -> bool:
        """Whether every invariant does."""
        return all(verdict.holds for verdict in self.verdicts)

    def ends_of(self, campaign_id: str) -> dict[str, Counter[str]]:
        """Arm → how many ended how; `active` are still under way."""
        ends: dict[str, Counter[str]] = {arm: Counter() for arm in Arm}
        for row in self.exits:
            if row["campaign_id"] == campaign_id:
                ends[row["arm"]][row["outcome"]] += row["entries"]
        return ends

    def sent_of(self, campaign_id: str) -> Counter[str]:
        """Status word → messages of a campaign: `sent` left, `withheld` belonged to the holdout."""
        return Counter({row["outcome"]: row["messages"] for row in self.sends if row["campaign_id"] == campaign_id})

    def lost_by(self, campaign_id: str) -> list[Row]:
        """The rows of `report/list_deferrals` in which this campaign waited for another one."""
        return [row for row in self.deferrals if row["campaign_id"] == campaign_id]

    def as_json(self) -> dict[str, Any]:
        """The same counts for a program."""
        return {
            "first_day": self.first_day.isoformat(),
            "days": self.days,
            "seed": self.seed,
            "people": self.people,
            "messages_taken": self.accepted,
            "campaigns": [self._campaign_json(campaign) for campaign in self.campaigns],
            "not_now": [dict(row) for row in self.decisions],
            "invariants": [
                {
                    "number": one.number,
                    "promise": one.name.replace("_", " "),
                    "checked": one.checked,
                    "violations": one.violations,
                }
                for one in self.verdicts
            ],
            "holds": self.holds,
        }

    def _campaign_json(self, campaign: Campaign) -> dict[str, Any]:
        ends = self.ends_of(campaign.campaign_id)
        sent = self.sent_of(campaign.campaign_id)
        reached: dict[str, Counter[str]] = defaultdict(Counter)
        for row in self.funnel:
            if row["campaign_id"] == campaign.campaign_id and not row["is_exit"]:
                reached[row["reached"]][row["arm"]] += row["entries"]
        return {
            "campaign_id": campaign.campaign_id,
            "priority": campaign.priority,
            "entered": {arm: ends[arm].total() for arm in ends},
            "reached": {step: dict(reached[step]) for step in steps_of(campaign)},
            "ends": {arm: dict(sorted(ends[arm].items())) for arm in ends},
            "sent": sent["sent"],
            "withheld": sent["withheld"],
            "waited_for": [
                {name: value for name, value in row.items() if name != "campaign_id"}
                for row in self.lost_by(campaign.campaign_id)
            ],
        }


def steps_of(campaign: Campaign) -> list[str]:
    """The steps in reading order, without the ends."""
    return [step.step_id for step in campaign.steps if not isinstance(step, EndStep)]
