"""The web server that providers, mail programs and the product call: it verifies, makes durable, then answers."""

from __future__ import annotations

from rekindle.receiver.app import create_app
from rekindle.receiver.landing import LandingZone
from rekindle.receiver.server import openapi_document, run_receiver
from rekindle.receiver.settings import ReceiverSettings

__all__ = ["LandingZone", "ReceiverSettings", "create_app", "openapi_document", "run_receiver"]
