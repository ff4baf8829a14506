"""How entries begin, move and end. Every change is a transition row; `journey_state` is their fold."""

from rekindle.journey.advance import advance_journeys, end_journeys
from rekindle.journey.cohort import freeze_cohort

__all__ = ["advance_journeys", "end_journeys", "freeze_cohort"]
