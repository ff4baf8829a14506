"""The back-test: the cold score against recency and frequency, per date and over all dates together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rekindle.backtest.areas import Areas, Estimate, compare
from rekindle.backtest.event_log import EventLog
from rekindle.backtest.scoring import ScoredDay

BANDS = 10  # of the calibration table, ten points of the score each


@dataclass(frozen=True)
class Band:
    """The leads of one range of scores: how many, and the share that stayed away, with its Wilson interval."""

    low: float
    high: float
    leads: int
    stayed_away: Estimate


@dataclass(frozen=True)
class BackTest:
    """What a back-test found."""

    log: EventLog
    horizon_days: int
    preset_versions: str
    by_date: tuple[tuple[str, Areas], ...]
    pooled: Areas
    bands: tuple[Band, ...]

    def as_json(self) -> dict[str, Any]:
        """The figures for a program to read."""
        return {
            "log": str(self.log.path),
            "log_from": self.log.first.isoformat(),
            "log_to": self.log.last.isoformat(),
            "rows_kept": self.log.counts.rows_kept,
            "rows_rejected": self.log.counts.rows_rejected,
            "horizon_days": self.horizon_days,
            "rules": self.preset_versions,
            "key_actions": list(self.log.kinds.key_actions),
            "log_ins": list(self.log.kinds.log_ins),
            "passive": list(self.log.kinds.passive),
            "dates": [{"as_of": name, **areas_as_json(areas)} for name, areas in self.by_date],
            "pooled": areas_as_json(self.pooled),
            "calibration": [
                {
                    "score_from": band.low,
                    "score_to": band.high,
                    "n": band.leads,
                    "stayed_away": band.stayed_away.value,
                    "interval": [band.stayed_away.low, band.stayed_away.high],
                }
                for band in self.bands
            ],
        }


def areas_as_json(areas: Areas) -> dict[str, Any]:
    """The areas, their intervals and the differences, by name."""
    return {
        "n": areas.n,
        "returned": areas.returned,
        "auc": {name: one.value for name, one in areas.areas.items()},
        "interval": {name: [one.low, one.high] for name, one in areas.areas.items()},
        "ahead_of": {
            name: {"value": one.value, "interval": [one.low, one.high]} for name, one in areas.ahead_of.items()
        },
    }


def judge(log: EventLog, horizon_days: int, preset_versions: str, days: Sequence[ScoredDay]) -> BackTest:
    """Compare the rankings of scored days."""
    return BackTest(
        log,
        horizon_days,
        preset_versions,
        tuple((day.name, compare(day.rankings(), ~day.came_back)) for day in days),
        pool(days),
        calibration(days),
    )


def pool(days: Sequence[ScoredDay]) -> Areas:
    """The areas over the leads of all days together; intervals know that a lead is in several days."""
    names = days[0].rankings()
    return compare(
        {name: np.concatenate([day.rankings()[name] for day in days]) for name in names},
        ~np.concatenate([day.came_back for day in days]),
        np.concatenate([day.lead_ids for day in days]),
    )


def calibration(days: Sequence[ScoredDay]) -> tuple[Band, ...]:
    """Of the leads in each ten points of the score, the share that stayed away; empty ranges are left out."""
    from statsmodels.stats.proportion import proportion_confint

    score = np.concatenate([day.score for day in days])
    away = ~np.concatenate([day.came_back for day in days])
    place = np.clip((score / 100 * BANDS).astype(int), 0, BANDS - 1)
    bands = []
    for number in range(BANDS):
        inside = place == number
        leads = int(inside.sum())
        if leads:
            stayed = int(away[inside].sum())
            low, high = proportion_confint(stayed, leads, method="wilson")
            share = Estimate(stayed / leads, float(low), float(high))
            bands.append(Band(number * 100 / BANDS, (number + 1) * 100 / BANDS, leads, share))
    return tuple(bands)
