"""Starts real processes quickly: imports everything once, then forks a process for each job it reads.

Jobs are JSON lines on stdin; the answer to a job is one JSON line on stdout. A forked process is a process of its own:
it opens its own files and sockets, and dies of SIGKILL alone. When stdin ends, whoever is left is killed.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable

from rekindle.chaos import attempt as dispatching
from rekindle.chaos.jobs import JOB, TELL, DispatchJob, Ended, HoldJob, ReceiverJob, SandboxJob, Started, WaitJob
from rekindle.chaos.places import Place, Trail
from rekindle.chaos.servers import serve_receiver, serve_sandbox
from rekindle.warehouse.duckdb import DuckDbWarehouse


def _hold(job: HoldJob) -> int:
    with DuckDbWarehouse(job.warehouse).transaction():
        Trail(job.trail).mark(Place.IN_TRANSACTION)
        while True:
            signal.pause()


def _fork(log: os.PathLike[str], body: Callable[[], int]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (descriptor, 1), (descriptor, 2)):
            os.dup2(source, target)
        faulthandler.register(TELL, file=descriptor)
        code = body()
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        # its disk may have been "full"; what it has to say about that is worth a line
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        sys.stderr.flush()
        os._exit(code)


class Room:
    """Everybody who was started and is not yet buried."""

    def __init__(self) -> None:
        self._living: set[int] = set()

    def do(self, job: DispatchJob | SandboxJob | ReceiverJob | HoldJob | WaitJob) -> Started | Ended:
        if isinstance(job, WaitJob):
            return self._wait(job)
        if isinstance(job, DispatchJob):
            # read before the fork, so that every child inherits it
            dispatching.campaign_of(job.campaign_id, job.definition)
            dispatching.warm_up()
            return self._start(job, lambda: dispatching.attempt(job))
        if isinstance(job, HoldJob):
            return self._start(job, lambda: _hold(job))
        # Listening before the fork: whoever is told the port can connect at once.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = int(listener.getsockname()[1])
            if isinstance(job, SandboxJob):
                return self._start(job, lambda: serve_sandbox(job, listener), port)
            return self._start(job, lambda: serve_receiver(job, listener), port)

    def _start(
        self, job: DispatchJob | SandboxJob | ReceiverJob | HoldJob, body: Callable[[], int], port: int | None = None
    ) -> Started:
        pid = _fork(job.log, body)
        self._living.add(pid)
        return Started(pid=pid, port=port)

    def _wait(self, job: WaitJob) -> Ended:
        _, status = os.waitpid(job.pid, os.WUNTRACED if job.or_stopped else 0)
        if os.WIFSTOPPED(status):
            return Ended(status=-os.WSTOPSIG(status), is_frozen=True)
        self._living.discard(job.pid)
        return Ended(status=os.waitstatus_to_exitcode(status))

    def clear(self) -> None:
        for pid in self._living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in self._living:
            os.waitpid(pid, 0)


def main() -> None:
    """Serve until stdin ends."""
    room = Room()
    gc.collect()
    gc.freeze()  # what was imported is shared with every fork for as long as nobody writes to it
    try:
        for line in sys.stdin:
            sys.stdout.write(room.do(JOB.validate_json(line)).model_dump_json() + "\n")
            sys.stdout.flush()
    finally:
        room.clear()
        gc.unfreeze()  # or DuckDB's binding takes what was frozen for leaked, and says so


if __name__ == "__main__":
    main()
