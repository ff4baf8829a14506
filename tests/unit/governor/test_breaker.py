from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rekindle.governor.breaker import (
    BreakerLimits,
    BreakerState,
    Cause,
    Phase,
    Receipts,
    admit,
    answered,
    closed,
    judge_since,
    judged,
    spend_probe,
    stopped,
)
from rekindle.vocabulary import ErrorClass

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OURS = ErrorClass.CONFIGURATION
COOL = timedelta(minutes=30)


def answer(state: BreakerState, *classes: ErrorClass | None, at: datetime = AT, **limits: int) -> BreakerState:
    for error_class in classes:
        state = answered(state, BreakerLimits(**limits), error_class, "401", at)
    return state


def opened(**limits: int) -> BreakerState:
    return answer(BreakerState(), OURS, configuration_errors=1, **limits)


def half_open(state: BreakerState, at: datetime = AT + COOL) -> BreakerState:
    state, _ = admit(state, BreakerLimits(), at)
    assert state.phase is Phase.HALF_OPEN
    return state


def test_it_opens_at_the_limit_says_why_and_until_when():
    almost = answer(BreakerState(), OURS, OURS, configuration_errors=3)
    assert almost.phase is Phase.CLOSED
    state = answer(almost, OURS, configuration_errors=3)
    assert (state.phase, state.cause, state.opened_at, state.until) == (
        Phase.OPEN,
        Cause.CONFIGURATION,
        AT,
        AT + COOL,
    )
    assert state.reason == "3 configuration errors in a row, the last was 401"
    assert admit(state, BreakerLimits(), AT + COOL - timedelta(seconds=1)) == (state, 0)


@pytest.mark.parametrize("works", [None, ErrorClass.PERMANENT])
def test_a_sign_that_the_account_works_starts_the_count_again(works):
    assert answer(BreakerState(), OURS, works, OURS, configuration_errors=2).phase is Phase.CLOSED


@pytest.mark.parametrize("says_nothing", [ErrorClass.TRANSIENT, ErrorClass.AMBIGUOUS])
def test_trouble_on_the_way_neither_counts_nor_clears(says_nothing):
    state = answer(BreakerState(), OURS, says_nothing, configuration_errors=2)
    assert state.consecutive == 1
    assert answer(state, OURS, configuration_errors=2).phase is Phase.OPEN


@pytest.mark.parametrize("late", [None, *ErrorClass])
def test_what_was_on_its_way_changes_nothing_while_it_is_open(late):
    assert answer(opened(), late) == opened()


def test_after_the_cool_down_one_small_probe_may_leave_and_no_more():
    state, units = admit(opened(), BreakerLimits(probe_units=10), AT + COOL)
    assert (state.phase, units) == (Phase.HALF_OPEN, 10)
    state = spend_probe(state, 7)
    assert admit(state, BreakerLimits(), AT + COOL) == (state, 3)
    state = spend_probe(state, 5)  # a message is sent whole
    assert admit(state, BreakerLimits(), AT + COOL) == (state, 0)
    # a probe nobody ever heard of is tried again
    assert admit(state, BreakerLimits(probe_units=10), AT + 2 * COOL)[1] == 10


def test_an_accepted_probe_closes_what_configuration_opened():
    assert answer(half_open(opened()), None, at=AT + COOL) == BreakerState(judge_from=AT + COOL)


def test_a_refused_probe_opens_it_again_with_the_cool_down_doubled_up_to_a_day():
    state, at, waits = opened(), AT, []
    for _ in range(8):
        assert state.until is not None
        waits.append(state.until - at)
        at = state.until
        state = answer(half_open(state, at), OURS, at=at)
        assert state.phase is Phase.OPEN
    assert waits[:6] == [COOL * 2**number for number in range(6)]
    assert waits[6:] == [timedelta(days=1)] * 2
    assert state.reopened == 8
    assert answer(half_open(state, at + timedelta(days=1)), None).reopened == 0  # healed: it starts from the beginning


@pytest.mark.parametrize(
    ("receipts", "cause"),
    [
        (Receipts(judged=1000, bounced=200), Cause.BOUNCES),
        (Receipts(judged=1000, filtered=200), Cause.CARRIER_FILTERING),
        (Receipts(judged=1000, complained=20), Cause.COMPLAINTS),
        (Receipts(judged=1000, bounced=40, filtered=4, complained=2), None),  # an ordinary day
        (Receipts(judged=499, bounced=499), None),  # too few to prove anything
        (Receipts(judged=500, bounced=500), Cause.BOUNCES),
        (Receipts(judged=1000, complained=4), None),  # over 0.3 %, and may well be chance
        (Receipts(judged=10_000, complained=45), Cause.COMPLAINTS),  # over 0.3 %, and no chance
        (Receipts(judged=1000, bounced=100), None),  # exactly at the limit
        (Receipts(), None),
    ],
)
def test_rates_of_receipts_open_it(receipts, cause):
    state = judged(BreakerState(), BreakerLimits(), receipts, AT)
    assert (state.cause, state.is_open) == (cause, cause is not None)


def test_the_reason_has_the_figures():
    state = judged(BreakerState(), BreakerLimits(), Receipts(judged=1000, bounced=200), AT)
    assert state.reason == "bounces: 200 of 1000 messages (20.00%, limit 10.00%)"


def test_only_receipts_close_what_receipts_opened():
    state = judged(BreakerState(), BreakerLimits(), Receipts(judged=1000, bounced=200), AT)
    state = answer(half_open(state), None, None, at=AT + COOL)
    assert state.phase is Phase.HALF_OPEN  # accepted, as all those that bounced had been
    few = judged(state, BreakerLimits(), Receipts(judged=19), AT + COOL)
    assert few.phase is Phase.HALF_OPEN
    assert judged(state, BreakerLimits(), Receipts(judged=20, bounced=2), AT + COOL).phase is Phase.CLOSED
    again = judged(
        state, BreakerLimits(), Receipts(judged=20, bounced=3), AT + COOL
    )  # a probe gets no benefit of doubt
    assert (again.phase, again.reopened, again.cool_down_seconds) == (Phase.OPEN, 1, 3600)


