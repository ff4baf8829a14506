"""What befalls the attempts of one history, drawn from its seed and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from random import Random

from rekindle.chaos.jobs import Deed, Fate
from rekindle.chaos.places import BOUNDARIES, FREE_OF_THE_WAREHOUSE, Place
from rekindle.sandbox.faults import FaultKind


class OrdealKind(StrEnum):
    """What happens to one attempt."""

    KILLED_AT_BOUNDARY = "killed at a boundary"
    KILLED_IN_CALL = "killed during the call"
    KILLED_AFTER_ACCEPTANCE = "killed between acceptance and answer"
    KILLED_ANY_TIME = "killed at a random time"
    PROVIDER_TROUBLE = "provider trouble"
    ZOMBIE = "frozen past its lease, then woken"
    ZOMBIE_IN_CALL = "frozen in the call past its lease, then woken"
    TWINS = "several attempts at once on one batch"
    DISK_FULL = "the disk full between call and record"
    LOCKED_OUT = "the warehouse locked between call and record"


#: How often each comes in a deck; boundaries come twice each.
_DEALT = {
    OrdealKind.KILLED_IN_CALL: 3,
    OrdealKind.KILLED_AFTER_ACCEPTANCE: 3,
    OrdealKind.KILLED_ANY_TIME: 6,
    OrdealKind.PROVIDER_TROUBLE: 5,
    OrdealKind.ZOMBIE: 2,
    OrdealKind.ZOMBIE_IN_CALL: 1,
    OrdealKind.TWINS: 2,
    OrdealKind.DISK_FULL: 1,
    OrdealKind.LOCKED_OUT: 1,
}
#: Reached once for each chunk of a batch.
_PER_CHUNK = frozenset(place for place in BOUNDARIES if place.name.endswith("CALL"))
_TROUBLES = (
    FaultKind.RATE_LIMITED,
    FaultKind.SERVER_ERROR_BEFORE,
    FaultKind.SERVER_ERROR_AFTER,
    FaultKind.RESET_BEFORE,
    FaultKind.RESET_AFTER,
    FaultKind.TIMEOUT_AFTER,
    FaultKind.TRUNCATED_BODY,
    FaultKind.MALFORMED_BODY,
    FaultKind.SLOW,
    FaultKind.BAD_RECIPIENT,
)
_LONGEST_STEP_BACK = 20 * 60  # seconds: shorter than a lease, so that time goes on with the next one


@dataclass(frozen=True)
class Ordeal:
    """One attempt's lot."""

    kind: OrdealKind
    fate: Fate | None = None
    trouble: FaultKind | None = None
    #: Of requests for `trouble`; 1 is a storm.
    probability: float = 1.0
    #: When the kill comes, as a share of an attempt's usual life, or of the time a call takes.
    moment: float = 0.0
    #: The clock goes back by this while the attempt is frozen.
    step_back: timedelta = timedelta(0)


@dataclass(frozen=True)
class Interlude:
    """What happens between two rounds of attempts, while nobody is alive."""

    opt_outs: int
    log_ins: int
    step_back: timedelta


class History:
    """Ordeals are dealt like cards: every kind comes up, and equally often, in an order that the seed decides."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._dice = Random(f"rekindle chaos {seed}")  # noqa: S311 - to be repeated, not to be secret

    def ordeals(self) -> Iterator[Ordeal]:
        """Without end."""
        while True:
            deck = list(self._deck())
            self._dice.shuffle(deck)
            yield from deck

    def interlude(self) -> Interlude:
        """The next pause."""
        back = self._dice.randint(60, _LONGEST_STEP_BACK) if self._dice.random() < 0.5 else 0
        return Interlude(self._dice.randint(0, 2), self._dice.randint(0, 2), timedelta(seconds=back))

    def choose(self, count: int, among: int) -> list[int]:
        """That many different positions, or as many as there are."""
        return self._dice.sample(range(among), min(count, among))

    def _deck(self) -> Iterator[Ordeal]:
        for place in BOUNDARIES:
            if place in (Place.DURING_CALL, Place.ACCEPTED):
                continue
            for nth in (1, 2 if place in _PER_CHUNK else 1):
                trouble = self._dice.choice(_TROUBLES) if self._dice.random() < 0.25 else None
                yield Ordeal(
                    OrdealKind.KILLED_AT_BOUNDARY,
                    Fate(deed=Deed.KILL, place=place, nth=nth),
                    trouble=trouble,
                    probability=0.5,
                )
        for kind, times in _DEALT.items():
            for _ in range(times):
                yield self._draw(kind)

    def _draw(self, kind: OrdealKind) -> Ordeal:
        match kind:
            case OrdealKind.PROVIDER_TROUBLE:
                return Ordeal(kind, trouble=self._dice.choice(_TROUBLES), probability=self._dice.choice((0.5, 1.0)))
            case OrdealKind.ZOMBIE:
                place = self._dice.choice(FREE_OF_THE_WAREHOUSE)
                back = self._dice.randint(60, _LONGEST_STEP_BACK) if self._dice.random() < 0.5 else 0
                return Ordeal(kind, Fate(deed=Deed.FREEZE, place=place), step_back=timedelta(seconds=back))
            case OrdealKind.TWINS:
                dies_at = self._dice.choice([place for place in BOUNDARIES if place is not Place.ACCEPTED])
                return Ordeal(kind, Fate(deed=Deed.KILL, place=dies_at))
            case OrdealKind.DISK_FULL:
                return Ordeal(kind, Fate(deed=Deed.FILL_DISK, place=Place.AFTER_CALL))
            case OrdealKind.LOCKED_OUT:
                return Ordeal(kind, Fate(deed=Deed.FREEZE, place=Place.AFTER_CALL))
            case _:
                return Ordeal(kind, moment=self._dice.random())
