"""Areas by hand, by their properties, and intervals that cover what they should."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, norm

from rekindle.backtest.areas import area, compare

rows = st.lists(st.tuples(st.integers(-20, 20), st.booleans()), min_size=2, max_size=40)


def split(given_rows):
    cold = np.array([each for each, _ in given_rows], dtype=float)
    away = np.array([each for _, each in given_rows])
    assume(away.any() and not away.all())
    return cold, away


@pytest.mark.parametrize(
    ("coldness", "stayed_away", "expected"),
    [
        # everybody who stayed away is colder, or everybody warmer
        ([1, 2, 3, 4], [False, False, True, True], 1.0),
        ([4, 3, 2, 1], [False, False, True, True], 0.0),
        # a tie is half right
        ([1, 1], [False, True], 0.5),
        # of the four pairs 3>1, 3>2 and 2>1 are right and 2=2 is half right
        ([3, 1, 2, 2], [True, False, True, False], 3.5 / 4),
        # never seen is colder than any silence
        ([math.inf, 10, 5], [True, False, True], 0.5),
    ],
)
def test_by_hand(coldness, stayed_away, expected):
    assert area(coldness, stayed_away) == expected


@settings(deadline=None)  # other processes of the machine are not its business
@given(rows)
def test_is_the_share_of_pairs_in_the_right_order(given_rows):
    cold, away = split(given_rows)
    pairs = [(a > b) + (a == b) / 2 for a in cold[away] for b in cold[~away]]
    assert area(cold, away) == pytest.approx(sum(pairs) / len(pairs))
    assert area(cold, away) == pytest.approx(
        mannwhitneyu(cold[away], cold[~away]).statistic / (away.sum() * (~away).sum())
    )


@settings(deadline=None)  # other processes of the machine are not its business
@given(rows)
def test_depends_on_the_order_alone(given_rows):
    cold, away = split(given_rows)
    assert area(np.exp(cold / 7) * 3 - 5, away) == pytest.approx(area(cold, away))


@settings(deadline=None)  # other processes of the machine are not its business
@given(rows)
def test_is_symmetric(given_rows):
    cold, away = split(given_rows)
    assert area(-cold, away) == pytest.approx(1 - area(cold, away))
    assert area(cold, ~away) == pytest.approx(1 - area(cold, away))


@pytest.mark.parametrize("stayed_away", [[True, True], [False, False]])
def test_one_side_alone_has_no_area(stayed_away):
    with pytest.raises(ValueError, match="somebody who came back and somebody who stayed away"):
        area([1, 2], stayed_away)


def test_a_coldness_that_is_no_number_is_refused_rather_than_ranked():
    with pytest.raises(ValueError, match="not a number"):
        area([1, math.nan], [True, False])


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    # two normal curves one apart: the area is Φ(1 / √2)
    truth = norm.cdf(1 / math.sqrt(2))
    chance = np.random.default_rng(11)
    covered = 0
    for number in range(200):
        away = np.arange(120) < 60
        cold = chance.normal(away.astype(float), 1)
        found = compare({"score": cold}, away, resamples=200, seed=number).areas["score"]
        assert found.low <= found.value <= found.high
        covered += found.low <= truth <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_a_difference_is_measured_on_the_same_draws():
    chance = np.random.default_rng(5)
    away = np.arange(400) % 4 > 0
    good = chance.normal(away * 1.5, 1)
    blurred = good + chance.normal(0, 0.8, 400)
    found = compare({"score": good, "recency": blurred, "same": good * 2 + 1}, away, resamples=300)
    difference = found.ahead_of["recency"]
    assert difference.value == pytest.approx(found.areas["score"].value - found.areas["recency"].value)
    assert difference.low > 0 and difference.excludes_zero
    # pairing is what makes it narrow: the two areas alone would not tell them apart
    assert found.areas["recency"].high > found.areas["score"].low
    same = found.ahead_of["same"]
    assert (same.value, same.low, same.high, same.excludes_zero) == (0, 0, 0, False)
    assert (found.n, found.returned) == (400, 100)


def test_a_lead_on_four_dates_is_not_four_leads():
    chance = np.random.default_rng(8)
    away = np.tile(np.arange(150) % 3 > 0, 4)
    cold = np.tile(chance.normal(0, 1, 150), 4) + away
    leads = np.tile([f"lead-{number}" for number in range(150)], 4)

    def width(found):
        return found.areas["score"].high - found.areas["score"].low

    once = width(compare({"score": cold[:150]}, away[:150], resamples=400))
    as_leads = width(compare({"score": cold}, away, leads, resamples=400))
    as_rows = width(compare({"score": cold}, away, resamples=400))
    assert as_leads == pytest.approx(once, rel=0.2)
    assert as_rows < 0.65 * once


def test_the_same_seed_is_the_same_interval():
    away = np.arange(50) % 2 > 0
    cold = np.sin(np.arange(50)) + away
    assert compare({"score": cold}, away, resamples=50) == compare({"score": cold}, away, resamples=50)
    assert compare({"score": cold}, away, resamples=50) != compare({"score": cold}, away, resamples=50, seed=1)
