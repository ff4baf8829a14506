"""The interval of the lift, as the marts compute it, against the paper and against statsmodels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep

MACRO = Path(__file__).parents[3] / "dbt_project" / "macros" / "newcombe_interval.sql"

IntervalOf = Callable[[int, int, int, int], tuple[float | None, float | None]]


@pytest.fixture(scope="module")
def interval() -> Iterator[IntervalOf]:
    """The rendered macro, run by the embedded engine over whole-number columns, as the mart runs it."""
    environment = jinja2.Environment(autoescape=False)
    environment.globals["type_double"] = lambda: "double"
    macros = environment.from_string(MACRO.read_text()).module
    columns = ("treatment_hits", "treatment_size", "holdout_hits", "holdout_size")
    statement = (
        f"select {macros.newcombe_limit(*columns, 'lower')}, {macros.newcombe_limit(*columns, 'upper')} "
        f"from (select $1::bigint as treatment_hits, $2::bigint as treatment_size, "
        f"$3::bigint as holdout_hits, $4::bigint as holdout_size)"
    )
    with duckdb.connect() as connection:
        yield lambda *counts: connection.execute(statement, counts).fetchone()


@pytest.mark.parametrize(
    ("counts", "published"),
    [
        # Newcombe (1998), table II, method 10: the eight contrasts of the paper
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((6, 7, 2, 7), (0.0582, 0.8062)),
        ((5, 56, 0, 29), (-0.0381, 0.1926)),
        ((0, 10, 0, 20), (-0.1611, 0.2775)),
        ((0, 10, 0, 10), (-0.2775, 0.2775)),
        ((10, 10, 0, 20), (0.6791, 1.0000)),
        ((10, 10, 0, 10), (0.6075, 1.0000)),
    ],
)
def test_agrees_with_the_paper(
    interval: IntervalOf, counts: tuple[int, int, int, int], published: tuple[float, float]
) -> None:
    assert interval(*counts) == pytest.approx(published, abs=0.00005)


@pytest.mark.parametrize(
    "counts",
    [
        # a campaign's usual sizes: few come back, the holdout is a tenth
        (31, 900, 2, 100),
        (9, 450, 0, 50),
        (120, 9000, 11, 1000),
        # worse than leaving people alone
        (3, 900, 5, 100),
        # everybody, nobody, one
        (40, 40, 5, 5),
        (0, 400, 0, 40),
        (1, 1, 0, 1),
        (250_000, 10_000_000, 20_000, 1_000_000),
    ],
)
def test_agrees_with_statsmodels(interval: IntervalOf, counts: tuple[int, int, int, int]) -> None:
    expected = confint_proportions_2indep(*counts, method="newcomb", compare="diff", alpha=0.05)
    assert interval(*counts) == pytest.approx(expected, abs=1e-12)


@given(data=st.data())
def test_contains_the_lift_and_stays_a_difference_of_shares(interval: IntervalOf, data: st.DataObject) -> None:
    sizes = st.integers(min_value=1, max_value=5000)
    treatment_size, holdout_size = data.draw(sizes), data.draw(sizes)
    treatment_hits = data.draw(st.integers(0, treatment_size))
    holdout_hits = data.draw(st.integers(0, holdout_size))
    low, high = interval(treatment_hits, treatment_size, holdout_hits, holdout_size)
    lift = treatment_hits / treatment_size - holdout_hits / holdout_size
    assert -1 - 1e-9 <= low <= lift + 1e-9
    assert lift - 1e-9 <= high <= 1 + 1e-9
    # swapping the arms turns the interval round
    mirrored = interval(holdout_hits, holdout_size, treatment_hits, treatment_size)
    assert mirrored == pytest.approx((-high, -low), abs=1e-9)


@pytest.mark.parametrize("counts", [(0, 0, 3, 10), (3, 10, 0, 0), (0, 0, 0, 0)])
def test_says_nothing_while_an_arm_is_empty(interval: IntervalOf, counts: tuple[int, int, int, int]) -> None:
    assert interval(*counts) == (None, None)


def test_narrows_with_the_number_of_leads(interval: IntervalOf) -> None:
    widths = [math.dist(*[(limit,) for limit in interval(3 * n, 100 * n, n, 100 * n)]) for n in (1, 10, 100)]
    assert widths[0] > 3 * widths[1] > 9 * widths[2]
