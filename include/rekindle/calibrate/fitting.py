"""Fits the weights and half-lives of the default preset to who stayed away after past dates.

The chance to stay away is modelled by a logistic regression on how cold each signal is, with coefficients that may not
be negative: no signal may warm what it says is cold. The coefficients, scaled to the points they share, are the
weights. Half-lives are tried one signal at a time over multiples of the reviewed ones, and kept when they make the
outcomes more likely. A signal about which the log says nothing keeps the weight and half-life that were reviewed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize  # type: ignore[import-untyped]  # it ships no types
from scipy.special import expit  # type: ignore[import-untyped]  # it ships no types

from rekindle.backtest.rules import ScoreRules, Shape, Signal, Weight
from rekindle.backtest.scoring import Flags, Floats, ScoreBench, ScoredDay

PRESET = "default"
FACTORS = (1.0, 0.25, 0.5, 2.0, 4.0)  # of the reviewed half-life; 1 first
_ROUNDS = 3  # over the signals; the half-lives seldom change after the second
_WORTH = 1e-5  # of the mean log-likelihood: a half-life that gains less stays what it was
_GAUGE = 100 / len(Signal)  # the weight of every signal while its coldness is measured


@dataclass(frozen=True)
class Fitted:
    """The fitted rows and which signals the log could speak about."""

    weights: tuple[Weight, ...]
    informed: tuple[Signal, ...]


def informed_signals(bench: ScoreBench) -> tuple[Signal, ...]:
    """The signals of which the log has events. E-mail and tickets are not in an event log unless it names them so."""
    kinds = bench.log.kinds
    informed = [Signal.LAST_SEEN, Signal.HABIT, Signal.USAGE_TREND]
    if kinds.log_ins:
        informed.append(Signal.LOG_IN)
    if kinds.key_actions:
        informed.append(Signal.KEY_ACTION)
    if kinds.email_clicks:
        informed.append(Signal.EMAIL_CLICK)
    if kinds.email_opens:
        informed.append(Signal.EMAIL_OPEN)
    return tuple(signal for signal in Signal if signal in informed)


def fit(
    bench: ScoreBench,
    rules: ScoreRules,
    days: Sequence[ScoredDay],
    informed: Sequence[Signal],
    done: Callable[[], None] = lambda: None,
) -> Fitted:
    """Fit the default preset's informed signals to the outcomes of some days; `done` hears of each factor measured."""
    reviewed = rules.of_preset(PRESET)
    colds: dict[float, dict[Signal, Floats]] = {}
    for factor in FACTORS:
        colds[factor] = _coldness(bench, rules, days, factor)
        done()
    away = ~np.concatenate([day.came_back for day in days])
    free = [signal for signal in Signal if signal in informed]
    share = sum(reviewed[signal].weight for signal in free)
    kept: Floats = sum(
        (reviewed[signal].weight * colds[1.0][signal] for signal in Signal if signal not in free), np.zeros(len(away))
    )

    def tried(factors: Mapping[Signal, float]) -> tuple[float, Floats]:
        # the kept points ride along with every coefficient, so that they keep their share of the whole
        columns = np.column_stack([colds[factors[signal]][signal] + kept / share for signal in free])
        return _logistic(columns, away)

    factors = dict.fromkeys(free, 1.0)
    best, coefficients = tried(factors)
    for _ in range(_ROUNDS):
        before = dict(factors)
        for signal in free:
            if reviewed[signal].shape is not Shape.DECAY:
                continue
            for factor in (each for each in FACTORS if each != factors[signal]):
                likelihood, found = tried({**factors, signal: factor})
                if likelihood > best + _WORTH:
                    best, coefficients = likelihood, found
                    factors[signal] = factor
        if factors == before:
            break
    points = _whole_points(coefficients, share) if coefficients.sum() > 0 else None
    return Fitted(
        tuple(
            replace(
                row,
                score_version=row.score_version + 1,
                weight=float(points[free.index(signal)]) if points is not None and signal in free else row.weight,
                days=max(1.0, float(round(row.days * factors[signal]))) if signal in factors else row.days,
            )
            for signal, row in reviewed.items()
        ),
        tuple(free),
    )


def _coldness(bench: ScoreBench, rules: ScoreRules, days: Sequence[ScoredDay], factor: float) -> dict[Signal, Floats]:
    """How cold each signal is, 0 to 1, with all half-lives multiplied: the models' own points under equal weights."""
    gauged = rules.with_preset(
        [
            replace(row, weight=_GAUGE, days=max(1.0, float(round(row.days * factor))))
            for row in rules.of_preset(PRESET).values()
        ],
        rules.threshold(PRESET),
    )
    points = [bench.rescore(day, gauged)[1] for day in days]
    return {signal: np.concatenate([each[signal] for each in points]) / _GAUGE for signal in Signal}


def _logistic(columns: Floats, away: Flags) -> tuple[float, Floats]:
    """The mean log-likelihood at its maximum over coefficients of at least zero, and those coefficients."""
    outcome = away.astype(np.float64)
    rows = len(outcome)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        scores = parameters[0] + columns @ parameters[1:]
        wrong: Floats = expit(scores) - outcome
        gradient: Floats = np.concatenate([[wrong.sum()], columns.T @ wrong]) / rows
        return float(np.logaddexp(0.0, scores).mean() - (outcome @ scores) / rows), gradient

    width = columns.shape[1]
    found = minimize(
        loss,
        np.concatenate([[0.0], np.full(width, 1.0)]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None), *[(0.0, None)] * width],
    )
    coefficients: Floats = np.asarray(found.x[1:], dtype=np.float64)
    return -float(found.fun), coefficients


def _whole_points(coefficients: Floats, share: float) -> Floats:
    """Scale to a sum of `share` in whole points, the largest remainders rounded up."""
    exact = coefficients / coefficients.sum() * share
    points: Floats = np.floor(exact)
    missing = share - points.sum()
    for position in np.argsort(points - exact, kind="stable")[: math.floor(missing)]:
        points[position] += 1
    points[int(np.argmax(points))] += missing - math.floor(missing)
    return points
