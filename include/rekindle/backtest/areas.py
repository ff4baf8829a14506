"""Areas under ROC curves, with intervals.

The area is the chance that of two leads, one who stayed away and one who came back, the former is ranked colder; a tie
counts half (Hanley & McNeil, "The meaning and use of the area under a ROC curve", Radiology 143, 1982).

The intervals are percentiles of a bootstrap that draws leads, not rows: a lead judged on several dates is drawn with
all of them. Rankings are compared on the same draws, so their difference has an interval of its own. Draws are
stratified by whether the lead ever came back (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8
and 13).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RESAMPLES = 500
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"

    def signed(self) -> str:
        """As a difference is written."""
        return f"{self.value:+.4f} ({self.low:+.4f} to {self.high:+.4f})"


@dataclass(frozen=True)
class Areas:
    """The area of each ranking, and by how much the first is ahead of each other one."""

    n: int
    returned: int
    areas: Mapping[str, Estimate]
    ahead_of: Mapping[str, Estimate] = field(default_factory=dict)


class _Curve:
    """A ranking prepared for being measured under many weights."""

    def __init__(self, coldness: Floats, stayed_away: NDArray[np.bool_], lead_of_row: NDArray[np.intp]) -> None:
        away, back = np.flatnonzero(stayed_away), np.flatnonzero(~stayed_away)
        order = np.argsort(coldness[away], kind="stable")
        ordered = coldness[away][order]
        self._away, self._back = lead_of_row[away][order], lead_of_row[back]
        # who stayed away and is less cold than each who came back, and as cold at most
        self._below = np.searchsorted(ordered, coldness[back], "left")
        self._up_to = np.searchsorted(ordered, coldness[back], "right")

    def area(self, weight_of_lead: Floats) -> float:
        away = np.concatenate([[0.0], np.cumsum(weight_of_lead[self._away])])
        back = weight_of_lead[self._back]
        colder = away[-1] - (away[self._below] + away[self._up_to]) / 2
        return float(back @ colder / (back.sum() * away[-1]))


def area(coldness: Sequence[float] | Floats, stayed_away: Sequence[bool] | NDArray[np.bool_]) -> float:
    """The area under the ROC curve of one ranking, coldest highest. Raises `ValueError` when a side is empty."""
    away = np.asarray(stayed_away, dtype=bool)
    if away.all() or not away.any():
        raise ValueError("an area needs somebody who came back and somebody who stayed away")
    cold = np.asarray(coldness, dtype=np.float64)
    if np.isnan(cold).any():
        raise ValueError("a coldness is not a number")
    return _Curve(cold, away, np.arange(len(cold))).area(np.ones(len(cold)))


def compare(
    rankings: Mapping[str, Floats],
    stayed_away: NDArray[np.bool_],
    leads: NDArray[Any] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Areas:
    """The areas of some rankings of the same rows with their intervals, and the first's lead over the others.

    `leads` says whose row each is; without it each row is a lead. The same seed gives the same intervals.
    """
    away = np.asarray(stayed_away, dtype=bool)
    points = {name: area(coldness, away) for name, coldness in rankings.items()}
    lead_of_row = np.arange(len(away)) if leads is None else np.unique(leads, return_inverse=True)[1]
    curves = [_Curve(np.asarray(coldness, dtype=np.float64), away, lead_of_row) for coldness in rankings.values()]
    ever_back = np.zeros(int(lead_of_row.max()) + 1, dtype=bool)
    np.logical_or.at(ever_back, lead_of_row, ~away)
    strata = [np.flatnonzero(ever_back), np.flatnonzero(~ever_back)]
    chance = np.random.default_rng(seed)
    drawn = np.empty((resamples, len(curves)))
    for row in range(resamples):
        times = np.zeros(len(ever_back))
        for stratum in strata:
            if len(stratum):
                picks = chance.integers(0, len(stratum), len(stratum))
                times[stratum] = np.bincount(picks, minlength=len(stratum))
        drawn[row] = [curve.area(times) for curve in curves]
    first, *others = rankings
    return Areas(
        n=len(away),
        returned=int((~away).sum()),
        areas={name: _estimate(points[name], drawn[:, column]) for column, name in enumerate(rankings)},
        ahead_of={
            name: _estimate(points[first] - points[name], drawn[:, 0] - drawn[:, column])
            for column, name in enumerate(others, start=1)
        },
    )


def _estimate(value: float, drawn: Floats) -> Estimate:
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))
