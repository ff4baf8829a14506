"""Serving the sandbox on this machine."""

from __future__ import annotations

from pathlib import Path

import uvicorn

from rekindle.clock import Clock
from rekindle.sandbox.app import create_app
from rekindle.sandbox.settings import Reactions, SandboxSettings, refuse_unless_loopback


def build_server(settings: SandboxSettings, clock: Clock | None = None) -> uvicorn.Server:
    """A server ready to run; refuses with `RefusedError` to be reachable from, or to post to, another machine."""
    refuse_unless_loopback(settings)
    config = uvicorn.Config(
        create_app(settings, clock),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_level="warning",
        ws="none",
        lifespan="on",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)


def serve(settings: SandboxSettings, clock: Clock | None = None) -> None:
    """Serve until interrupted."""
    build_server(settings, clock).run()


def run_sandbox(
    host: str | None = None,
    port: int | None = None,
    receiver_base_url: str | None = None,
    public_base_url: str | None = None,
    reactions: Reactions | None = None,
    seed: int | None = None,
    record_path: Path | None = None,
    sendgrid_signing_key_path: Path | None = None,
) -> None:
    """Serve with these settings; what is not given comes from `REKINDLE_SANDBOX_*`, then from the defaults."""
    given = {
        "host": host,
        "port": port,
        "receiver_base_url": receiver_base_url,
        "public_base_url": public_base_url,
        "reactions": reactions,
        "seed": seed,
        "record_path": record_path,
        "sendgrid_signing_key_path": sendgrid_signing_key_path,
    }
    serve(
        SandboxSettings.model_validate(
            {**SandboxSettings().model_dump(), **{k: v for k, v in given.items() if v is not None}}
        )
    )
