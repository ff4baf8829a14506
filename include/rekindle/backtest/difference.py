"""Who enters and who leaves the cold side when the rules of the score change. Only copies are ever written to."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from rekindle.backtest.commands import Question, reviewed_seeds
from rekindle.backtest.event_log import load_log, spelled
from rekindle.backtest.models import Models, remembered_parse
from rekindle.backtest.rules import ScoreRules, read_rules
from rekindle.clock import clock_from_environment
from rekindle.errors import BadInputError, ConfigurationError
from rekindle.project import project_root
from rekindle.warehouse.duckdb import DuckDbWarehouse
from rekindle.warehouse.settings import Engine, WarehouseSettings

SAMPLES = 5
_FILE = "warehouse.duckdb"


@dataclass(frozen=True)
class Side:
    """The leads of one segment that change to one side: how many, and some of them."""

    segment: str
    leads: int
    samples: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """What a change of the rules does to the cold side."""

    base: str
    as_of: datetime
    leads: int
    cold_before: int
    cold_after: int
    entering: tuple[Side, ...]
    leaving: tuple[Side, ...]
    mean_shift: float  # of the score, points

    def as_json(self) -> dict[str, Any]:
        """The figures for a program to read."""
        return {
            "base": self.base,
            "as_of": self.as_of.isoformat(),
            "leads": self.leads,
            "cold_before": self.cold_before,
            "cold_after": self.cold_after,
            "enter": sum(side.leads for side in self.entering),
            "leave": sum(side.leads for side in self.leaving),
            "enter_by_segment": {side.segment: side.leads for side in self.entering},
            "leave_by_segment": {side.segment: side.leads for side in self.leaving},
            "enter_samples": {side.segment: list(side.samples) for side in self.entering},
            "leave_samples": {side.segment: list(side.samples) for side in self.leaving},
            "mean_shift": self.mean_shift,
        }


@dataclass(frozen=True)
class _Version:
    """A dbt project and the rules to run it with; None for the seeds of the project itself."""

    models: Models
    rules: ScoreRules | None

    def build(self, warehouse: Path, as_of: datetime) -> None:
        """Score everybody in the file by these rules."""
        if self.rules is not None:
            with DuckDbWarehouse(warehouse).transaction() as transaction:
                self.rules.load(transaction)
        self.models.build("fct_cold_scores", warehouse, as_of, own_rules=self.rules is None)


def compare_rules(
    base: str,
    seeds: Path | None,
    events: Question | None,
    as_of: datetime | None,
    done: Callable[[], None] = lambda: None,
    samples: int = SAMPLES,
) -> Difference:
    """Score by the rules of `base` (a folder of seeds, or a git revision with its models) and by those of the working
    tree, as of the same instant, over copies of the configured warehouse or over a log.

    Raises `ConfigurationError` when there is nothing to compare with, or nothing to compare on.
    """
    project = project_root() / "dbt_project"
    after = read_rules(seeds or reviewed_seeds())
    folder = Path(tempfile.mkdtemp(prefix="rekindle-diff-"))
    try:
        source = folder / "source.duckdb"
        if events is not None:
            log = load_log(events.events, source, events.kinds, project, clock_from_environment())
            environment = log.kinds.environment()
            as_of = as_of or log.last.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            if as_of <= log.first:
                raise BadInputError(
                    f"{events.events}: as of {spelled(as_of)} nothing had happened yet: the log begins on"
                    f" {log.first:%Y-%m-%d}; choose a later date"
                )
        else:
            copy_warehouse(source)
            as_of = as_of or _last_scored(source)
            environment = {name: value for name, value in os.environ.items() if name.startswith("REKINDLE_")}
        now = _Version(Models(project, folder / "target", environment, remembered_parse()), after)
        before = _base_version(base, project, folder, environment, now.models)
        scored_before = _scored(before, source, folder / "before", as_of)
        done()
        scored_after = _scored(now, source, folder / "after", as_of)
        done()
        return _difference(base, as_of, scored_before, scored_after, samples)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _scored(version: _Version, source: Path, folder: Path, as_of: datetime) -> Path:
    folder.mkdir()
    warehouse = folder / _FILE
    shutil.copyfile(source, warehouse)
    version.build(warehouse, as_of)
    return warehouse


def copy_warehouse(target: Path) -> None:
    """Copy the configured warehouse while holding it open, so that nobody writes meanwhile."""
    settings = WarehouseSettings()
    if settings.engine is not Engine.DUCKDB:
        raise ConfigurationError(
            f"REKINDLE_WAREHOUSE_ENGINE={settings.engine}: only a DuckDB file can be copied; give a log with --events"
        )
    if not settings.path.exists():
        raise ConfigurationError(
            f"there is no warehouse at {settings.path}; set REKINDLE_WAREHOUSE_PATH to where it is, or give a log with"
            " --events"
        )
    with DuckDbWarehouse(target).transaction() as transaction:
        quoted = str(settings.path).replace("'", "''")
        transaction.connection.execute(f"attach '{quoted}' as original (read_only)")
        transaction.connection.execute(f"copy from database original to {target.stem}")


def _last_scored(warehouse: Path) -> datetime:
    try:
        with DuckDbWarehouse(warehouse).transaction() as transaction:
            ((found,),) = [tuple(row.values()) for row in transaction.fetch("backtest/fetch_last_scored_as_of")]
    except duckdb.CatalogException:
        found = None
    if found is None:
        raise ConfigurationError("this warehouse was never scored; say as of when with --as-of")
    assert isinstance(found, datetime)
    return found


def _base_version(base: str, project: Path, folder: Path, environment: dict[str, str], now: Models) -> _Version:
    path = Path(base)
    if path.is_dir():
        return _Version(now, read_rules(path, older=True))
    old = folder / "base"
    _extract(base, project, old)
    return _Version(Models(old / project.name, folder / "base_target", environment), None)


def _extract(revision: str, project: Path, folder: Path) -> None:
    """Take the dbt project of a git revision, without touching the working tree."""
    git = shutil.which("git")
    missing = f"--base {revision}: this is neither a folder of seeds nor a git revision of {project.parent}"
    if git is None or revision.startswith("-"):
        raise ConfigurationError(missing)
    archived = subprocess.run(  # noqa: S603 - our own command; the revision is no option
        [git, "-C", str(project.parent), "archive", "--format=tar", revision, "--", project.name],
        capture_output=True,
        check=False,
    )
    if archived.returncode:
        raise ConfigurationError(f"{missing} ({archived.stderr.decode(errors='replace').strip().splitlines()[0]})")
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
        archive.extractall(folder, filter="data")


def _difference(base: str, as_of: datetime, before: Path, after: Path, samples: int) -> Difference:
    with DuckDbWarehouse(before).transaction() as transaction:
        old = transaction.connection.sql(
            "select lead_id, segment, is_cold, cold_score from rekindle_marts.fct_cold_scores"
        ).to_arrow_table()
    with DuckDbWarehouse(after).transaction() as transaction:
        transaction.connection.register("of_before", old)
        transaction.connection.execute("create table rekindle_marts.scores_before as select * from of_before")
        rows = transaction.fetch("backtest/list_changed_sides")
    both = [row for row in rows if row["score_before"] is not None and row["score_after"] is not None]
    shifts = [row["score_after"] - row["score_before"] for row in both]
    return Difference(
        base,
        as_of,
        len(rows),
        sum(row["was_cold"] for row in rows),
        sum(row["is_cold"] for row in rows),
        _sides([row for row in rows if row["is_cold"] and not row["was_cold"]], samples),
        _sides([row for row in rows if row["was_cold"] and not row["is_cold"]], samples),
        sum(shifts) / len(shifts) if shifts else 0.0,
    )


def _sides(rows: Sequence[dict[str, Any]], samples: int) -> tuple[Side, ...]:
    by_segment: dict[str, list[str]] = {}
    for row in rows:
        by_segment.setdefault(row["segment"], []).append(row["lead_id"])
    ordered = sorted(by_segment.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(Side(segment, len(leads), tuple(leads[:samples])) for segment, leads in ordered)
