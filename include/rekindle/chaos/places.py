"""Where an attempt stands at each moment, written down by itself so that it is known when it is dead."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path


class Commit(StrEnum):
    """What a transaction makes of the messages, told by its effect and not by its place in the code."""

    CLAIM = "claim"  # messages became claimed
    ATTEMPTING = "attempting"  # messages became attempting: from here on they may have been sent
    RECORD = "record"  # messages stopped being attempting: an outcome was written
    TURN = "turn"  # both at once: the outcome of one chunk, and the next one attempting
    REST = "rest"  # claims were given back, or nothing changed


class Place(StrEnum):
    """A moment in the life of an attempt at which it can die."""

    STARTING = "before its first transaction"
    IN_TRANSACTION = "with a transaction open"
    BEFORE_CLAIM = "before the claim commits"
    DURING_CLAIM = "while the claim commits"
    AFTER_CLAIM = "after the claim committed"
    BEFORE_ATTEMPTING = "before `attempting` commits"
    DURING_ATTEMPTING = "while `attempting` commits"
    AFTER_ATTEMPTING = "after `attempting` committed"
    BEFORE_CALL = "before the call"
    DURING_CALL = "during the call"
    ACCEPTED = "accepted, the answer not read"
    AFTER_CALL = "after the answer, before the record"
    BEFORE_TURN = "before a record and the next `attempting` commit"
    DURING_TURN = "while a record and the next `attempting` commit"
    AFTER_TURN = "after a record and the next `attempting` committed"
    BEFORE_RECORD = "before the record commits"
    DURING_RECORD = "while the record commits"
    AFTER_RECORD = "after the record committed"
    BEFORE_REST = "before the last transaction commits"
    DURING_REST = "while the last transaction commits"
    AFTER_REST = "after the last transaction committed"
    FINISHED = "finished"

    @classmethod
    def around(cls, when: str, commit: Commit) -> Place:
        """The place `before`, `during` or `after` a commit."""
        return cls[f"{when}_{commit.name}".upper()]


#: Places every long run must have hit. The others are there by chance: a process is not always caught committing.
BOUNDARIES: tuple[Place, ...] = (
    Place.BEFORE_CLAIM,
    Place.AFTER_CLAIM,
    Place.BEFORE_ATTEMPTING,
    Place.AFTER_ATTEMPTING,
    Place.BEFORE_CALL,
    Place.DURING_CALL,
    Place.ACCEPTED,
    Place.AFTER_CALL,
    Place.BEFORE_TURN,
    Place.AFTER_TURN,
    Place.BEFORE_RECORD,
    Place.AFTER_RECORD,
    Place.BEFORE_REST,
    Place.AFTER_REST,
)

#: An attempt that stands here holds no transaction, so others can work on while it is frozen.
FREE_OF_THE_WAREHOUSE: tuple[Place, ...] = (
    Place.AFTER_CLAIM,
    Place.AFTER_ATTEMPTING,
    Place.BEFORE_CALL,
    Place.AFTER_CALL,
    Place.AFTER_TURN,
    Place.AFTER_RECORD,
)


def commit_between(before: Mapping[str, int], after: Mapping[str, int]) -> Commit:
    """What a transaction is about to do, from how many messages stood in each status before and after it."""

    def change(status: str) -> int:
        return after.get(status, 0) - before.get(status, 0)

    claimed, attempting = change("claimed"), change("attempting")
    if claimed > 0:
        return Commit.CLAIM
    if not attempting and (not claimed or change("planned") == -claimed):
        return Commit.REST
    if not claimed:
        return Commit.RECORD
    return Commit.ATTEMPTING if attempting == -claimed else Commit.TURN


class Trail:
    """The places an attempt has come to, a line each; written straight to the operating system, so it survives."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def mark(self, place: Place) -> None:
        # a full disk is one of the ordeals, and must not strike the witness
        with contextlib.suppress(OSError):
            os.write(self._descriptor, f"{place.name}\n".encode())


def places_on(path: Path) -> list[Place]:
    """Every place on a trail, in order; empty while nothing was written."""
    try:
        lines = path.read_text().split("\n")[:-1]
    except FileNotFoundError:
        return []
    return [Place[line] for line in lines]
