"""The rules of the score: the three reviewed seeds, checked before anything is computed with them."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import pyarrow as pa

from rekindle.errors import ConfigurationError
from rekindle.warehouse.ports import Transaction

WEIGHTS_FILE = "score_weights.csv"
THRESHOLDS_FILE = "score_thresholds.csv"
PLAN_PRESETS_FILE = "score_plan_presets.csv"
_HEADERS = {
    WEIGHTS_FILE: ("score_version", "preset", "signal", "shape", "weight", "days", "reason"),
    THRESHOLDS_FILE: ("score_version", "preset", "enter_score", "leave_score", "late_window_days", "reason"),
    PLAN_PRESETS_FILE: ("plan", "preset"),
}


class Signal(StrEnum):
    """What the score is made of; the macro `score_signals` of the dbt project has the same list."""

    LAST_SEEN = "last_seen"  # silence in the product
    LOG_IN = "log_in"  # silence since the last log-in
    EMAIL_CLICK = "email_click"  # silence since the last click in an e-mail
    EMAIL_OPEN = "email_open"  # silence since the last e-mail opened
    KEY_ACTION = "key_action"  # silence since the last key action, or none ever
    HABIT = "habit"  # silence that is long even for one who came often
    SUPPORT = "support"  # left right after a bad ticket
    PAYMENT_FAILURE = "payment_failure"  # left right after a payment failed
    USAGE_TREND = "usage_trend"  # came less often before falling silent
    PLAN = "plan"  # has no paid plan


class Shape(StrEnum):
    DECAY = "decay"  # half cold after `days`
    STEP = "step"  # cold once over `days`
    NEVER = "never"  # cold while it never happened
    SHARE = "share"  # as cold as a share that silence does not change; `days` says nothing


#: Signals that are a share of something and know no age; the others do.
SHARES = frozenset({Signal.USAGE_TREND, Signal.PLAN})


@dataclass(frozen=True)
class Weight:
    """A row of score_weights.csv."""

    score_version: int
    preset: str
    signal: Signal
    shape: Shape
    weight: float  # points at full coldness
    days: float  # half-life or limit
    reason: str


@dataclass(frozen=True)
class Threshold:
    """A row of score_thresholds.csv."""

    score_version: int
    preset: str
    enter_score: float
    leave_score: float
    late_window_days: int
    reason: str


@dataclass(frozen=True)
class PlanPreset:
    """A row of score_plan_presets.csv."""

    plan: str
    preset: str


@dataclass(frozen=True)
class ScoreRules:
    """The three seeds."""

    weights: tuple[Weight, ...]
    thresholds: tuple[Threshold, ...]
    plan_presets: tuple[PlanPreset, ...] = ()

    def of_preset(self, preset: str) -> dict[Signal, Weight]:
        """The rows of one preset, by signal."""
        return {row.signal: row for row in self.weights if row.preset == preset}

    def threshold(self, preset: str) -> Threshold:
        return next(row for row in self.thresholds if row.preset == preset)

    def with_preset(self, weights: Iterable[Weight], threshold: Threshold) -> ScoreRules:
        """The same rules with the rows of one preset replaced, each where it was."""
        new = {row.signal: row for row in weights}
        return replace(
            self,
            weights=tuple(new[row.signal] if row.preset == threshold.preset else row for row in self.weights),
            thresholds=tuple(threshold if row.preset == threshold.preset else row for row in self.thresholds),
        )

    def write(self, folder: Path) -> None:
        """Write the three files, as the reviewed ones are written."""
        for name, rows in (
            (WEIGHTS_FILE, self.weights),
            (THRESHOLDS_FILE, self.thresholds),
            (PLAN_PRESETS_FILE, self.plan_presets),
        ):
            with (folder / name).open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(_HEADERS[name])
                writer.writerows([_spelled(getattr(row, column)) for column in _HEADERS[name]] for row in rows)

    def load(self, transaction: Transaction) -> None:
        """Put the rules where the models read them, in place of what is there."""
        transaction.execute("backtest/create_seed_schema")
        for statement, rows in (
            ("backtest/create_score_weights", self.weights),
            ("backtest/create_score_thresholds", self.thresholds),
            ("backtest/create_score_plan_presets", self.plan_presets),
        ):
            transaction.execute(statement)
            table = statement.removeprefix("backtest/create_")
            columns = _HEADERS[f"{table}.csv"]
            if rows:
                arrow = pa.table({column: [_plain(getattr(row, column)) for row in rows] for column in columns})
                transaction.insert_table(f"rekindle_seeds.{table}", arrow)


def read_rules(folder: Path, *, older: bool = False) -> ScoreRules:
    """Read and check the seeds of a folder; raises `ConfigurationError` naming the file and the row.

    `older`: a signal that did not exist yet when the folder was written counts nothing, instead of being an error.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"there is no folder {folder}; name the folder that holds {WEIGHTS_FILE}")
    weights = [_weight(row) for row in _rows(folder / WEIGHTS_FILE)]
    thresholds = [_threshold(row) for row in _rows(folder / THRESHOLDS_FILE)]
    plan_presets = (
        [PlanPreset(row.text("plan"), row.text("preset")) for row in _rows(folder / PLAN_PRESETS_FILE)]
        if (folder / PLAN_PRESETS_FILE).exists()
        else []
    )
    if older:
        weights += [
            Weight(
                first.score_version,
                first.preset,
                signal,
                Shape.SHARE if signal in SHARES else Shape.DECAY,
                0.0,
                first.days,
                "did not exist yet",
            )
            for first in {row.preset: row for row in reversed(weights)}.values()
            for signal in Signal
            if signal not in {row.signal for row in weights if row.preset == first.preset}
        ]
    rules = ScoreRules(tuple(weights), tuple(thresholds), tuple(plan_presets))
    _check_whole(folder, rules)
    return rules


