"""What a transaction is about to do is told by its effect, and a trail survives whatever its writer does not."""

from __future__ import annotations

import os
import resource
import signal

import pytest

from rekindle.chaos.places import BOUNDARIES, FREE_OF_THE_WAREHOUSE, Commit, Place, Trail, commit_between, places_on


@pytest.mark.parametrize(
    ("before", "after", "commit"),
    [
        ({"planned": 4}, {"claimed": 4}, Commit.CLAIM),
        ({"planned": 4}, {"claimed": 3, "expired": 1}, Commit.CLAIM),
        ({"claimed": 4}, {"claimed": 2, "attempting": 2}, Commit.ATTEMPTING),
        ({"attempting": 2}, {"accepted": 1, "planned": 1}, Commit.RECORD),
        ({"attempting": 2, "claimed": 2}, {"unknown": 2, "claimed": 2}, Commit.RECORD),
        ({"attempting": 2, "claimed": 4}, {"accepted": 2, "attempting": 2, "claimed": 2}, Commit.TURN),
        ({"attempting": 2, "claimed": 1}, {"accepted": 1, "planned": 1, "attempting": 1}, Commit.TURN),
        ({"attempting": 2, "claimed": 1}, {"unknown": 2, "attempting": 1}, Commit.TURN),
        # another attempt's claim, or none, is given back
        ({"claimed": 2}, {"planned": 2}, Commit.REST),
        ({"accepted": 2}, {"accepted": 2}, Commit.REST),
        ({}, {}, Commit.REST),
    ],
)
def test_a_commit_is_named_by_what_it_does(before, after, commit):
    assert commit_between(before, after) is commit


def test_every_commit_has_a_place_before_during_and_after_it():
    places = {Place.around(when, commit) for when in ("before", "during", "after") for commit in Commit}
    assert len(places) == 15
    assert {place for place in BOUNDARIES if "COMMIT" in place.value.upper()} <= places


def test_who_is_frozen_where_no_transaction_is_open_blocks_nobody():
    assert not {place for place in FREE_OF_THE_WAREHOUSE if place.name.startswith(("BEFORE_", "DURING_", "IN_"))} - {
        Place.BEFORE_CALL
    }


def test_a_trail_is_read_up_to_the_last_whole_line(tmp_path):
    path = tmp_path / "trail"
    assert places_on(path) == []
    trail = Trail(path)
    trail.mark(Place.STARTING)
    trail.mark(Place.DURING_CALL)
    with path.open("a") as file:
        file.write("AFTER_")
    assert places_on(path) == [Place.STARTING, Place.DURING_CALL]


def test_a_trail_outlives_its_writer_and_a_full_disk(tmp_path):
    path = tmp_path / "trail"
    pid = os.fork()
    if not pid:
        trail = Trail(path)
        trail.mark(Place.BEFORE_CALL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        trail.mark(Place.AFTER_CALL)  # can not be written, and must not raise
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert places_on(path) == [Place.BEFORE_CALL]
