"""The picture of the measurement: who came back by which day, in both arms, with the uncertainty drawn in."""

from __future__ import annotations

from pathlib import Path

from rekindle.vocabulary import Arm
from rekindle.warehouse import Warehouse
from rekindle.warehouse.ports import Row

_COLOURS = {Arm.TREATMENT: "#c2410c", Arm.HOLDOUT: "#475569"}
_LABELS = {Arm.TREATMENT: "written to", Arm.HOLDOUT: "left alone (holdout)"}


def draw_returns(warehouse: Warehouse, target: Path, note: str) -> bool:
    """Draw the share that came back by each day since entry into `target` (SVG); False if nobody's window is over.

    An entry counts within its attribution window; the days are those of the longest. The band is the 95 % Wilson score
    interval of each day's share (Wilson 1927, by statsmodels).
    """
    with warehouse.transaction() as transaction:
        rows = transaction.fetch("report/list_returns")
    if not rows:
        return False
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.2))
    window = max(row["window_days"] for row in rows)
    for arm in Arm:
        _draw_arm(axes, arm, [row for row in rows if row["arm"] == arm], window)
    axes.set(xlim=(0, window), xlabel="days since the lead was found cold", ylabel="came back, of all who entered")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(xmax=1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", framealpha=0.85, edgecolor="none")
    axes.set_title("Who came back, with and without us", loc="left", fontweight="bold")
    figure.text(0.01, 0.01, note, fontsize=7, color="#64748b")
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(target, metadata={"Date": None})
    pyplot.close(figure)
    return True


def _draw_arm(axes: object, arm: Arm, rows: list[Row], window: int) -> None:
    from statsmodels.stats.proportion import proportion_confint

    entered = sum(row["entries"] for row in rows)
    if not entered:
        return
    days = range(window + 1)
    returned = [
        sum(row["entries"] for row in rows if row["days_until_return"] is not None and row["days_until_return"] <= day)
        for day in days
    ]
    low, high = proportion_confint(returned, [entered] * len(returned), method="wilson")
    label = f"{_LABELS[arm]}: {returned[-1]:,} of {entered:,} ({returned[-1] / entered:.1%})"
    shares = [count / entered for count in returned]
    axes.step(days, shares, where="post", color=_COLOURS[arm], label=label)  # type: ignore[attr-defined]
    axes.fill_between(days, low, high, step="post", color=_COLOURS[arm], alpha=0.15, linewidth=0)  # type: ignore[attr-defined]
