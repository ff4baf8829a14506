"""The governor: one rate per provider account, in the provider's own units, for all processes that share a store.

PyrateLimiter's GCRA decides. It keeps the moment the rate's debt is paid instead of a log of grants, so that a worker
that wakes late loses nothing: the next grant is counted from when this one was due. A waiting process holds neither a
lock nor a place: it asks again, so nobody waits behind a process that died.

Two clocks run here. Rates, pauses and back-off follow the machine's, because a provider's limits do. The breaker, the
warm-up and the daily cap follow the logical one, because they are about days and runs.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self, TypedDict, Unpack

from pyrate_limiter import GCRA, Rate

from rekindle.clock import Clock, SystemClock
from rekindle.errors import RekindleError
from rekindle.governor import breaker as breakers
from rekindle.governor.allowance import Allowance, next_day, utc_day
from rekindle.governor.breaker import BreakerLimits, BreakerState, Receipts
from rekindle.governor.state import AccountState
from rekindle.governor.stores import AccountStore, InMemoryStore, SqliteStore, StoreUnavailableError
from rekindle.vocabulary import DecisionReason, ErrorClass

logger = logging.getLogger(__name__)

#: How much slower than the limit we go: neither clocks nor networks are exact, and a 429 costs more than 1 %.
HEADROOM = 1.01
#: Seconds of the rate that one grant gives at most: a worker that is not scheduled then holds little in its hand.
BLOCK_SECONDS = 0.02
#: Seconds of the rate that a late worker may catch up.
CATCH_UP_SECONDS = 0.08
#: What HTTP 429 is called in `provider_errors`: SendGrid's, Twilio's.
THROTTLED_CODES = frozenset({"429", "20429"})
#: Seconds: the first back-off after a throttled answer without a stated wait; it doubles up to the longest.
FIRST_BACK_OFF = 1.0
LONGEST_BACK_OFF = 300.0
#: Seconds: however long the wait, those who wait for the same moment come back spread over no more than this.
LONGEST_SPREAD = 1.0


class RateUnavailableError(RekindleError):
    """The rate would not be free before the deadline; nothing may be sent now. Plan it again."""


class HeldError(RateUnavailableError):
    """Nothing more may be sent before `until` (logical time), whatever the rate: the breaker is open or the day's
    allowance is spent. Write `reason` and `until` as the message's decision and its next due time.
    """

    def __init__(self, reason: DecisionReason, until: datetime, detail: str) -> None:
        super().__init__(f"{detail}; held until {until:%Y-%m-%d %H:%M} UTC")
        self.reason = reason
        self.until = until


@dataclass(frozen=True, slots=True)
class ProviderRate:
    """At most `units` in any `per_seconds`: messages or requests for e-mail, segments for texts.

    `block` is how many units one grant gives at most: what one request carries where requests carry many, else a
    fiftieth of a second's worth. Any window grants at most `units` and `burst`.
    """

    units: int
    per_seconds: float = 1.0
    block: int = 0

    def __post_init__(self) -> None:
        if self.units < 1 or self.per_seconds < 0.001:
            raise ValueError(f"a rate is at least 1 unit in at least a millisecond, not {self}")
        if self.block < 0:
            raise ValueError(f"a block is at least 1 unit, or 0 for the usual one, not {self}")
        usual = max(int(self.units / self.per_seconds * BLOCK_SECONDS), 1)
        object.__setattr__(self, "block", min(self.block or usual, self.units))

    @property
    def catch_up(self) -> int:
        """Units a late worker may catch up."""
        return max(math.ceil(self.units / self.per_seconds * CATCH_UP_SECONDS), 1)

    @property
    def burst(self) -> int:
        """Units that may leave at once after a rest: a block, and what a late worker may catch up."""
        return self.block + self.catch_up

    def limiter_rate(self, weight: int) -> Rate:
        """PyrateLimiter's form, under which a grant is due when the debt before it is, whatever it weighs: small grants
        can not starve a big one.
        """
        interval_ms = max(round(self.per_seconds * 1000 * HEADROOM), 1)
        return Rate(self.units, interval_ms, burst=self.catch_up + weight)


@dataclass(frozen=True, slots=True)
class Status:
    """One account as it stands: what `rekindle governor` shows and a send task logs."""

    account: str
    units_per_second: float
    used_last_second: int
    used_last_minute: int
    paused_until: datetime | None
    throttled: int
    breaker: BreakerState
    warm_up_day: int | None
    allowance: int | None
    used_today: int

    def __str__(self) -> str:
        """One line for a log."""
        told = [
            f"governor {self.account}: {self.units_per_second:g} units a second",
            f"{self.used_last_minute} used in the last minute",
            f"{self.used_today} today" + ("" if self.allowance is None else f" of {self.allowance}"),
            f"breaker {self.breaker.phase}" + (f" ({self.breaker.reason})" if self.breaker.reason else ""),
        ]
        if self.warm_up_day is not None:
            told.append(f"day {self.warm_up_day} of the warm-up")
        if self.paused_until is not None:
            told.append(f"paused until {self.paused_until:%H:%M:%S}")
        return ", ".join(told)


class GovernorOptions(TypedDict, total=False):
    """What a governor may be given besides its rate."""

    allowance: Allowance | None
    limits: BreakerLimits | None
    patience_seconds: float  # how long a caller waits for the rate at most
    clock: Clock | None  # of rates and pauses: the machine's
    calendar: Clock | None  # of the breaker and the days: the logical one
    wait: Callable[[float], None]
    jitter: Callable[[], float]


class Governor:
    """Hands out one account's rate."""

    def __init__(
        self,
        account: str,
        rate: ProviderRate,
        store: AccountStore,
        *,
        allowance: Allowance | None = None,
        limits: BreakerLimits | None = None,
        patience_seconds: float = 300.0,
        clock: Clock | None = None,
        calendar: Clock | None = None,
        wait: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.account = account
        self.rate = rate
        self._store = store
        self._allowance = allowance or Allowance()
        self._limits = limits or BreakerLimits()
        self._patience = timedelta(seconds=patience_seconds)
        self._clock = clock or SystemClock()
        self._calendar = calendar or self._clock
        self._wait = wait
        self._jitter = jitter

    @classmethod
    def shared(cls, folder: Path, account: str, rate: ProviderRate, **options: Unpack[GovernorOptions]) -> Self:
        """The governor of `account` for every process of this machine that names `folder`. Make it after forking."""
        return cls(account, rate, SqliteStore(folder / "governor.sqlite"), **options)

    @classmethod
    def in_memory(cls, rate: ProviderRate, **options: Unpack[GovernorOptions]) -> Self:
        """The double for tests and single-process use."""
        return cls("in_memory", rate, InMemoryStore(), **options)

    def acquire(self, units: int, deadline: datetime | None = None) -> None:
        """Return when `units` may be spent. More than a block is taken block by block: slower than asked for, never
        faster.

        Raises `HeldError` when the breaker is open or the day has fewer left, and `RateUnavailableError` if the
        deadline or our patience ends first.
        """
        if units < 1:
            raise ValueError(f"nothing to acquire: {units} units")
        give_up_at = self._give_up_at(deadline)
        while units > 0:
            part = min(units, self.rate.block)
            self._take([part], give_up_at, wanted=units)
            units -= part

    def acquire_some(self, costs: Sequence[int], deadline: datetime | None = None) -> int:
        """Wait until at least the first of the messages that cost `costs` units each may leave; answers how many of the
        leading ones may leave now: a block's worth at most, and what the day and a probing breaker allow.

        Raises `HeldError` when the breaker is open or the day has too few left for the first, and
        `RateUnavailableError` if the deadline or our patience ends first.
        """
        if not costs or min(costs) < 1:
            raise ValueError("nothing to acquire: each message costs at least 1 unit, and there must be one")
        return self._take(costs, self._give_up_at(deadline))

    def record(self, outcomes: Sequence[tuple[ErrorClass | None, str | None]]) -> None:
        """Learn from finished calls, oldest first: (error class, error code) each, (None, code) for an acceptance.

        Feeds the breaker, and backs off, longer each time, from throttled answers while no pause runs: tell
        `pause_until` what the provider asked for first. Never raises for the store's sake: what was sent is sent.
        """
        if not outcomes:
            return

        def change(state: AccountState) -> tuple[AccountState, BreakerState]:
            now_ms, at = _ms(self._clock.now()), self._calendar.now()
            breaker = state.breaker
            for error_class, error_code in outcomes:
                breaker = breakers.answered(breaker, self._limits, error_class, error_code, at)
                state = self._after_answer(state, error_class, error_code, now_ms)
            return state.model_copy(update={"breaker": breaker}), breaker

        try:
            before = self._store.load(self.account)
            # Nearly every answer is an acceptance that changes nothing: no reason to make others wait for the lock.
            breaker = before.breaker if change(before)[0] == before else self._store.update(self.account, change)
        except StoreUnavailableError as error:
            logger.warning("%s: %d outcomes were not counted by the governor: %s", self.account, len(outcomes), error)
            return
        if breaker.is_open and not before.breaker.is_open:
            self._say_opened(breaker)

    def pause_until(self, seconds: float) -> None:
        """Nobody sends for the next `seconds`, in any process: what a provider's Retry-After asks for. A pause is never
        shortened.
        """
        if seconds <= 0:
            return

        def change(state: AccountState) -> tuple[AccountState, None]:
            until_ms = _ms(self._clock.now() + timedelta(seconds=seconds))
            return state.model_copy(update={"paused_until_ms": max(state.paused_until_ms, until_ms)}), None

        try:
            self._store.update(self.account, change)
        except StoreUnavailableError as error:
            logger.warning("%s: a pause of %.0f s was not remembered: %s", self.account, seconds, error)

    def judge_since(self) -> datetime:
        """From when on accepted messages' receipts are to be counted for `judge`."""
        return breakers.judge_since(self._store.load(self.account).breaker, self._limits, self._calendar.now())

    def judge(self, receipts: Receipts) -> BreakerState:
        """Open or close the breaker by how the messages accepted since `judge_since()` fared."""
        before = self._store.load(self.account).breaker

        def change(state: AccountState) -> tuple[AccountState, BreakerState]:
            breaker = breakers.judged(state.breaker, self._limits, receipts, self._calendar.now())
            return state.model_copy(update={"breaker": breaker}), breaker

        after = self._store.update(self.account, change)
        if after.is_open and not before.is_open:
            self._say_opened(after)
        return after

    def held(self) -> HeldError | None:
        """Why nothing may be sent now whatever the rate, or none. Takes nothing and changes nothing."""
        outcome = self._decide(self._store.load(self.account), [1], 1)[1]
        return outcome if isinstance(outcome, HeldError) else None

    def close_breaker(self) -> None:
        """Close the breaker by hand, after mending the cause."""
        at = self._calendar.now()
        self._store.update(
            self.account, lambda state: (state.model_copy(update={"breaker": breakers.closed(at)}), None)
        )

    def stop(self, reason: str) -> None:
        """Open the breaker by hand: nothing leaves, not even what is half sent, until `close_breaker`."""
        at = self._calendar.now()
        breaker = breakers.stopped(self._limits, f"stopped by hand: {reason}", at)
        self._store.update(self.account, lambda state: (state.model_copy(update={"breaker": breaker}), None))

    def status(self) -> Status:
        """The account as it stands."""
        state = self._store.load(self.account)
        now, at = self._clock.now(), self._calendar.now()
        day = utc_day(at)
        paused_until = datetime.fromtimestamp(state.paused_until_ms / 1000, now.tzinfo)
        return Status(
            account=self.account,
            units_per_second=self.rate.units / self.rate.per_seconds,
            used_last_second=state.used_within(1, _ms(now)),
            used_last_minute=state.used_within(60, _ms(now)),
            paused_until=paused_until if paused_until > now else None,
            throttled=state.throttled,
            breaker=state.breaker,
            warm_up_day=self._allowance.warm_up_day(day),
            allowance=self._allowance.on(day),
            used_today=state.used_on(day),
        )

    def log_status(self) -> None:
        """One log line that says how the account stands; never raises for the store's sake."""
        try:
            logger.info("%s", self.status())
        except StoreUnavailableError as error:
            logger.warning("the state of %s is not known: %s", self.account, error)

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _give_up_at(self, deadline: datetime | None) -> datetime:
        give_up_at = self._clock.now() + self._patience
        return give_up_at if deadline is None else min(give_up_at, deadline)

    def _take(self, costs: Sequence[int], give_up_at: datetime, wanted: int | None = None) -> int:
        while True:
            try:
                outcome = self._store.update(self.account, lambda state: self._decide(state, costs, wanted))
            except StoreUnavailableError as error:
                raise RateUnavailableError(f"{error}; without it nothing may be sent") from error
            if isinstance(outcome, HeldError):
                raise outcome
            if isinstance(outcome, int):
                return outcome
            now = self._clock.now()
            if now + outcome > give_up_at:
                raise RateUnavailableError(
                    f"the rate would be free in {outcome.total_seconds():.1f} s, which is after the deadline"
                )
            # Up to a fifth more, so that processes which wait for the same moment do not all come at it.
            wait = outcome.total_seconds()
            wait += min(wait / 5, LONGEST_SPREAD) * self._jitter()
            self._wait(min(wait, max((give_up_at - now).total_seconds(), 0.001)))

    def _decide(
        self, state: AccountState, costs: Sequence[int], wanted: int | None
    ) -> tuple[AccountState, int | timedelta | HeldError]:
        """The state after asking for the leading messages, and how many may leave, or how long to wait, or why not."""
        # Read under the store's lock: nobody's grant is counted from an instant before another's.
        now, at = self._clock.now(), self._calendar.now()
        now_ms, day = _ms(now), utc_day(at)
        first = wanted or costs[0]

        breaker, probe = breakers.admit(state.breaker, self._limits, at)
        if probe is not None and probe < 1:
            assert breaker.until is not None
            return state, HeldError(
                DecisionReason.BREAKER_OPEN,
                breaker.until,
                f"the breaker of {self.account} is {breaker.phase}: {breaker.reason}",
            )
        allowance = self._allowance.on(day)
        left = None if allowance is None else allowance - state.used_on(day)
        if left is not None and left < first:
            number = self._allowance.warm_up_day(day)
            return state, HeldError(
                DecisionReason.DAILY_ALLOWANCE,
                next_day(at),
                f"{self.account} has {max(left, 0)} of {allowance} units left today"
                + (f", day {number} of its warm-up" if number else ""),
            )
        if state.paused_until_ms > now_ms:
            return state, timedelta(milliseconds=state.paused_until_ms - now_ms)

        most = min(limit for limit in (self.rate.block, left, probe) if limit is not None)
        count, units = 1, costs[0]
        while count < len(costs) and units + costs[count] <= most:
            units += costs[count]
            count += 1
        paid, decision = GCRA().step([self.rate.limiter_rate(units)], (state.paid_at_us,), now_ms, units)
        if not decision.allowed:
            return state, timedelta(milliseconds=max(decision.retry_after_ms or 1, 1))
        granted = state.granted(units, now_ms, day)
        return granted.model_copy(
            update={"paid_at_us": int(paid[0]), "breaker": breakers.spend_probe(breaker, units)}
        ), count

    def _after_answer(
        self, state: AccountState, error_class: ErrorClass | None, error_code: str | None, now_ms: int
    ) -> AccountState:
        if error_class is None:
            return state.model_copy(update={"throttled": 0}) if state.throttled else state
        # While a pause runs, throttled answers are those of calls that were on their way when it began.
        if error_code not in THROTTLED_CODES or state.paused_until_ms > now_ms:
            return state
        longest = min(FIRST_BACK_OFF * 2.0 ** min(state.throttled, 30), LONGEST_BACK_OFF)
        # Between half of it and all of it
        seconds = longest * (1 + self._jitter()) / 2
        return state.model_copy(
            update={"throttled": state.throttled + 1, "paused_until_ms": now_ms + round(seconds * 1000)}
        )

    def _say_opened(self, breaker: BreakerState) -> None:
        logger.error(
            "the breaker of %s opened until %s: %s; `rekindle governor close %s` closes it by hand",
            self.account,
            breaker.until,
            breaker.reason,
            self.account,
        )


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
