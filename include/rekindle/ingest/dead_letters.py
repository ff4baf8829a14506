"""Dead letters, counted by reason, and read again with today's code."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rekindle.events import LandingFile, read_landing_file
from rekindle.ingest.landing import finish, insert_rows
from rekindle.ingest.parcels import parcel_of
from rekindle.run import Run
from rekindle.warehouse import Transaction, Warehouse

if TYPE_CHECKING:
    from upath import UPath

FILES_AT_ONCE = 200

#: Line and element of a landing file.
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why so many letters of a stream are dead."""

    stream: str
    reason: str
    letters: int
    latest: datetime | None


def count_dead_letters(warehouse: Warehouse) -> list[Reason]:
    """The dead letters by stream and reason, the most first."""
    with warehouse.transaction() as transaction:
        return [Reason(**row) for row in transaction.fetch("ingest/count_dead_letters")]


def retry_dead_letters(
    warehouse: Warehouse, landing: Path | UPath, run: Run, reason: str | None = None
) -> dict[str, int]:
    """Read the landing file's lines again that hold dead letters, or those with exactly this reason.

    What can be read now moves from the dead letters to the elements and is applied like anything that arrives; what
    still can not be read stays as it is. Doing it again changes nothing.
    """
    counts = Counter(dict.fromkeys(("letters", "mended", "still_dead", "file_missing", "elements"), 0))
    with warehouse.transaction() as transaction:
        letters = _letters(transaction, reason)
    names = iter(sorted(letters))
    while some := list(itertools.islice(names, FILES_AT_ONCE)):
        read = list(_read(landing, {name: letters[name] for name in some}))
        counts["file_missing"] += sum(len(letters[name]) for name in set(some) - {file.landing_file for file in read})
        with warehouse.transaction() as transaction:
            # Somebody else may have mended some of them since.
            waiting, dead = _letters(transaction, reason), _letters(transaction, None)
            mended = [_mend(transaction, file, waiting[file.landing_file], dead[file.landing_file]) for file in read]
            counts["mended"] += sum(len(places) for _, places in mended)
            applied = insert_rows(transaction, parcel_of([file for file, _ in mended]), run)
            for file, places in mended:
                _take_out(transaction, file, places)
            counts.update(applied)
            if applied["elements"]:
                counts.update(finish(transaction, run))
    counts["letters"] = sum(map(len, letters.values()))
    counts["still_dead"] = counts["letters"] - counts["mended"] - counts["file_missing"]
    return dict(counts)


def _letters(transaction: Transaction, reason: str | None) -> dict[str, set[Place]]:
    letters: dict[str, set[Place]] = defaultdict(set)
    for row in transaction.fetch("ingest/list_dead_letters", reason=reason):
        letters[row["landing_file"]].add((row["line_number"], row["element_number"]))
    return letters


def _read(landing: Path | UPath, letters: dict[str, set[Place]]) -> Iterator[LandingFile]:
    for name, places in letters.items():
        path = landing.joinpath(*name.split("/"))
        if path.exists():
            yield read_landing_file(path, landing, lines=frozenset(line for line, _ in places))


def _mend(
    transaction: Transaction, file: LandingFile, waiting: set[Place], dead: set[Place]
) -> tuple[LandingFile, set[Place]]:
    """What is new in these lines, and the letters that are dead no more."""
    known = {
        (row["line_number"], row["element_number"])
        for row in transaction.fetch("ingest/list_elements", landing_file=file.landing_file)
    }
    tracked = {
        row["event_id"] for row in transaction.fetch("ingest/list_tracked_events", landing_file=file.landing_file)
    }
    still_dead = {(letter.line_number, letter.element_number) for letter in file.dead_letters}
    mended = waiting - still_dead
    lines = {line for line, _ in mended}
    taken = known | (dead - mended)
    elements = [
        element
        for element in file.elements
        if element.line_number in lines and (element.line_number, element.element_number) not in taken
    ]
    keys = {element.event_key for element in elements}
    return replace(
        file,
        elements=elements,
        dead_letters=[
            letter
            for letter in file.dead_letters
            if letter.line_number in lines and (letter.line_number, letter.element_number) not in taken
        ],
        message_events=[event for event in file.message_events if event.event_key in keys],
        preferences=[choice for choice in file.preferences if choice.event_key in keys],
        app_events=[event for event in file.app_events if lines and event.event_id not in tracked],
        opt_ins=[opt_in for opt_in in file.opt_ins if lines],
    ), mended


def _take_out(transaction: Transaction, file: LandingFile, places: set[Place]) -> None:
    for line, element in sorted(places):
        transaction.execute(
            "ingest/delete_dead_letter", landing_file=file.landing_file, line_number=line, element_number=element
        )
    if places:
        transaction.execute("ingest/recount_landing_file", landing_file=file.landing_file)
