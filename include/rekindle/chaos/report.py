"""What a chaos run did and found, as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.table import Table

from rekindle.chaos.checker import PROVED, Evidence, Findings
from rekindle.chaos.ground import Counts
from rekindle.chaos.places import Place
from rekindle.vocabulary import Arm, Channel, MessageStatus


@dataclass
class Story:
    """How the messages of one or many histories ended."""

    fates: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, evidence: Evidence) -> Story:
        """Count one history's messages; a message deferred and then sent counts in both lines."""
        treated = [row for row in evidence.ledger if row["arm"] == Arm.TREATMENT]
        unproved = [row for row in treated if row["message_id"] in evidence.ever_unknown]
        statuses = Counter(row["status"] for row in treated)
        return cls(
            Counter(
                {
                    "planned": len(treated),
                    "sent": sum(statuses[status] for status in PROVED),
                    "refused": statuses[MessageStatus.FAILED],
                    "expired or no longer wanted": statuses[MessageStatus.EXPIRED],
                    "deferred at least once": sum(row["deferrals"] > 0 for row in treated),
                    "unknown at some time": len(unproved),
                    "unknown, then settled": sum(row["status"] in PROVED for row in unproved),
                    "unknown, then aged out": statuses[MessageStatus.AGED_OUT],
                    "withheld from the holdout": len(evidence.ledger) - len(treated),
                }
            )
        )

    def add(self, other: Story) -> None:
        """Take in another history."""
        self.fates.update(other.fates)  # unlike +=, it keeps the zeros


def chaos_report(counts: Counts, story: Story, findings: Sequence[Findings]) -> RenderableType:
    """Four tables: kills, ordeals, messages, promises."""
    return Group(
        _kills_table(counts), "", _ordeals_table(counts), "", _messages_table(story), "", _promises_table(findings)
    )


def _kills_table(counts: Counts) -> Table:
    table = Table(title="Dispatchers ended by SIGKILL, by where it struck", title_justify="left", show_footer=True)
    table.add_column("place", footer=f"of {counts.attempts:,} attempts")
    for channel in Channel:
        here = sum(number for (which, _), number in counts.kills.items() if which is channel)
        table.add_column(str(channel), justify="right", footer=f"{here:,}")
    table.add_column("both", justify="right", footer=f"{counts.killed:,}")
    for place in Place:
        numbers = [counts.kills[channel, place] for channel in Channel]
        if any(numbers):
            table.add_row(place.value, *(f"{number:,}" for number in numbers), f"{sum(numbers):,}")
    return table


def _ordeals_table(counts: Counts) -> Table:
    table = Table(title="What else befell them", title_justify="left")
    table.add_column("ordeal")
    table.add_column("times", justify="right")
    for name, number in sorted(counts.ordeals.items()):
        table.add_row(name, f"{number:,}")
    table.add_section()
    for name, number in sorted(counts.faults.items()):
        table.add_row(f"provider fault: {name}", f"{number:,}")
    return table


def _messages_table(story: Story) -> Table:
    table = Table(title="What became of the messages", title_justify="left")
    table.add_column("messages")
    table.add_column("count", justify="right")
    for name, number in story.fates.items():
        table.add_row(name, f"{number:,}")
    return table


def _promises_table(findings: Sequence[Findings]) -> Table:
    totals: Counter[str] = Counter()
    for found in findings:
        for promise, broken in found.by_promise().items():
            totals[promise] += len(broken)
    table = Table(title="The sandbox's own record against the ledger", title_justify="left")
    table.add_column("violation")
    table.add_column("count", justify="right")
    table.add_column("")
    for promise, number in totals.items():
        table.add_row(promise, f"{number:,}", "[red bold]BROKEN[/]" if number else "[green]none[/]")
    return table
