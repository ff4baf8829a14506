"""A breaker per provider account: it opens when sending does harm or is pointless, and tries again by itself.

    closed ──(configuration errors in a row, or a rate of receipts over its limit)──▶ open
    open ──(cool-down over)──▶ half open: one small probe may leave
    half open ──(probe well received)──▶ closed          half open ──(not)──▶ open, cool-down doubled

Everything here is pure and takes the logical instant; `rekindle.governor.stores` keeps the state for all processes.
What an acceptance proves depends on the cause: after configuration errors it closes the breaker; after too many
bounces, complaints or filtered texts only the probe's receipts can.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from rekindle.vocabulary import ErrorClass


class Phase(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Cause(StrEnum):
    """What opened the breaker."""

    CONFIGURATION = "configuration"  # the provider refuses us: credentials, sender, template
    CARRIER_FILTERING = "carrier_filtering"  # carriers take our texts for spam (Twilio 30007 and its kin)
    BOUNCES = "bounces"  # too many addresses or numbers that do not exist
    COMPLAINTS = "complaints"  # too many people call it spam
    BY_HAND = "by_hand"  # somebody said stop; only somebody can say go on


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When the breaker opens and how it tries again. Rates are shares between 0 and 1; a rate of 1 never opens."""

    configuration_errors: int = 5
    # Gmail and Yahoo: keep spam complaints under 0.3 %, always (sender guidelines, 2024)
    complaints: float = 0.003
    bounces: float = 0.10
    carrier_filtering: float = 0.10
    #: Fewer messages than these prove nothing.
    minimum_sample: int = 500
    #: A probe's receipts are judged from these on.
    minimum_probe_sample: int = 20
    window: timedelta = timedelta(days=1)
    cool_down: timedelta = timedelta(minutes=30)
    longest_cool_down: timedelta = timedelta(days=1)
    #: Units one probe may spend.
    probe_units: int = 100

    def __post_init__(self) -> None:
        if min(self.configuration_errors, self.minimum_sample, self.minimum_probe_sample, self.probe_units) < 1:
            raise ValueError(f"a breaker's counts are at least 1, not {self}")
        if not all(0 < share <= 1 for share in (self.complaints, self.bounces, self.carrier_filtering)):
            raise ValueError(f"a breaker's rates are above 0 and at most 1, not {self}")
        if self.window <= timedelta(0) or not timedelta(0) < self.cool_down <= self.longest_cool_down:
            raise ValueError(f"a breaker's window and cool-downs are longer than nothing, not {self}")


@dataclass(frozen=True, slots=True)
class Receipts:
    """How the messages of a window fared, as far as the provider and the carriers told."""

    judged: int = 0
    bounced: int = 0
    filtered: int = 0
    complained: int = 0

    def over(self, limits: BreakerLimits, *, is_probe: bool) -> tuple[Cause, str] | None:
        """The first rate over its limit, with the figures; none while the sample is too small.

        Outside a probe a rate must be over beyond chance, or one complaint in a small cohort would stop a campaign.
        """
        if self.judged < (limits.minimum_probe_sample if is_probe else limits.minimum_sample):
            return None
        for cause, count, limit in (
            (Cause.COMPLAINTS, self.complained, limits.complaints),
            (Cause.CARRIER_FILTERING, self.filtered, limits.carrier_filtering),
            (Cause.BOUNCES, self.bounced, limits.bounces),
        ):
            share = count / self.judged
            if share > limit and (is_probe or _lower_bound(count, self.judged) > limit):
                return cause, f"{cause}: {count} of {self.judged} messages ({share:.2%}, limit {limit:.2%})"
        return None


def _lower_bound(count: int, sample: int) -> float:
    """Wilson's bound that the true share is above with 99 % confidence."""
    from statsmodels.stats.proportion import proportion_confint  # slow to import, and rarely needed

    lower, _ = proportion_confint(count, sample, alpha=0.02, method="wilson")
    return float(lower)


class BreakerState(BaseModel):
    """One account's breaker. Instants are logical."""

    model_config = ConfigDict(frozen=True)

    phase: Phase = Phase.CLOSED
    consecutive: int = 0  # configuration errors in a row
    cause: Cause | None = None
    reason: str | None = None
    opened_at: datetime | None = None
    #: Open: when it half-opens. Half open: when the next probe may leave, should this one never be heard of.
    until: datetime | None = None
    cool_down_seconds: float = 0.0
    reopened: int = 0
    probe_units_left: int = 0
    #: Only messages accepted from here on are judged: what opened it once does not open it again.
    judge_from: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.phase is Phase.OPEN


