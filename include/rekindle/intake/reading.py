"""Opens a file of ours or of anyone's and copies its cells, as text, into the workspace with the row each came from.

A file that can not be used at all raises `BadInputError`; a line that does not fit becomes a broken row.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import gzip
import itertools
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TextIO, cast

import duckdb
import pyarrow as pa

from rekindle.errors import BadInputError
from rekindle.intake.tables import Table
from rekindle.intake.vocabulary import RejectReason
from rekindle.intake.workspace import Workspace, literal

EXTENSIONS = (".csv", ".csv.gz", ".parquet")
_SEPARATORS = ",;\t|"
_BLANKS = " \t\r\n\u00a0\ufeff"  # what surrounds a cell and says nothing: also the no-break space of spreadsheets
_SCAN_BYTES = 1 << 20
_ROWS_A_BATCH = 50_000
_BROKEN = pa.schema(
    [("source_row", pa.int64()), ("value", pa.string()), ("reason", pa.string()), ("record", pa.string())]
)


@dataclass(frozen=True)
class Given:
    """A file as it was given: relation `cells` has source_row and one text column per column of the file, c0, c1, …"""

    cells: str
    broken: str  # table of the lines that do not fit the header
    columns: tuple[str, ...]  # as we call them; the position is the number in `c0`
    notices: tuple[str, ...]
    source_file: str

    def cell(self, column: str) -> str:
        """SQL for the trimmed text of a column's cell; null when blank or when the file lacks the column."""
        if column not in self.columns:
            return "cast(null as varchar)"
        return f"nullif(trim(c{self.columns.index(column)}, {literal(_BLANKS)}), '')"

    def json_of(self, columns: Sequence[str]) -> str:
        """SQL for a JSON object of some columns' cells, blank ones left out; null when nothing is left."""
        if not columns:
            return "cast(null as json)"
        pairs = ", ".join(f"{literal(column)}, {self.cell(column)}" for column in columns)
        return f"nullif(cast(json_merge_patch('{{}}', json_object({pairs})) as varchar), '{{}}')"


