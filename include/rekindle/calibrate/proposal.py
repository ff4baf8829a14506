"""Fits on the earlier dates, judges on the later ones, and writes what it proposes beside a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from rekindle.backtest.areas import Areas, compare
from rekindle.backtest.event_log import spelled
from rekindle.backtest.picture import draw_comparison
from rekindle.backtest.rules import THRESHOLDS_FILE, WEIGHTS_FILE, ScoreRules, Signal, Threshold, Weight
from rekindle.backtest.scoring import ScoreBench, ScoredDay
from rekindle.calibrate.fitting import FACTORS, PRESET, fit, informed_signals
from rekindle.errors import BadInputError, ConfigurationError

LABELS = {"proposed": "proposed", "score": "reviewed", "recency": "days since last seen", "frequency": "frequency"}
REPORT_FILE = "report.md"
PICTURE_FILE = "calibration.svg"


@dataclass(frozen=True)
class Proposal:
    """The proposed rules, and what they are worth on dates they were not fitted to."""

    reviewed: ScoreRules
    rules: ScoreRules
    informed: tuple[Signal, ...]
    fitted_on: tuple[str, ...]
    by_date: tuple[tuple[str, Areas], ...]  # validation dates
    pooled: Areas


def check_dates(instants: Sequence[datetime], horizon_days: int) -> tuple[tuple[datetime, ...], tuple[datetime, ...]]:
    """The dates to fit on and the later half to judge on.

    Raises `BadInputError` when there is one date only, or when what is learnt reaches into what is judged.
    """
    if len(instants) < 2:
        raise BadInputError(
            "--as-of: give two dates or more; the later half judges the weights that were fitted on the earlier half"
        )
    half = (len(instants) + 1) // 2
    earlier, later = tuple(instants[:half]), tuple(instants[half:])
    if earlier[-1] + timedelta(days=horizon_days) > later[0]:
        raise BadInputError(
            f"--as-of: the {horizon_days} days after {spelled(earlier[-1])}, which the weights are fitted to, reach"
            f" past {spelled(later[0])}, which judges them; choose dates farther apart"
        )
    return earlier, later


def check_folder(folder: Path, seeds: Path) -> None:
    """Raise `ConfigurationError` when a proposal may not be written there: reviewed seeds are changed by people."""
    inside = folder.resolve()
    if inside == seeds.resolve() or seeds.resolve() in inside.parents:
        raise ConfigurationError(
            f"--out {folder}: this is where the reviewed rules are; a proposal is written elsewhere, and copied there"
            " by whoever reviewed it"
        )
    if folder.is_file():
        raise ConfigurationError(f"--out {folder}: this is a file; name a folder")
    theirs = folder / WEIGHTS_FILE
    if theirs.exists() and not (folder / REPORT_FILE).exists():
        raise ConfigurationError(
            f"--out {folder}: holds a {WEIGHTS_FILE} that no calibration wrote; name another folder"
        )


def propose(
    bench: ScoreBench,
    earlier: Sequence[ScoredDay],
    later: Sequence[ScoredDay],
    done: Callable[[], None] = lambda: None,
) -> Proposal:
    """Fit on the earlier days, and compare proposed, reviewed, recency and frequency on the later ones."""
    informed = informed_signals(bench)
    fitted = fit(bench, bench.rules, earlier, informed, done)
    draft = bench.rules.with_preset(fitted.weights, _raised(bench.rules.threshold(PRESET)))
    rules = draft.with_preset(fitted.weights, _same_sides(bench, draft, earlier))
    names = [day.name for day in later]
    rankings = [{"proposed": bench.rescore(day, rules)[0], **day.rankings()} for day in later]
    pooled = compare(
        {name: np.concatenate([each[name] for each in rankings]) for name in LABELS},
        ~np.concatenate([day.came_back for day in later]),
        np.concatenate([day.lead_ids for day in later]),
    )
    by_date = tuple(
        (name, compare(each, ~day.came_back)) for name, each, day in zip(names, rankings, later, strict=True)
    )
    return Proposal(bench.rules, rules, informed, tuple(day.name for day in earlier), by_date, pooled)


def _raised(threshold: Threshold) -> Threshold:
    return replace(threshold, score_version=threshold.score_version + 1)


def _same_sides(bench: ScoreBench, draft: ScoreRules, days: Sequence[ScoredDay]) -> Threshold:
    """The lines moved so that as many of the days' leads are over them as before: how cold is cold is not fitted."""
    threshold = draft.threshold(PRESET)
    before = np.concatenate([day.score for day in days])
    after = np.concatenate([bench.rescore(day, draft)[0] for day in days])

    def moved(line: float) -> float:
        share = float((before < line).mean())
        return round(float(np.quantile(after, min(1.0, share))), 1)

    enter, leave = moved(threshold.enter_score), moved(threshold.leave_score)
    return replace(threshold, enter_score=enter, leave_score=min(leave, enter))


