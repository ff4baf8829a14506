"""The landing zone: what arrived, made durable before anybody is told that it arrived.

Requests that come in while a file is being written gather into the next one (group commit), so that one `fsync` pays
for all of them. A file is written as `.part`, flushed to the disk, renamed, and its folder flushed; only then are its
requests acknowledged. Finished files never change.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from rekindle.clock import Clock
from rekindle.vocabulary import Stream


class LandingZone:
    """Appends records to streams under a local folder. Safe to use from any thread, and from several processes.

    `linger` seconds are waited before a group is closed: fewer and larger files, for that much more time to answer.
    """

    def __init__(self, root: Path, clock: Clock, linger: float = 0.0) -> None:
        self.root = root
        self._clock = clock
        self._linger = linger
        self._writers: dict[Stream, _StreamWriter] = {}
        self._lock = threading.Lock()
        self._closed = False

    def append(self, stream: Stream, record: Mapping[str, Any]) -> Future[Path]:
        """Hand over one record; the future gives its file once it is durable, or the error."""
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        future: Future[Path] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the landing zone is closed")
            writer = self._writers.get(stream)
            if writer is None:
                writer = self._writers[stream] = _StreamWriter(self.root / stream, self._clock, self._linger)
                writer.start()
            writer.add(line, future)
        return future

    def check_writable(self) -> None:
        """Write, flush and remove a probe; raises `OSError` if records could not be made durable now."""
        self.root.mkdir(parents=True, exist_ok=True)
        probe = self.root / f".probe-{secrets.token_hex(8)}"
        try:
            _write_durably(probe, [b"probe\n"])
        finally:
            probe.unlink(missing_ok=True)

    def close(self) -> None:
        """Commit everything handed over and stop; later records are refused."""
        with self._lock:
            self._closed = True
            writers = list(self._writers.values())
        for writer in writers:
            writer.stop()
        for writer in writers:
            writer.join()


class _StreamWriter(threading.Thread):
    """One stream's writer: one group in flight, the next one gathering."""

    def __init__(self, folder: Path, clock: Clock, linger: float) -> None:
        super().__init__(name=f"landing-{folder.name}", daemon=True)
        self._folder = folder
        self._clock = clock
        self._linger = linger
        self._gathering: list[tuple[bytes, Future[Path]]] = []
        self._changed = threading.Condition()
        self._stopping = False

    def add(self, line: bytes, future: Future[Path]) -> None:
        with self._changed:
            self._gathering.append((line, future))
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._gathering or self._stopping)
                if self._linger:
                    self._changed.wait_for(lambda: self._stopping, self._linger)
                group, self._gathering = self._gathering, []
            if not group:
                return
            # A caller that went away has cancelled its future; its record is written all the same.
            waiting = [future for _, future in group if future.set_running_or_notify_cancel()]
            try:
                path = self._commit([line for line, _ in group])
            except Exception as error:  # noqa: BLE001 - whatever it is, every caller must hear it, and the writer live on
                for future in waiting:
                    future.set_exception(error)
            else:
                for future in waiting:
                    future.set_result(path)

    def _commit(self, lines: list[bytes]) -> Path:
        now = self._clock.now()
        day = self._folder / f"{now:%Y-%m-%d}"
        _make_durable_folder(day)
        path = day / f"{now:%H%M%S%f}-{secrets.token_hex(8)}.jsonl"
        part = path.with_suffix(".part")
        try:
            _write_durably(part, lines)
            part.rename(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _flush_folder(day)
        return path


def _write_durably(path: Path, lines: list[bytes]) -> None:
    with path.open("xb") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())


def _make_durable_folder(folder: Path) -> None:
    """Create `folder` and what is missing above it, each name flushed into its parent."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
