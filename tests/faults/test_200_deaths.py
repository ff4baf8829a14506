"""Two hundred dispatchers killed, at every boundary and at random times, on both channels."""

from __future__ import annotations

import pytest

from rekindle.chaos.checker import check
from rekindle.chaos.history import History, OrdealKind
from rekindle.chaos.places import BOUNDARIES
from rekindle.chaos.play import Play
from rekindle.chaos.report import Story
from rekindle.vocabulary import Channel

KILLS = 200
SEED = 20260112


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hundred_deaths_at_every_boundary_duplicate_and_lose_nothing(new_ground):
    """One history of the long run: counted are the processes that the system says SIGKILL ended, where they stood."""
    ground = new_ground(seed=SEED)
    Play(ground, History(SEED), KILLS).run()
    evidence = ground.evidence()
    assert check(evidence).hold, (check(evidence), ground.log())
    assert ground.counts.killed >= KILLS
    hit = set(ground.counts.kills)
    assert {(channel, place) for channel in Channel for place in BOUNDARIES} - hit == set()
    assert {place for _, place in hit} - set(BOUNDARIES)  # those at random times strike in between too
    assert set(OrdealKind) <= set(ground.counts.ordeals)
    assert ground.counts.ordeals["clock set back between attempts"]
    story = Story.of(evidence).fates
    assert story["unknown, then settled"] and story["unknown, then aged out"] and story["deferred at least once"]
    assert story["sent"] > story["planned"] / 2
