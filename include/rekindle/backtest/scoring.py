"""Scores the leads of a log as of past dates, and tells who came back afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rekindle.backtest.event_log import EventLog, WishedKinds, check_instants, load_log, spelled
from rekindle.backtest.models import Models, remembered_parse
from rekindle.backtest.rules import ScoreRules, Signal
from rekindle.clock import Clock
from rekindle.errors import BadInputError
from rekindle.project import project_root
from rekindle.warehouse.dialect import DUCKDB
from rekindle.warehouse.duckdb import DuckDbTransaction, DuckDbWarehouse
from rekindle.warehouse.statements import statement

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: The models write the names of relations with the database's, which DuckDB takes from the name of the file.
_WAREHOUSE = "warehouse.duckdb"


@dataclass(frozen=True)
class ScoredDay:
    """Everybody known as of an instant, one position each."""

    as_of: datetime
    lead_ids: NDArray[np.object_]
    score: Floats
    silence: Floats  # days since last seen; infinite if never
    events: Floats  # how often seen before
    came_back: Flags

    @property
    def name(self) -> str:
        return spelled(self.as_of)

    def rankings(self) -> dict[str, Floats]:
        """What is compared, each with the coldest highest."""
        return {"score": self.score, "recency": self.silence, "frequency": -self.events}


class ScoreBench:
    """A log under the models, in a temporary folder that vanishes on exit."""

    def __init__(
        self, events: Path, rules: ScoreRules, wished: WishedKinds, clock: Clock, project: Path | None = None
    ) -> None:
        self.rules = rules
        self._project = project or project_root() / "dbt_project"
        self._folder = Path(tempfile.mkdtemp(prefix="rekindle-backtest-"))
        self._compiled: dict[datetime, str] = {}
        try:
            self.log: EventLog = load_log(events, self._folder / "log.duckdb", wished, self._project, clock)
            with DuckDbWarehouse(self.log.warehouse).transaction() as transaction:
                rules.load(transaction)
        except BaseException:
            self.close()
            raise
        self._models = Models(self._project, self._folder / "target", self.log.kinds.environment(), remembered_parse())

    def score(
        self,
        instants: Sequence[datetime],
        horizon_days: int,
        *,
        any_activity: bool = False,
        done: Callable[[datetime], None] = lambda _: None,
    ) -> list[ScoredDay]:
        """Run the models as of each instant; `done` hears of each.

        Raises `BadInputError` when an instant has no past or no whole horizon in the log, or nobody or everybody came
        back: then there is nothing to rank.
        """
        check_instants(self.log, instants, horizon_days)
        days = []
        for instant in instants:
            days.append(self._score_one(instant, timedelta(days=horizon_days), any_activity))
            done(instant)
        return days

    def rescore(self, day: ScoredDay, rules: ScoreRules) -> tuple[Floats, dict[Signal, Floats]]:
        """The score and the points of each signal that other rules give the leads of a day, in the day's order.

        The compiled SQL of the day is executed again over the other seeds.
        """
        with DuckDbWarehouse(self._file(day.as_of)).transaction() as transaction:
            rules.load(transaction)
            points = ", ".join(f"{signal}_points" for signal in Signal)
            transaction.connection.execute(
                f"select cold_score, {points} from ({self._compiled[day.as_of]}) order by lead_id"  # noqa: S608 - our own models
            )
            columns = transaction.connection.fetchnumpy()
        return _floats(columns["cold_score"]), {signal: _floats(columns[f"{signal}_points"]) for signal in Signal}

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> ScoreBench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _file(self, as_of: datetime) -> Path:
        return self._folder / f"{as_of:%Y%m%dT%H%M%S}" / _WAREHOUSE

    def _score_one(self, as_of: datetime, horizon: timedelta, any_activity: bool) -> ScoredDay:
        file = self._file(as_of)
        file.parent.mkdir()
        shutil.copyfile(self.log.warehouse, file)
        self._models.build("int_leads_scored", file, as_of)
        self._compiled[as_of] = self._models.compiled("int_leads_scored")
        with DuckDbWarehouse(file).transaction() as transaction:
            columns = _fetch_columns(transaction, as_of, as_of + horizon, any_activity)
        day = ScoredDay(
            as_of,
            np.asarray(columns["lead_id"], dtype=object),
            _floats(columns["cold_score"]),
            _floats(columns["days_silent"], missing=np.inf),
            _floats(columns["event_count"]),
            np.asarray(columns["came_back"], dtype=bool),
        )
        self._refuse_one_sided(day, horizon.days, any_activity)
        return day

    def _refuse_one_sided(self, day: ScoredDay, horizon_days: int, any_activity: bool) -> None:
        told = f"{self.log.path}: of the {len(day.came_back):,} leads known as of {day.name}"
        if not day.came_back.any():
            kinds = self.log.kinds
            proofs = "anything" if any_activity else ", ".join((*kinds.log_ins, *kinds.key_actions)) or "nothing at all"
            raise BadInputError(
                f"{told} nobody came back within {horizon_days} days (what proves it: {proofs}). Choose another date, a"
                " longer --horizon-days, or say with --key-action or --log-in which event types prove it."
            )
        if day.came_back.all():
            raise BadInputError(
                f"{told} everybody came back within {horizon_days} days, so there is nothing to rank. Choose another"
                " date or a shorter --horizon-days."
            )


def _fetch_columns(
    transaction: DuckDbTransaction, as_of: datetime, until: datetime, any_activity: bool
) -> dict[str, Any]:
    transaction.connection.execute(
        statement(DUCKDB, "backtest/list_scored_leads"),
        {
            "as_of": as_of.replace(tzinfo=None),
            "until": until.replace(tzinfo=None),
            "any_activity": any_activity,
        },
    )
    return transaction.connection.fetchnumpy()


def _floats(column: Any, missing: float = np.nan) -> Floats:
    filled = np.ma.filled(np.ma.asarray(column, dtype=np.float64), missing)
    return np.where(np.isnan(filled), missing, filled)