def test_receipts_do_not_close_what_configuration_opened():
    assert judged(half_open(opened()), BreakerLimits(), Receipts(judged=500), AT + COOL).phase is Phase.HALF_OPEN


def test_what_opened_it_once_is_not_judged_again():
    limits = BreakerLimits()
    assert judge_since(BreakerState(), limits, AT) == AT - timedelta(days=1)
    state = judged(BreakerState(), limits, Receipts(judged=1000, bounced=200), AT)
    probing = half_open(state)
    assert judge_since(probing, limits, AT + 2 * COOL) == AT + COOL  # from the probe on
    assert judge_since(admit(probing, limits, AT + 3 * COOL)[0], limits, AT + 3 * COOL) == AT + COOL
    assert judge_since(closed(AT + 4 * COOL), limits, AT + 5 * COOL) == AT + 4 * COOL
    assert judge_since(closed(AT), limits, AT + timedelta(days=9)) == AT + timedelta(days=8)


@pytest.mark.parametrize(
    "wrong",
    [
        {"configuration_errors": 0},
        {"minimum_sample": 0},
        {"probe_units": 0},
        {"complaints": 0.0},
        {"bounces": 1.1},
        {"cool_down": timedelta(0)},
        {"cool_down": timedelta(days=2)},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="a breaker's"):
        BreakerLimits(**wrong)


@given(answers=st.lists(st.sampled_from([None, *ErrorClass]), max_size=60), limit=st.integers(1, 6))
def test_open_means_exactly_that_many_in_a_row_were_seen(answers, limit):
    state, run, expected = BreakerState(), 0, False
    for error_class in answers:
        state = answer(state, error_class, configuration_errors=limit)
        run = run + 1 if error_class is OURS else (0 if error_class in (None, ErrorClass.PERMANENT) else run)
        expected = expected or run >= limit
        assert state.is_open is expected


class AnyLife(RuleBasedStateMachine):
    """Whatever comes, in whatever order: what must always be true of a breaker."""

    @initialize(limit=st.integers(1, 3), probe=st.integers(1, 5))
    def begin(self, limit: int, probe: int) -> None:
        self.limits = BreakerLimits(
            configuration_errors=limit, minimum_sample=10, minimum_probe_sample=2, probe_units=probe
        )
        self.state, self.at = BreakerState(), AT
        self.probes_since_open = 0

    @rule(minutes=st.integers(0, 600))
    def time_passes(self, minutes: int) -> None:
        self.at += timedelta(minutes=minutes)

    @rule(units=st.integers(1, 3))
    def somebody_wants_to_send(self, units: int) -> None:
        before = self.state
        state, may = admit(before, self.limits, self.at)
        if before.phase is Phase.OPEN and before.until is not None and before.cause is not Cause.BY_HAND:
            assert (may == 0) == (self.at < before.until)
        if may is None:
            assert before.phase is Phase.CLOSED
            assert state == before
        elif may > 0:
            assert may <= self.limits.probe_units
            self.state = spend_probe(state, units)
            assert self.state.probe_units_left < may

    @rule(error_class=st.sampled_from([None, *ErrorClass]))
    def an_answer_comes(self, error_class: ErrorClass | None) -> None:
        before = self.state
        self.state = answered(before, self.limits, error_class, "401", self.at)
        self.check_move(before, self.state)
        if error_class is not OURS:
            assert not self.state.is_open or before.is_open  # only our own fault opens it by an answer

    @rule(sample=st.integers(0, 40), share=st.floats(0, 1))
    def receipts_are_counted(self, sample: int, share: float) -> None:
        before = self.state
        self.state = judged(before, self.limits, Receipts(judged=sample, bounced=int(sample * share)), self.at)
        self.check_move(before, self.state)

    @rule()
    def a_person_stops_it(self) -> None:
        self.state = stopped(self.limits, "by a person", self.at)
        assert admit(self.state, self.limits, self.at + timedelta(days=999))[1] == 0

    @rule()
    def a_person_closes_it(self) -> None:
        self.state = closed(self.at)
        assert admit(self.state, self.limits, self.at)[1] is None

    def check_move(self, before: BreakerState, after: BreakerState) -> None:
        if before.phase is Phase.OPEN:
            assert after == before
        if before.phase is Phase.HALF_OPEN and after.phase is Phase.OPEN:
            doubled = min(before.cool_down_seconds * 2, self.limits.longest_cool_down.total_seconds())
            assert (after.cool_down_seconds, after.reopened) == (doubled, before.reopened + 1)
        if before.phase is Phase.CLOSED and after.phase is Phase.OPEN:
            assert (after.cool_down_seconds, after.reopened) == (self.limits.cool_down.total_seconds(), 0)
        assert not (before.phase is Phase.CLOSED and after.phase is Phase.HALF_OPEN)

    @invariant()
    def what_is_open_says_why_and_until_when(self) -> None:
        state = getattr(self, "state", BreakerState())
        if state.phase is Phase.CLOSED:
            assert (state.cause, state.until, state.reopened) == (None, None, 0)
            assert state.consecutive < getattr(self, "limits", BreakerLimits()).configuration_errors
        else:
            assert state.cause is not None
            assert state.reason
            assert state.until is not None
            assert state.opened_at is not None
            assert state.until > state.opened_at
        assert BreakerState.model_validate_json(state.model_dump_json()) == state


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
