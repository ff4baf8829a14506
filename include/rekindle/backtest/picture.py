"""Pictures of areas: every ranking's, with its interval, per date; and how many of each score came back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rekindle.backtest.areas import Areas
from rekindle.backtest.backtest import BackTest, Band
from rekindle.errors import ConfigurationError

_COLOURS = ("#c2410c", "#475569", "#94a3b8", "#0f766e")
_MARKS = ("o", "s", "D", "^")
FORMATS = (".svg", ".png")


def check_picture(path: Path | None) -> None:
    """Raise `ConfigurationError` before a long computation if its picture could not be written."""
    if path is None:
        return
    if path.suffix.lower() not in FORMATS:
        raise ConfigurationError(f"--picture {path}: give a file name that ends in {' or '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise ConfigurationError(f"--picture {path}: there is no folder {path.parent}; make it first")


def draw_backtest(test: BackTest, labels: Mapping[str, str], target: Path) -> None:
    """Draw a back-test into an SVG or PNG file."""
    pyplot = _pyplot(target)
    rows = [*test.by_date, ("all dates", test.pooled)]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 1.8 + 0.62 * max(len(rows), 4)), width_ratios=(3, 2))
    draw_areas(left, rows, labels)
    left.set_title(f"Who stays away for {test.horizon_days} days is ranked colder", loc="left", fontweight="bold")
    _draw_bands(right, test.bands)
    right.set_title("Of each score, who came back", loc="left", fontweight="bold")
    counted = f"{test.pooled.n:,} leads and dates, {test.pooled.returned:,} came back"
    note = f"{test.log.path.name}: {counted}. Bars: 95 % intervals."
    figure.text(0.01, 0.01, note, fontsize=7, color="#64748b")
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    _save(pyplot, figure, target)


def draw_comparison(rows: Sequence[tuple[str, Areas]], labels: Mapping[str, str], title: str, target: Path) -> None:
    """Draw the areas of some rankings, without calibration."""
    pyplot = _pyplot(target)
    figure, axes = pyplot.subplots(figsize=(8, 1.8 + 0.7 * max(len(rows), 3)))
    draw_areas(axes, rows, labels)
    axes.set_title(title, loc="left", fontweight="bold")
    figure.tight_layout()
    _save(pyplot, figure, target)


def draw_areas(axes: Any, rows: Sequence[tuple[str, Areas]], labels: Mapping[str, str]) -> None:
    """A dot with its interval per ranking, a line per row."""
    for column, (name, label) in enumerate(labels.items()):
        estimates = [areas.areas[name] for _, areas in rows]
        heights = [-place + 0.22 * (len(labels) - 1) / 2 - 0.22 * column for place in range(len(rows))]
        axes.errorbar(
            [one.value for one in estimates],
            heights,
            xerr=[
                [max(0.0, one.value - one.low) for one in estimates],
                [max(0.0, one.high - one.value) for one in estimates],
            ],
            fmt=_MARKS[column],
            color=_COLOURS[column],
            capsize=3,
            label=label,
        )
    axes.set_yticks([-place for place in range(len(rows))], [name for name, _ in rows])
    axes.set_xlabel("area under the ROC curve (0.5 is chance, 1 is perfect)")
    axes.grid(axis="x", color="#e2e8f0")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=len(labels), frameon=False, fontsize=8)


def _draw_bands(axes: Any, bands: Sequence[Band]) -> None:
    import matplotlib

    shares = [1 - band.stayed_away.value for band in bands]
    axes.errorbar(
        [(band.low + band.high) / 2 for band in bands],
        shares,
        yerr=[
            [max(0.0, share - (1 - band.stayed_away.high)) for share, band in zip(shares, bands, strict=True)],
            [max(0.0, (1 - band.stayed_away.low) - share) for share, band in zip(shares, bands, strict=True)],
        ],
        fmt="o-",
        color=_COLOURS[0],
        capsize=3,
    )
    axes.set(xlim=(0, 100), xlabel="cold score", ylabel="came back")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(xmax=1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e2e8f0")


def _pyplot(target: Path) -> Any:
    import matplotlib

    matplotlib.use("svg" if target.suffix.lower() == ".svg" else "agg")
    from matplotlib import pyplot

    return pyplot


def _save(pyplot: Any, figure: Any, target: Path) -> None:
    figure.savefig(target, metadata={"Date": None} if target.suffix.lower() == ".svg" else None, dpi=150)
    pyplot.close(figure)
