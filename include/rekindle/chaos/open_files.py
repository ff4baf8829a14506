"""Who has a file open: a process is frozen where the others can go on, and that shows in what it holds."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import psutil

#: Seconds; what is kept open for the next transaction is let go of much sooner, unless the machine is busy.
_LONGEST = 10.0
_BETWEEN_LOOKS = 0.01
_STANDS_STILL = frozenset({psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE})


def wait_until_let_go(pid: int, path: Path) -> None:
    """Return when the process has the file open no more, and anyway after some seconds: whoever is frozen in the middle
    of a transaction holds it.
    """
    deadline = time.monotonic() + _LONGEST
    while _holds(pid, path.resolve()) and time.monotonic() < deadline:
        time.sleep(_BETWEEN_LOOKS)


def freeze_without(pid: int, path: Path) -> None:
    """SIGSTOP a process at a moment at which it does not have the file open: it may take it up again between a look and
    the signal.
    """
    deadline = time.monotonic() + _LONGEST
    while True:
        wait_until_let_go(pid, path)
        os.kill(pid, signal.SIGSTOP)
        while psutil.Process(pid).status() not in _STANDS_STILL:
            time.sleep(_BETWEEN_LOOKS)
        if not _holds(pid, path.resolve()) or time.monotonic() > deadline:
            return
        os.kill(pid, signal.SIGCONT)


def _holds(pid: int, path: Path) -> bool:
    with contextlib.suppress(OSError):  # it is over
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed while we looked
                if descriptor.readlink() == path:
                    return True
    return False
