"""Faults on demand: a list of rules, each for a provider and endpoint, a number of times or with a probability."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rekindle.sandbox.people import Dice


class Provider(StrEnum):
    SENDGRID = "sendgrid"
    TWILIO = "twilio"


class Endpoint(StrEnum):
    """Groups of routes a rule can name."""

    MAIL_SEND = "mail_send"
    SUPPRESSIONS = "suppressions"
    MESSAGES_CREATE = "messages_create"
    MESSAGES_FETCH = "messages_fetch"
    MESSAGES_LIST = "messages_list"
    LOOKUP = "lookup"
    DEACTIVATIONS = "deactivations"
    CONSENTS = "consents"


class FaultKind(StrEnum):
    RATE_LIMITED = "rate_limited"  # 429 with Retry-After and X-RateLimit-*
    CONFIG_ERROR = "config_error"  # 401
    SERVER_ERROR_BEFORE = "server_error_before"  # 5xx and nothing accepted
    SERVER_ERROR_AFTER = "server_error_after"  # 5xx although it was accepted
    RESET_BEFORE = "reset_before"  # the connection drops and nothing was accepted
    RESET_AFTER = "reset_after"  # the connection drops although it was accepted
    TIMEOUT_AFTER = "timeout_after"  # accepted, then silence for `seconds`
    TRUNCATED_BODY = "truncated_body"  # accepted, the answer breaks off
    MALFORMED_BODY = "malformed_body"  # accepted, the answer is no JSON
    SLOW = "slow"  # answers after `seconds`
    BAD_RECIPIENT = "bad_recipient"  # addresses containing `address` count as invalid
    THROTTLE = "throttle"  # more than `per_second` of `unit` are answered 429


BEFORE = frozenset(
    {
        FaultKind.RATE_LIMITED,
        FaultKind.CONFIG_ERROR,
        FaultKind.SERVER_ERROR_BEFORE,
        FaultKind.RESET_BEFORE,
        FaultKind.SLOW,
    }
)
AFTER = frozenset(
    {
        FaultKind.SERVER_ERROR_AFTER,
        FaultKind.RESET_AFTER,
        FaultKind.TIMEOUT_AFTER,
        FaultKind.TRUNCATED_BODY,
        FaultKind.MALFORMED_BODY,
    }
)


class Unit(StrEnum):
    """What a throttle counts."""

    REQUESTS = "requests"
    MESSAGES = "messages"
    SEGMENTS = "segments"


class FaultRule(BaseModel):
    """One rule; without `provider` or `endpoint` it covers all of them, without `count` it never ends."""

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    provider: Provider | None = None
    endpoint: Endpoint | None = None
    #: How many requests it hits at most.
    count: Annotated[int | None, Field(ge=1)] = None
    #: How many matching requests pass before it begins.
    skip: Annotated[int, Field(ge=0)] = 0
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    #: Real seconds of `slow` and `timeout_after`.
    seconds: Annotated[float, Field(ge=0)] = 1.0
    #: `Retry-After` of `rate_limited`.
    retry_after: Annotated[int, Field(ge=0)] = 1
    status: Annotated[int, Field(ge=500, le=599)] = 503
    address: str = ""
    per_second: Annotated[float | None, Field(gt=0)] = None
    unit: Unit = Unit.MESSAGES

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> FaultRule:
        if self.kind is FaultKind.BAD_RECIPIENT and not self.address:
            raise ValueError("bad_recipient needs `address`, a part of the addresses it makes invalid")
        if self.kind is FaultKind.THROTTLE and self.per_second is None:
            raise ValueError("throttle needs `per_second`")
        return self


@dataclass(slots=True)
class _Armed:
    rule: FaultRule
    dice: Dice
    seen: int = 0
    hits: int = 0
    #: What a throttle may still let through; one second's worth at most, and debt after a big request.
    allowance: float = 0.0
    filled_at: float | None = None

    def covers(self, provider: Provider, endpoint: Endpoint) -> bool:
        rule = self.rule
        return rule.provider in {None, provider} and rule.endpoint in {None, endpoint}

    def strikes(self) -> bool:
        if self.rule.count is not None and self.hits >= self.rule.count:
            return False
        self.seen += 1
        if self.seen <= self.rule.skip or not self.dice.chance(str(self.seen), self.rule.probability):
            return False
        self.hits += 1
        return True


class Faults:
    """The rules in force: those set on request, and the throttles of the settings, which no DELETE removes."""

    def __init__(self, seed: int, monotonic: Callable[[], float], lasting: Sequence[FaultRule] = ()) -> None:
        self._seed = seed
        self._monotonic = monotonic
        self._lasting = self._arm(lasting)
        self._armed = list(self._lasting)

    def set(self, rules: Sequence[FaultRule]) -> None:
        """Put these rules in the place of those set before."""
        self._armed = [*self._lasting, *self._arm(rules)]

    def clear(self) -> None:
        self.set(())

    def describe(self) -> list[dict[str, object]]:
        """Each rule with how often it has struck."""
        return [
            {**armed.rule.model_dump(mode="json", exclude_defaults=True), "hits": armed.hits} for armed in self._armed
        ]

    def has(self, kinds: frozenset[FaultKind], provider: Provider, endpoint: Endpoint) -> bool:
        """Whether a rule of these kinds could strike here; costs nothing when there are no rules."""
        return any(armed.rule.kind in kinds and armed.covers(provider, endpoint) for armed in self._armed)

    def draw(self, kinds: frozenset[FaultKind], provider: Provider, endpoint: Endpoint) -> FaultRule | None:
        """The first rule of these kinds that strikes this request."""
        for armed in self._armed:
            if armed.rule.kind in kinds and armed.covers(provider, endpoint) and armed.strikes():
                return armed.rule
        return None

    def bad_recipients(self, provider: Provider, endpoint: Endpoint, body: str | bytes) -> list[str]:
        """Address parts that make a recipient of this request invalid."""
        parts = []
        for armed in self._armed:
            if armed.rule.kind is not FaultKind.BAD_RECIPIENT or not armed.covers(provider, endpoint):
                continue
            part = armed.rule.address
            if (part in body if isinstance(body, str) else part.encode() in body) and armed.strikes():
                parts.append(part)
        return parts

    def wait_for(
        self, provider: Provider, endpoint: Endpoint, messages: int, segments: int
    ) -> tuple[float, FaultRule] | None:
        """Real seconds until the rate allows this request, and whose rate it is; none when it is allowed now."""
        throttles = [
            armed for armed in self._armed if armed.rule.kind is FaultKind.THROTTLE and armed.covers(provider, endpoint)
        ]
        if not throttles:
            return None
        now = self._monotonic()
        for armed in throttles:
            rate = armed.rule.per_second
            assert rate is not None  # the rule was validated
            burst = max(rate, 1.0)
            elapsed = 0.0 if armed.filled_at is None else now - armed.filled_at
            armed.allowance = burst if armed.filled_at is None else min(burst, armed.allowance + elapsed * rate)
            armed.filled_at = now
            if armed.allowance < 1.0:
                armed.hits += 1
                return (1.0 - armed.allowance) / rate, armed.rule
        for armed in throttles:
            # One big request may go through whole; the debt keeps the average.
            armed.allowance -= {Unit.REQUESTS: 1, Unit.MESSAGES: messages, Unit.SEGMENTS: segments}[armed.rule.unit]
        return None

    def left(self, provider: Provider, endpoint: Endpoint) -> tuple[float, int, float] | None:
        """After a request that was allowed: the tightest rate, how many it lets through now, and real seconds until the
        next one is; none without a throttle.
        """
        rates = [
            (armed.allowance, armed.rule.per_second)
            for armed in self._armed
            if armed.rule.per_second is not None and armed.covers(provider, endpoint)
        ]
        if not rates:
            return None
        allowance, rate = min(rates)
        return rate, max(0, int(allowance)), max(0.0, (1.0 - allowance) / rate)

    def _arm(self, rules: Sequence[FaultRule]) -> list[_Armed]:
        return [_Armed(rule, Dice.of(self._seed, "fault", str(index), rule.kind)) for index, rule in enumerate(rules)]
