"""Runs the receiver as a process."""

from __future__ import annotations

import json

import uvicorn
from pydantic import SecretStr

from rekindle.receiver.api import BASIC_AUTHENTICATION
from rekindle.receiver.app import create_app
from rekindle.receiver.settings import ReceiverSettings

#: More at once are answered 503 and come again; it bounds the bodies held in memory.
MOST_REQUESTS_AT_ONCE = 512


def run_receiver(host: str = "127.0.0.1", port: int = 8290) -> None:
    """Serve until stopped, with settings from the environment."""
    settings = ReceiverSettings()
    uvicorn.run(
        create_app(settings),
        host=host,
        port=port,
        # An access log would hold the tokens of links, which are as good as a signature.
        access_log=False,
        server_header=False,
        # The client's address is a limit's key and evidence of consent: only a proxy of ours may tell another one.
        proxy_headers=bool(settings.trusted_proxies.strip()),
        forwarded_allow_ips=settings.trusted_proxies,
        limit_concurrency=MOST_REQUESTS_AT_ONCE,
        timeout_graceful_shutdown=10,
    )


def openapi_document() -> str:
    """What every route takes and answers, as an OpenAPI document in JSON; needs no settings."""
    settings = ReceiverSettings(public_base_url="http://localhost", token_keys=(SecretStr("none"),))
    document = create_app(settings).openapi()
    document["components"]["securitySchemes"] = BASIC_AUTHENTICATION
    # FastAPI says so of every route with a parameter; ours are text, and any text will do
    for name in ("HTTPValidationError", "ValidationError"):
        del document["components"]["schemas"][name]
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
    return json.dumps(document, indent=2) + "\n"