def write_proposal(proposal: Proposal, log_name: str, horizon_days: int, folder: Path) -> None:
    """Write the proposed seeds, the report and its picture."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT_FILE).write_text(_report(proposal, log_name, horizon_days), encoding="utf-8")
    proposal.rules.write(folder)
    draw_comparison(
        [*proposal.by_date, ("these dates together", proposal.pooled)],
        LABELS,
        f"On dates the proposal was not fitted to, {horizon_days} days ahead",
        folder / PICTURE_FILE,
    )


def verdict(proposal: Proposal) -> str:
    """Whether the proposal is worth reviewing, in one sentence."""
    reviewed, recency = (proposal.pooled.ahead_of[name] for name in ("score", "recency"))
    if reviewed.low > 0:
        over_recency = f"than days since last seen by {recency.signed()}"
        return f"The proposal ranks better than the reviewed rules by {reviewed.signed()}, {over_recency}."
    if reviewed.high < 0:
        return f"The proposal ranks worse than the reviewed rules, by {reviewed.signed()}: keep those."
    return f"The proposal ranks no better than the reviewed rules for certain: {reviewed.signed()}; keep those."


def _report(proposal: Proposal, log_name: str, horizon_days: int) -> str:
    was, will = proposal.reviewed.of_preset(PRESET), proposal.rules.of_preset(PRESET)
    line_was, line_will = proposal.reviewed.threshold(PRESET), proposal.rules.threshold(PRESET)
    kept = [signal for signal in Signal if signal not in proposal.informed]
    parts = [
        f"# Proposed weights from {log_name}",
        verdict(proposal),
        f"Fitted to who stayed away for {horizon_days} days after {', '.join(proposal.fitted_on)}; judged on"
        f" {', '.join(name for name, _ in proposal.by_date)}, which the fit never saw. Nothing is in force: copy"
        f" `{WEIGHTS_FILE}` and `{THRESHOLDS_FILE}` over the reviewed ones when they are reviewed, and see who would"
        " change sides with `rekindle diff-score`.",
        "## Areas under the ROC curve, 95 % intervals",
        _table(
            ["as of", "leads", "came back", *LABELS.values()],
            [
                [name, f"{areas.n:,}", f"{areas.returned:,}", *(str(areas.areas[ranking]) for ranking in LABELS)]
                for name, areas in (*proposal.by_date, ("these dates together", proposal.pooled))
            ],
        ),
        "How far the proposal is ahead, on the same draws:",
        _table(
            ["as of", *(f"of {label}" for name, label in LABELS.items() if name != "proposed")],
            [
                [name, *(areas.ahead_of[ranking].signed() for ranking in LABELS if ranking != "proposed")]
                for name, areas in (*proposal.by_date, ("these dates together", proposal.pooled))
            ],
        ),
        f"![areas]({PICTURE_FILE})",
        f"## Rules of the preset `{PRESET}`",
        _table(
            ["signal", "weight", "proposed", "days", "proposed"],
            [_weights_row(was[signal], will[signal]) for signal in Signal],
        ),
        f"The log says nothing about {', '.join(kept) or 'no signal'}: what was reviewed is kept. Half-lives were"
        f" tried at {', '.join(f'{factor:g}' for factor in sorted(FACTORS))} times the reviewed ones. The lines are"
        f" moved so that as many leads are over them as before: enter {line_was.enter_score:g} →"
        f" {line_will.enter_score:g}, leave {line_was.leave_score:g} → {line_will.leave_score:g}.",
    ]
    return "\n\n".join(parts) + "\n"


def _weights_row(was: Weight, will: Weight) -> list[str]:
    return [was.signal, f"{was.weight:g}", f"{will.weight:g}", f"{was.days:g}", f"{will.days:g}"]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
