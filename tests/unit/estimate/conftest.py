"""One day, counted once: it takes seconds."""

from __future__ import annotations

import pytest

from rekindle.estimate import MeasuredDay, measure_day


@pytest.fixture(scope="session")
def measured_day() -> MeasuredDay:
    return measure_day()
