"""The sandbox's memory: one JSON line per accepted request and per change, in the order they happened.

A line is handed to the operating system before the request is answered, so it survives the death of the process; it is
flushed to the disk when callbacks have been delivered and when the sandbox stops. A line cut off by a crash was never
answered and is dropped on reload.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from rekindle.errors import BadInputError

_LINE_BREAKS_TO_SPACES = bytes.maketrans(b"\r\n", b"  ")

Line = dict[str, Any]


def on_one_line(raw_json: bytes) -> bytes:
    """The same JSON without line breaks: between tokens they are only white space, within strings they are escaped."""
    return raw_json.translate(_LINE_BREAKS_TO_SPACES)


class Record:
    """Append-only JSONL; keeps nothing when it has no path."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._descriptor: int | None = None

    def read(self) -> Iterator[tuple[Line, bytes]]:
        """Every line with its raw bytes, oldest first."""
        if self.path is None or not self.path.exists():
            return
        whole = 0
        with self.path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if not raw.endswith(b"\n"):
                    break
                try:
                    line = from_json(raw)
                except ValueError as error:
                    raise BadInputError(
                        f"{self.path} line {number} is no JSON ({error}); move the file away to start anew"
                    ) from error
                whole += len(raw)
                yield line, raw
        os.truncate(self.path, whole)

    def append(self, kind: str, **fields: object) -> None:
        if self.path is not None:
            self._write(to_json({"kind": kind, **fields}) + b"\n")

    def append_with_document(self, kind: str, document: bytes, **fields: object) -> None:
        """A line whose `document` is the given one-line JSON, as it came."""
        if self.path is not None:
            self._write(to_json({"kind": kind, **fields})[:-1] + b',"document":' + document + b"}\n")

    def flush(self) -> None:
        """Make everything written so far survive the machine."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def close(self) -> None:
        if self._descriptor is not None:
            self.flush()
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, line: bytes) -> None:
        if self._descriptor is None:
            assert self.path is not None
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # It holds addresses and bodies: nobody else's business.
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        view = memoryview(line)
        while view:
            view = view[os.write(self._descriptor, view) :]