def admit(state: BreakerState, limits: BreakerLimits, at: datetime) -> tuple[BreakerState, int | None]:
    """The state at `at` and how many units may leave: `None` for any number, 0 for none."""
    if state.phase is Phase.CLOSED:
        return state, None
    assert state.until is not None
    if state.cause is Cause.BY_HAND:
        # Told to look again after a cool-down, however long it lasts: what waits must leave soon after it ends.
        again = state if at < state.until else state.model_copy(update={"until": at + limits.cool_down})
        return again, 0
    if at >= state.until:
        state = state.model_copy(
            update={
                "phase": Phase.HALF_OPEN,
                "probe_units_left": limits.probe_units,
                "until": at + timedelta(seconds=state.cool_down_seconds),
                "judge_from": state.judge_from if state.phase is Phase.HALF_OPEN else at,
            }
        )
    return state, state.probe_units_left if state.phase is Phase.HALF_OPEN else 0


def spend_probe(state: BreakerState, units: int) -> BreakerState:
    """The state after `units` left; a whole message may overdraw the probe."""
    if state.phase is not Phase.HALF_OPEN:
        return state
    return state.model_copy(update={"probe_units_left": max(state.probe_units_left - units, 0)})


def answered(
    state: BreakerState, limits: BreakerLimits, error_class: ErrorClass | None, error_code: str | None, at: datetime
) -> BreakerState:
    """The state after one finished call (`None`: accepted).

    A configuration error counts; an acceptance, or a refusal of one address, shows that the account works and starts
    the count again; a transient or ambiguous answer says nothing about us. While it is open, what comes back was
    already on its way and changes nothing.
    """
    if state.phase is Phase.OPEN or error_class in (ErrorClass.TRANSIENT, ErrorClass.AMBIGUOUS):
        return state
    if error_class is ErrorClass.CONFIGURATION:
        counted = state.model_copy(update={"consecutive": state.consecutive + 1})
        if state.phase is Phase.CLOSED and counted.consecutive < limits.configuration_errors:
            return counted
        reason = f"{counted.consecutive} configuration errors in a row, the last was {error_code or 'without a code'}"
        return _opened(counted, limits, Cause.CONFIGURATION, reason, at)
    if state.phase is Phase.HALF_OPEN and state.cause is Cause.CONFIGURATION:
        return closed(at)
    return state.model_copy(update={"consecutive": 0}) if state.consecutive else state


def judged(state: BreakerState, limits: BreakerLimits, receipts: Receipts, at: datetime) -> BreakerState:
    """The state after looking at the receipts of messages accepted since `judge_since(state, limits, at)`."""
    if state.phase is Phase.OPEN:
        return state
    is_probe = state.phase is Phase.HALF_OPEN
    over = receipts.over(limits, is_probe=is_probe)
    if over is not None:
        return _opened(state, limits, *over, at)
    is_enough = receipts.judged >= limits.minimum_probe_sample
    if is_probe and is_enough and state.cause is not Cause.CONFIGURATION:
        return closed(at)
    return state


def judge_since(state: BreakerState, limits: BreakerLimits, at: datetime) -> datetime:
    """From when on accepted messages are judged: the window, but not what led to the last opening."""
    since = at - limits.window
    return since if state.judge_from is None else max(since, state.judge_from)


def closed(at: datetime) -> BreakerState:
    """A breaker just closed, by its probe or by hand: it starts again and judges only what is sent from now on."""
    return BreakerState(judge_from=at)


def stopped(limits: BreakerLimits, reason: str, at: datetime) -> BreakerState:
    """A breaker opened by hand: no probe ever leaves."""
    state = _opened(BreakerState(), limits, Cause.BY_HAND, reason, at)
    return state.model_copy(update={"judge_from": at})


def _opened(state: BreakerState, limits: BreakerLimits, cause: Cause, reason: str, at: datetime) -> BreakerState:
    again = state.phase is Phase.HALF_OPEN
    cool_down = timedelta(seconds=state.cool_down_seconds * 2) if again else limits.cool_down
    cool_down = min(cool_down, limits.longest_cool_down)
    return BreakerState(
        phase=Phase.OPEN,
        consecutive=state.consecutive,
        cause=cause,
        reason=reason,
        opened_at=at,
        until=at + cool_down,
        cool_down_seconds=cool_down.total_seconds(),
        reopened=state.reopened + 1 if again else 0,
        judge_from=state.judge_from,
    )