def read_file(workspace: Workspace, path: Path, table: Table) -> Given:
    """Copy the file's cells into the workspace; raises `BadInputError` when it can not be used at all."""
    kind = _kind_of(path)
    # a neutral name: DuckDB reads `[`, `*` and `key=value` in a path as patterns
    link = workspace.folder / (workspace.name("given") + kind)
    link.symlink_to(path.resolve())
    try:
        if kind == ".parquet":
            return _read_parquet(workspace, path, link, table)
        return _read_csv(workspace, path, link, table, is_gzipped=kind.endswith(".gz"))
    except PermissionError as error:
        raise BadInputError(
            f"{path}: we may not read this file. Give the user who runs this read permission."
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadInputError(
            f"{path}: the gzip data is damaged or cut off ({error}). Compress and copy it again."
        ) from error


def _kind_of(path: Path) -> str:
    if path.is_dir():
        raise BadInputError(f"{path}: this is a folder. Name one file ending in {', '.join(EXTENSIONS)}.")
    if not path.is_file():
        nearest = difflib.get_close_matches(path.name, [other.name for other in _files_beside(path)], n=1)
        hint = f" Did you mean `{nearest[0]}`?" if nearest else " Check the path."
        raise BadInputError(f"{path}: there is no such file.{hint}")
    for extension in EXTENSIONS:
        if path.name.lower().endswith(extension):
            if path.stat().st_size == 0:
                raise BadInputError(f"{path}: the file is empty (0 bytes). Export it again, with a header and rows.")
            return extension
    ending = path.suffix or "files without an extension"
    raise BadInputError(f"{path}: we do not read `{ending}`. Give a file ending in {', '.join(EXTENSIONS)}.")


def _files_beside(path: Path) -> list[Path]:
    return [other for other in path.parent.iterdir() if other.is_file()] if path.parent.is_dir() else []


def _read_parquet(workspace: Workspace, path: Path, link: Path, table: Table) -> Given:
    try:
        described = workspace.fetch("describe_parquet", {"path": str(link)})[:-1]
        columns, notices = _match_columns(path, [str(name) for name, *_ in described], table)
        cells = [_as_text(_identifier(str(name)), str(kind)) for name, kind, *_ in described]
        copied = workspace.name("cells")
        workspace.run("copy_parquet_cells", {"path": str(link)}, target=copied, cells=cells)
    except duckdb.Error as error:
        raise BadInputError(
            f"{path}: this can not be read as parquet ({_first_line(error)}). Write it again with any parquet library."
        ) from error
    if workspace.count(copied) == 0:
        raise BadInputError(f"{path}: the file has columns but no rows. Export it again, with rows.")
    return Given(copied, _broken_table(workspace), columns, notices, path.name)


def _as_text(column: str, kind: str) -> str:
    """SQL for a parquet column as text: whole floats (ids beside gaps) lose their `.0`, nested data becomes JSON."""
    if kind in ("DOUBLE", "FLOAT"):
        return (
            f"case when isnan({column}) then null"
            f" when isfinite({column}) and {column} = trunc({column}) and abs({column}) < 9007199254740992"
            f" then cast(cast({column} as bigint) as varchar) else cast({column} as varchar) end"
        )
    if kind == "BLOB":
        return f"coalesce(try(decode({column})), cast({column} as varchar))"
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP")):
        return f"cast(to_json({column}) as varchar)"
    return f"cast({column} as varchar)"


@dataclass(frozen=True)
class _TextFacts:
    """What one pass over a text file's bytes shows."""

    line_count: int
    has_lone_carriage_return: bool


def _read_csv(workspace: Workspace, path: Path, link: Path, table: Table, *, is_gzipped: bool) -> Given:
    facts = _scan_text(path, is_gzipped)
    with _open_text(path, is_gzipped) as text:
        header, header_line, separator = _read_header(path, text)
    columns, notices = _match_columns(path, header, table)
    is_plain = header_line == 1 and len(header) > 1 and not facts.has_lone_carriage_return
    cells = _copy_plain_csv(workspace, link, len(header), separator, facts, is_gzipped) if is_plain else None
    broken = _broken_table(workspace)
    if cells is None:
        with _open_text(path, is_gzipped) as text:
            cells = _copy_any_csv(workspace, path, text, len(header), separator, broken)
    if workspace.count(cells) == 0 and workspace.count(broken) == 0:
        raise BadInputError(f"{path}: the file has a header but no rows. Export it again, with rows.")
    return Given(cells, broken, columns, notices, path.name)


def _open_bytes(path: Path, is_gzipped: bool) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if is_gzipped else path.open("rb")


def _open_text(path: Path, is_gzipped: bool) -> TextIO:
    if is_gzipped:
        return cast("TextIO", gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
    return path.open(encoding="utf-8-sig", newline="")


def _scan_text(path: Path, is_gzipped: bool) -> _TextFacts:
    """Prove that the file is UTF-8 text, and count its lines."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line_feeds = carriage_returns = pairs = 0
    last = b""
    with _open_bytes(path, is_gzipped) as file:
        for chunk in iter(lambda: file.read(_SCAN_BYTES), b""):
            if not last and chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise BadInputError(f"{path}: the file is UTF-16. Save it as UTF-8.")
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                line = line_feeds + chunk.count(b"\n", 0, error.start) + 1
                raise BadInputError(
                    f"{path}: line {line} or the one before holds bytes that are not UTF-8 text. "
                    "Save the file as UTF-8 (it may be Latin-1 or Windows-1252)."
                ) from error
            if b"\0" in chunk:
                line = line_feeds + chunk.count(b"\n", 0, chunk.index(b"\0")) + 1
                raise BadInputError(f"{path}: line {line} holds a NUL byte; this is not text. Save it as UTF-8 CSV.")
            line_feeds += chunk.count(b"\n")
            carriage_returns += chunk.count(b"\r")
            pairs += chunk.count(b"\r\n") + (last == b"\r" and chunk.startswith(b"\n"))
            last = chunk[-1:]
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: the last character is cut off. Copy the file again, as UTF-8.") from error
    return _TextFacts(line_feeds + (last not in (b"\n", b"")), carriage_returns != pairs)


def _read_header(path: Path, text: TextIO) -> tuple[list[str], int, str]:
    """The header's cells, the line it ends on, and the character that separates cells."""
    lines = _RememberedLines(text)
    first = next((line for line in lines if line.strip()), "")
    if not first:
        raise BadInputError(f"{path}: the file is empty (only blank lines). Export it again, with a header and rows.")
    separator = max(_SEPARATORS, key=first.count) if any(mark in first for mark in _SEPARATORS) else ","
    reader = csv.reader(itertools.chain([first], lines), delimiter=separator, strict=True)
    try:
        return next(reader), lines.taken, separator
    except csv.Error as error:
        raise BadInputError(
            f"{path}: the header can not be read ({error}). Mend the quotes of its first line."
        ) from error


def _match_columns(path: Path, header: Sequence[str], table: Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Our names for the file's columns, and what is worth telling; raises when a required one is missing."""
    written = [name.strip() for name in header]
    known = {column.name for column in table.columns}
    names: list[str] = []
    for position, name in enumerate(written):
        ours = name.lower() if name.lower() in known else name or f"column_{position + 1}"
        if ours in names:
            raise BadInputError(f"{path}: the column `{name or ours}` is there twice. Rename or remove one.")
        names.append(ours)
    others = [name for name in names if name not in known]
    missing = [name for name in table.required if name not in names]
    if missing:
        asked = [
            f"Did you mean `{nearest}` → {name}?"
            for name in missing
            if (nearest := _nearest(table, name, others)) is not None
        ]
        raise BadInputError(
            f"{path}: missing column {', '.join(f'`{name}`' for name in missing)}; "
            f"the file has {', '.join(f'`{name}`' for name in written)}. "
            + " ".join([*asked, "Rename or add the column."])
        )
    kept_in = "kept in `properties`" if table.keeps_other_columns else "not taken"
    optional = [column.name for column in table.columns if column.name not in names]
    notices = []
    for name in others:
        meant = next((ours for ours in optional if _nearest(table, ours, [name])), None)
        asked_about = f"; did you mean {meant}?" if meant else ""
        notices.append(f"column `{name}` is not one of ours and is {kept_in}{asked_about}")
    return tuple(names), tuple(notices)


def _nearest(table: Table, wanted: str, written: Sequence[str]) -> str | None:
    """Which of the written column names was probably meant to be `wanted`."""
    by_lower = {re.sub(r"[\s-]+", "_", name.lower()): name for name in written}
    for name in table.column(wanted).also_called:
        if name.replace("-", "_") in by_lower:
            return by_lower[name.replace("-", "_")]
    nearest = difflib.get_close_matches(wanted, by_lower, n=1, cutoff=0.75)
    return by_lower[nearest[0]] if nearest else None


def _copy_plain_csv(
    workspace: Workspace, link: Path, width: int, separator: str, facts: _TextFacts, is_gzipped: bool
) -> str | None:
    """Let DuckDB read the file; None when a record does not sit on a line of its own or does not fit the header.

    There can be as many records as lines only if each record is one line, so the row number tells the line.
    """
    copied, cells = workspace.name("copied"), workspace.name("cells")
    compression = "gzip" if is_gzipped else "none"
    bound = {"path": str(link), "separator": separator, "compression": compression}
    try:
        workspace.run("copy_csv_cells", bound, target=copied, width=width)
    except duckdb.Error:
        return None
    if workspace.count(copied) != facts.line_count - 1:
        workspace.drop(copied)
        return None
    workspace.run("number_csv_lines", target=cells, copied=copied)
    return cells


class _RememberedLines(Iterator[str]):
    """The lines of a text; remembers those of the record that is being read."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self.taken = 0
        self.record: list[str] = []

    def __next__(self) -> str:
        line = next(self._text)
        self.taken += 1
        self.record.append(line)
        return line


def _copy_any_csv(workspace: Workspace, path: Path, text: TextIO, width: int, separator: str, broken: str) -> str:
    """Read record by record: exact lines and reasons for files with line breaks in cells, blank or broken lines."""
    name = workspace.name("cells")
    schema = pa.schema([("source_row", pa.int64()), *((f"c{position}", pa.string()) for position in range(width))])
    workspace.append(name, pa.table([[]] * len(schema), schema=schema), is_new=True)
    bad: list[tuple[int, str, str, str]] = []
    records = _records(path, text, width, separator, bad)
    next(records)
    while batch := list(itertools.islice(records, _ROWS_A_BATCH)):
        workspace.append(name, pa.table(list(map(list, zip(*batch, strict=True))), schema=schema))
        workspace.append(broken, _broken_rows(bad))
        bad.clear()
    workspace.append(broken, _broken_rows(bad))
    return name


def _records(
    path: Path, text: TextIO, width: int, separator: str, bad: list[tuple[int, str, str, str]]
) -> Iterator[tuple[object, ...]]:
    """Each record that fits the header, with the line it begins on; the others go to `bad`."""
    lines = _RememberedLines(text)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        line = lines.taken + 1
        lines.record.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error) or "larger than" in str(error):
                raise BadInputError(
                    f"{path}: a quote opened on line {line} is never closed. Close it, or double it inside a cell."
                ) from error
            raw = "".join(lines.record).rstrip("\r\n")
            bad.append((line, raw, RejectReason.BROKEN_QUOTING, json.dumps({"line": raw}, ensure_ascii=False)))
            continue
        if not cells:
            continue
        if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
            del cells[width:]
        if len(cells) != width:
            told = f"{len(cells)} cells where the header has {width}"
            record = json.dumps({"cells": cells}, ensure_ascii=False)
            bad.append((line, told, RejectReason.WRONG_NUMBER_OF_CELLS, record))
            continue
        yield line, *cells


def _broken_table(workspace: Workspace) -> str:
    name = workspace.name("broken")
    workspace.append(name, _broken_rows([]), is_new=True)
    return name


def _broken_rows(rows: Sequence[tuple[int, str, str, str]]) -> pa.Table:
    return pa.table([list(column) for column in zip(*rows, strict=True)] or [[]] * len(_BROKEN), schema=_BROKEN)


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
