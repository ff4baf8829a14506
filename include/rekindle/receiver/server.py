"""Runs the receiver as a process."""

from __future__ import annotations

import uvicorn

from rekindle.receiver.app import create_app
from rekindle.receiver.settings import ReceiverSettings

#: More at once are answered 503 and come again; it bounds the bodies held in memory.
MOST_REQUESTS_AT_ONCE = 512


def run_receiver(host: str = "127.0.0.1", port: int = 8290) -> None:
    """Serve until stopped, with settings from the environment."""
    uvicorn.run(
        create_app(ReceiverSettings()),
        host=host,
        port=port,
        # An access log would hold the tokens of links, which are as good as a signature.
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_REQUESTS_AT_ONCE,
        timeout_graceful_shutdown=10,
    )
