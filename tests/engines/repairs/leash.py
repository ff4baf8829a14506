"""A server of the tests ends when they do, however they end: they hold the other end of its standard input."""

from __future__ import annotations

import os
import sys
import threading


def end_with_parent() -> None:
    """Watch the standard input in a thread, and leave when it closes."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
