"""The promises of the product, each as a statement that counts its violations. `rekindle check` runs them on any
warehouse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rekindle.campaigns.models import Campaign
from rekindle.project import project_root
from rekindle.warehouse import Warehouse

_CAPS = "05_frequency_caps_hold"


@dataclass(frozen=True)
class Verdict:
    """One invariant's result on one warehouse."""

    number: int
    name: str
    violations: int
    checked: int
    unit: str

    @property
    def holds(self) -> bool:
        return self.violations == 0


def check_invariants(
    warehouse: Warehouse, campaigns: Sequence[Campaign], sql_root: Path | None = None
) -> list[Verdict]:
    """Evaluate every statement in `sql/queries/invariants` in one transaction, in order."""
    folder = (sql_root or project_root() / "sql") / "queries" / "invariants"
    verdicts = []
    with warehouse.transaction() as transaction:
        for path in sorted(folder.glob("*.sql")):
            name = path.stem
            if name == _CAPS:
                rows = [
                    transaction.fetch(
                        f"invariants/{name}",
                        campaign_id=campaign.campaign_id,
                        cap_messages=campaign.caps.messages,
                        cap_seconds=campaign.caps.per_days * 86_400,
                    )[0]
                    for campaign in campaigns
                ]
            else:
                rows = transaction.fetch(f"invariants/{name}")
            number, _, words = name.partition("_")
            verdicts.append(
                Verdict(
                    number=int(number),
                    name=words.replace("_", " "),
                    violations=sum(int(row["violations"]) for row in rows),
                    checked=sum(int(row["checked"]) for row in rows),
                    unit=rows[0]["unit"] if rows else "sends",
                )
            )
    return verdicts
