"""The landing zone: what arrived, made durable before anybody is told that it arrived.

Requests that come in while a file is being written gather into the next one (group commit), so that one `fsync` pays
for all of them. A file is written as `.part`, flushed to the disk, renamed, and its folder flushed; only then are its
requests acknowledged. Finished files never change.

An object store has neither flush nor rename, and needs none: an object is there wholly or not at all, and is durable
when the store has taken it. There a group is one upload.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rekindle.clock import Clock
from rekindle.vocabulary import Stream

if TYPE_CHECKING:
    from upath import UPath

#: Told after each group: stream, requests, bytes, seconds until it was durable.
OnCommit = Callable[[Stream, int, int, float], None]


class Storage(Protocol):
    """Where groups become files. One file per group, durable when `write` returns."""

    def write(self, stream: Stream, day: str, name: str, lines: list[bytes]) -> Path | UPath:
        """Write one finished file; raises `OSError` if it is not durable, and leaves nothing behind then."""
        ...

    def check_writable(self) -> None:
        """Write and remove a probe; raises `OSError`."""
        ...


class LandingZone:
    """Appends records to streams under a folder or a prefix. Safe to use from any thread, and from several processes.

    `linger` seconds are waited before a group is closed: fewer and larger files, for that much more time to answer.
    """

    def __init__(
        self, root: Path | UPath, clock: Clock, linger: float = 0.0, on_commit: OnCommit | None = None
    ) -> None:
        self.root = root
        self._storage: Storage = Folder(root) if isinstance(root, Path) else Bucket(root)
        self._clock = clock
        self._linger = linger
        self._on_commit = on_commit
        self._writers: dict[Stream, _StreamWriter] = {}
        self._lock = threading.Lock()
        self._closed = False

    def append(self, stream: Stream, record: Mapping[str, Any]) -> Future[Path | UPath]:
        """Hand over one record; the future gives its file once it is durable, or the error."""
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        future: Future[Path | UPath] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the landing zone is closed")
            writer = self._writers.get(stream)
            if writer is None:
                writer = self._writers[stream] = _StreamWriter(
                    stream, self._storage, self._clock, self._linger, self._on_commit
                )
                writer.start()
            writer.add(line, future)
        return future

    def check_writable(self) -> None:
        """Write, flush and remove a probe; raises `OSError` if records could not be made durable now."""
        self._storage.check_writable()

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

    def __init__(
        self, stream: Stream, storage: Storage, clock: Clock, linger: float, on_commit: OnCommit | None
    ) -> None:
        super().__init__(name=f"landing-{stream}", daemon=True)
        self._stream = stream
        self._storage = storage
        self._clock = clock
        self._linger = linger
        self._on_commit = on_commit
        self._gathering: list[tuple[bytes, Future[Path | UPath]]] = []
        self._changed = threading.Condition()
        self._stopping = False

    def add(self, line: bytes, future: Future[Path | UPath]) -> None:
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

    def _commit(self, lines: list[bytes]) -> Path | UPath:
        started = time.perf_counter()
        now = self._clock.now()
        name = f"{now:%H%M%S%f}-{secrets.token_hex(8)}.jsonl"
        path = self._storage.write(self._stream, f"{now:%Y-%m-%d}", name, lines)
        if self._on_commit is not None:
            self._on_commit(self._stream, len(lines), sum(map(len, lines)), time.perf_counter() - started)
        return path


class Folder:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, stream: Stream, day: str, name: str, lines: list[bytes]) -> Path:
        folder = self._root / stream / day
        _make_durable_folder(folder)
        path = folder / name
        part = path.with_suffix(".part")
        try:
            _write_durably(part, lines)
            part.rename(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _flush_folder(folder)
        return path

    def check_writable(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        probe = self._root / f".probe-{secrets.token_hex(8)}"
        try:
            _write_durably(probe, [b"probe\n"])
        finally:
            probe.unlink(missing_ok=True)


class Bucket:
    """A prefix of an object store: whole objects only, under names that nobody else draws."""

    def __init__(self, root: UPath) -> None:
        self._root = root

    def write(self, stream: Stream, day: str, name: str, lines: list[bytes]) -> UPath:
        path = self._root / stream / day / name
        self._put(path, b"".join(lines))
        return path

    def check_writable(self) -> None:
        probe = self._root / f".probe-{secrets.token_hex(8)}"
        self._put(probe, b"probe\n")
        try:
            probe.unlink()
        except Exception as error:
            raise OSError("the store does not let the probe be removed") from error

    @staticmethod
    def _put(path: UPath, content: bytes) -> None:
        try:
            path.fs.pipe_file(path.path, content)
        except Exception as error:
            # each store's client has exceptions of its own; the caller must try again, whichever it was
            raise OSError("the object store did not take the file") from error


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
