"""Everything the governor remembers of one provider account: one small document, changed as a whole."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from rekindle.governor.breaker import BreakerState

SECONDS_REMEMBERED = 60


class AccountState(BaseModel):
    """Milliseconds and microseconds are real time since 1970, days are logical UTC days. Fields of another version are
    ignored or get their defaults, so that two versions can share a store.
    """

    model_config = ConfigDict(frozen=True)

    #: When the rate's debt is paid: GCRA's theoretical arrival time, in microseconds.
    paid_at_us: int = 0
    paused_until_ms: int = 0
    #: Throttled answers without a stated wait since the last acceptance.
    throttled: int = 0
    breaker: BreakerState = Field(default_factory=BreakerState)
    #: The newest logical day something was granted, and how many units.
    day: date | None = None
    used_today: int = 0
    #: Units granted by second, for the last minute.
    recent: dict[int, int] = Field(default_factory=dict)

    def used_on(self, day: date) -> int:
        """Units granted on the logical `day`."""
        return self.used_today if self.day == day else 0

    def granted(self, units: int, now_ms: int, day: date) -> AccountState:
        """The state after a grant."""
        second = now_ms // 1000
        recent = {at: count for at, count in self.recent.items() if at > second - SECONDS_REMEMBERED}
        recent[second] = recent.get(second, 0) + units
        return self.model_copy(update={"day": day, "used_today": self.used_on(day) + units, "recent": recent})

    def used_within(self, seconds: int, now_ms: int) -> int:
        """Units granted in the last whole `seconds` and the one that runs; at most a minute."""
        return sum(count for at, count in self.recent.items() if at > now_ms // 1000 - seconds)
