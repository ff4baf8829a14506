"""The two servers of a ground, each in a process of its own: the sandbox, and the receiver of its webhooks."""

from __future__ import annotations

import socket

import uvicorn

from rekindle.chaos.attempt import PUBLIC_BASE_URL, TOKEN_KEY, TWILIO_AUTH_TOKEN
from rekindle.chaos.jobs import ReceiverJob, SandboxJob
from rekindle.clock import SteppedClock
from rekindle.receiver.app import create_app
from rekindle.receiver.settings import ReceiverSettings
from rekindle.sandbox.keys import load_signing_key, public_key_base64
from rekindle.sandbox.server import build_server
from rekindle.sandbox.settings import Reactions, SandboxSettings


def serve_sandbox(job: SandboxJob, listener: socket.socket) -> int:
    """Serve until killed. Webhooks come repeatedly and out of order, but within the days a run settles in."""
    settings = SandboxSettings(
        receiver_base_url=job.receiver,
        public_base_url=PUBLIC_BASE_URL,
        reactions=Reactions.NONE,
        seed=job.seed,
        record_path=job.record,
        sendgrid_signing_key_path=job.signing_key,
        late_share=0.0,
        repeated_share=0.3,
        overtaken_share=0.2,
    )
    build_server(settings, SteppedClock(job.clock)).run(sockets=[listener])
    return 0


def serve_receiver(job: ReceiverJob, listener: socket.socket) -> int:
    """Serve until killed."""
    settings = ReceiverSettings.model_validate(
        {
            "landing_root": job.landing,
            "public_base_url": PUBLIC_BASE_URL,
            "token_keys": TOKEN_KEY,
            "sendgrid_webhook_public_key": public_key_base64(load_signing_key(job.signing_key)),
            "twilio_auth_token": TWILIO_AUTH_TOKEN,
            "clock_file": job.clock,
            "sendgrid_timestamp_tolerance": "off",  # the clock is stepped in both directions
        }
    )
    config = uvicorn.Config(create_app(settings), access_log=False, log_level="warning", ws="none", server_header=False)
    uvicorn.Server(config).run(sockets=[listener])
    return 0
