"""Compares the provider's own record with the ledger: the ledger can not judge itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rekindle.invariants import Verdict
from rekindle.vocabulary import MessageStatus
from rekindle.warehouse.ports import Row

#: Statuses that say: the provider took it.
PROVED = frozenset({MessageStatus.ACCEPTED, MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.UNDELIVERED})
#: Statuses a message may end in without having been taken; `aged_out` admits that nobody knows.
OVER = frozenset({MessageStatus.WITHHELD, MessageStatus.FAILED, MessageStatus.EXPIRED, MessageStatus.AGED_OUT})


@dataclass(frozen=True)
class Accepted:
    """One message in the provider's record."""

    message_id: str
    to_hash: str


@dataclass(frozen=True)
class Evidence:
    """Both sides of the story."""

    accepted: Sequence[Accepted]
    ledger: Sequence[Row]
    held_out: frozenset[str]
    #: Lead → the messages that had left when she opted out or came back; no other may follow.
    permitted: Mapping[str, frozenset[str]]
    ever_unknown: frozenset[str]
    verdicts: Sequence[Verdict]


@dataclass(frozen=True)
class Findings:
    """Message ids that break a promise; an id names nobody."""

    duplicates: Sequence[str]
    lost: Sequence[str]
    after_exit: Sequence[str]
    to_holdout: Sequence[str]
    unproved: Sequence[str]  # accepted by the provider, not so in the ledger
    invented: Sequence[str]  # accepted in the ledger, not so at the provider
    broken_invariants: Sequence[str]

    @property
    def hold(self) -> bool:
        """Whether every promise was kept."""
        return not any(self.by_promise().values())

    def by_promise(self) -> dict[str, Sequence[str]]:
        """What broke which promise."""
        return {
            "accepted twice by a provider": self.duplicates,
            "lost: neither sent nor given up": self.lost,
            "sent after an exit or opt-out": self.after_exit,
            "sent to the holdout": self.to_holdout,
            "accepted, unknown to the ledger": self.unproved,
            "in the ledger, never accepted": self.invented,
            "invariants broken": self.broken_invariants,
        }


def check(evidence: Evidence) -> Findings:
    """Judge a settled story."""
    ids = [message.message_id for message in evidence.accepted]
    at_provider = set(ids)
    ledger = {row["message_id"]: row for row in evidence.ledger}
    proved = {message_id for message_id, row in ledger.items() if row["status"] in PROVED}
    # two ids for one step of one entry would be a duplicate that no id gives away
    sends = Counter((ledger[one]["entry_id"], ledger[one]["step_id"]) for one in at_provider if one in ledger)
    twice = {one for one, times in Counter(ids).items() if times > 1} | {
        one for one in at_provider if one in ledger and sends[ledger[one]["entry_id"], ledger[one]["step_id"]] > 1
    }
    return Findings(
        duplicates=sorted(twice),
        lost=sorted(one for one, row in ledger.items() if row["status"] not in PROVED | OVER),
        after_exit=sorted(
            one
            for one in at_provider
            if one in ledger and one not in evidence.permitted.get(ledger[one]["lead_id"], at_provider)
        ),
        to_holdout=sorted(one.message_id for one in evidence.accepted if one.to_hash in evidence.held_out),
        unproved=sorted(at_provider - proved),
        invented=sorted(proved - at_provider),
        broken_invariants=[
            f"{verdict.number} {verdict.name}: {verdict.violations}"
            for verdict in evidence.verdicts
            if not verdict.holds
        ],
    )
