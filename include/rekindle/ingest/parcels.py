"""Landing files as Arrow tables, a bounded amount at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import pyarrow as pa

from rekindle.events import LandingFile, read_landing_file

if TYPE_CHECKING:
    from upath import UPath

#: Landing files read at once: some 60,000 events. Two parcels are in memory while a third is loaded.
PARCEL_BYTES = 24 * 1024 * 1024

#: A truth value is an integer too: the narrower type comes first.
_ARROW = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), datetime: pa.timestamp("us")}


@dataclass(frozen=True, slots=True)
class Manifest:
    """A landing file as the manifest knows it."""

    landing_file: str
    stream: str
    sha256: str
    byte_count: int
    element_count: int
    dead_letter_count: int


@dataclass(frozen=True, slots=True)
class Parcel:
    """Some landing files: their manifest, and one table per kind of row (`LandingFile`'s lists by name)."""

    manifest: list[Manifest]
    rows: dict[str, pa.Table]

    @property
    def names(self) -> set[str]:
        """The files in it."""
        return {file.landing_file for file in self.manifest}


def parcel_of(files: Sequence[LandingFile]) -> Parcel:
    """The rows of all these files together."""
    return Parcel(
        manifest=[
            Manifest(
                landing_file=file.landing_file,
                stream=str(file.stream),
                sha256=file.sha256,
                byte_count=file.byte_count,
                element_count=len(file.elements) + len(file.dead_letters),
                dead_letter_count=len(file.dead_letters),
            )
            for file in files
        ],
        rows={name: table_of(kind, [row for file in files for row in getattr(file, name)]) for name, kind in _kinds()},
    )


def read_parcels(paths: Iterable[Path | UPath], root: Path | UPath) -> Iterator[Parcel]:
    """Read the files in their order; the next parcel is read while the caller works on the last one."""
    return _ahead(_parcels(paths, root))


def table_of(kind: type, rows: Sequence[Any]) -> pa.Table:
    """Rows of one dataclass as a table with its fields as columns; instants become UTC without a zone."""
    schema = _schema(kind)
    columns = [
        pa.array(map(attrgetter(name), rows), type=type_, size=len(rows))
        for name, type_ in zip(schema.names, schema.types, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _parcels(paths: Iterable[Path | UPath], root: Path | UPath) -> Iterator[Parcel]:
    files: list[LandingFile] = []
    for path in paths:
        files.append(read_landing_file(path, root))
        if sum(file.byte_count for file in files) >= PARCEL_BYTES:
            yield parcel_of(files)
            files = []
    if files:
        yield parcel_of(files)


def _ahead(parcels: Iterator[Parcel]) -> Iterator[Parcel]:
    with ThreadPoolExecutor(1, thread_name_prefix="parcels") as reader:
        following = reader.submit(next, parcels, None)
        while (parcel := following.result()) is not None:
            following = reader.submit(next, parcels, None)
            yield parcel


@cache
def _kinds() -> list[tuple[str, type]]:
    """The lists of `LandingFile`: name and kind of row."""
    hints = get_type_hints(LandingFile)
    return [(name, get_args(hint)[0]) for name, hint in hints.items() if get_origin(hint) is list]


@cache
def _schema(kind: type) -> pa.Schema:
    hints = get_type_hints(kind)
    return pa.schema([(field.name, _arrow_type(hints[field.name])) for field in fields(kind)])


def _arrow_type(hint: Any) -> pa.DataType:
    wanted = next(option for option in (*get_args(hint), hint) if option is not type(None))
    return next(type_ for python_type, type_ in _ARROW.items() if issubclass(wanted, python_type))