@dataclass(frozen=True)
class _Row:
    """A line of a seed; complaints name it."""

    path: Path
    number: int
    cells: dict[str, str]

    def refuse(self, told: str) -> ConfigurationError:
        return ConfigurationError(f"{self.path}:{self.number}: {told}")

    def text(self, column: str) -> str:
        if not self.cells[column].strip():
            raise self.refuse(f"{column} is blank; fill it in")
        return self.cells[column].strip()

    def number_of(self, column: str, low: float, high: float) -> float:
        text = self.text(column)
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise self.refuse(f"{column} is {text}; give a number from {low:g} to {high:g}")
        return number

    def whole_number(self, column: str, low: int, high: int) -> int:
        number = self.number_of(column, low, high)
        if number != int(number):
            raise self.refuse(f"{column} is {number:g}; give a whole number")
        return int(number)

    def word(self, column: str, known: type[StrEnum]) -> str:
        text = self.text(column)
        if text not in set(known):
            raise self.refuse(f"{column} `{text}` is not known; it is one of {', '.join(known)}")
        return text


def _rows(path: Path) -> list[_Row]:
    header = _HEADERS[path.name]
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            written = tuple(cell.strip() for cell in next(reader, []))
            if written != header:
                raise ConfigurationError(
                    f"{path}:1: the header is {','.join(written) or '(blank)'}; it must be {','.join(header)}"
                )
            rows = []
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise ConfigurationError(
                        f"{path}:{reader.line_num}: {len(cells)} cells where the header has {len(header)};"
                        " put a reason that holds a comma into quotes"
                    )
                rows.append(_Row(path, reader.line_num, dict(zip(header, cells, strict=True))))
            return rows
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: can not be read ({error}); give the seed as a UTF-8 CSV file") from error


def _weight(row: _Row) -> Weight:
    signal, shape = Signal(row.word("signal", Signal)), Shape(row.word("shape", Shape))
    if (shape is Shape.SHARE) != (signal in SHARES):
        raise row.refuse(
            f"shape {shape} does not fit signal {signal}; {', '.join(sorted(SHARES))} are of shape share, no other is"
        )
    return Weight(
        row.whole_number("score_version", 1, 10**9),
        row.text("preset"),
        signal,
        shape,
        row.number_of("weight", 0, 100),
        row.number_of("days", 0.01, 36_500),
        row.cells["reason"],
    )


def _threshold(row: _Row) -> Threshold:
    enter, leave = row.number_of("enter_score", 0, 100), row.number_of("leave_score", 0, 100)
    if leave > enter:
        raise row.refuse(
            f"leave_score {leave:g} is over enter_score {enter:g}: a lead would leave the cold side as it enters;"
            " leave_score must not be over enter_score"
        )
    return Threshold(
        row.whole_number("score_version", 1, 10**9),
        row.text("preset"),
        enter,
        leave,
        row.whole_number("late_window_days", 1, 31),
        row.cells["reason"],
    )


def _check_whole(folder: Path, rules: ScoreRules) -> None:
    """What only the rows together can have wrong."""
    weights, thresholds = folder / WEIGHTS_FILE, folder / THRESHOLDS_FILE
    presets = list(dict.fromkeys(row.preset for row in rules.weights))
    judged = [row.preset for row in rules.thresholds]
    for preset in presets:
        rows = [row for row in rules.weights if row.preset == preset]
        signals = [row.signal for row in rows]
        _refuse_twice(weights, f"preset {preset}, signal", signals)
        missing = [signal for signal in Signal if signal not in signals]
        if missing:
            raise ConfigurationError(
                f"{weights}: preset {preset} has no row for {', '.join(missing)}; add one, with weight 0 if it shall"
                " not count"
            )
        total = math.fsum(row.weight for row in rows)
        if not math.isclose(total, 100):
            raise ConfigurationError(
                f"{weights}: the weights of preset {preset} sum to {total:g}, not to 100"
                f" ({', '.join(f'{row.signal} {row.weight:g}' for row in rows)})"
            )
        if preset not in judged:
            raise ConfigurationError(f"{thresholds}: preset {preset} of {WEIGHTS_FILE} has no row; add one")
        versions = {row.score_version for row in rows} | {rules.threshold(preset).score_version}
        if len(versions) > 1:
            told = ", ".join(map(str, sorted(versions)))
            raise ConfigurationError(
                f"{weights}: the rows of preset {preset}, here and in {THRESHOLDS_FILE}, are of score_version {told};"
                " give them the same"
            )
    _refuse_twice(thresholds, "preset", judged)
    for unknown in [preset for preset in judged if preset not in presets]:
        raise ConfigurationError(f"{thresholds}: preset {unknown} has no rows in {WEIGHTS_FILE}; add them")
    for row in rules.plan_presets:
        if row.preset not in presets:
            raise ConfigurationError(
                f"{folder / PLAN_PRESETS_FILE}: plan {row.plan} asks for preset {row.preset}, which does not exist;"
                f" there are {', '.join(presets)}"
            )
    if "default" not in presets:
        raise ConfigurationError(f"{weights}: there is no preset `default`; add its rows")


def _refuse_twice(path: Path, what: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"{path}: {what} {name} is there twice; remove one row")


def _spelled(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, StrEnum) else value
