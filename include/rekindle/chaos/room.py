"""The process room, seen from outside."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rekindle.chaos.jobs import DispatchJob, Ended, HoldJob, ReceiverJob, SandboxJob, Started, WaitJob
from rekindle.clock import CLOCK_FILE_VARIABLE

_GOING_AWAY = 10  # seconds
#: Nobody in the room speaks TLS, and reading every authority's certificate takes a third of an attempt's life.
_NO_AUTHORITIES = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}


class ProcessRoom:
    """A fork server; leaving it kills everybody who is still in it."""

    def __init__(self, import_from: Sequence[Path] = ()) -> None:
        paths = [str(Path(__file__).parents[2]), *map(str, import_from)]
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("REKINDLE_SANDBOX_")
        } | {"PYTHONPATH": os.pathsep.join(paths), "TZ": "UTC", **_NO_AUTHORITIES}
        environment.pop(CLOCK_FILE_VARIABLE, None)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rekindle.chaos.process_room"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            # Ctrl-C is for whoever asked; the room learns of it when its stdin ends.
            start_new_session=True,
        )

    def start(self, job: DispatchJob | SandboxJob | ReceiverJob | HoldJob) -> Started:
        """Start a process."""
        return Started.model_validate_json(self._ask(job))

    def wait(self, pid: int, *, or_stopped: bool = False) -> Ended:
        """Wait until a process has ended, or (`or_stopped`) stands still."""
        return Ended.model_validate_json(self._ask(WaitJob(pid=pid, or_stopped=or_stopped)))

    def _ask(self, job: DispatchJob | SandboxJob | ReceiverJob | HoldJob | WaitJob) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(job.model_dump_json() + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise ChildProcessError("the process room is gone; its own words are on stderr above")
        return answer

    def close(self) -> None:
        """Kill whoever is left, and the room."""
        assert self._process.stdin is not None and self._process.stdout is not None
        # what it was not told any more can not be flushed once it is gone
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_GOING_AWAY)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
