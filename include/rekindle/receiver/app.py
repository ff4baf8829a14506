"""Puts the doors of the receiver together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.requests import ClientDisconnect
from starlette.status import (
    HTTP_400_BAD_REQUEST,
    HTTP_413_CONTENT_TOO_LARGE,
    HTTP_415_UNSUPPORTED_MEDIA_TYPE,
    HTTP_503_SERVICE_UNAVAILABLE,
)

from rekindle.clock import Clock, SteppedClock, SystemClock
from rekindle.events.landing_root import landing_root
from rekindle.receiver.api import Health, Readiness
from rekindle.receiver.landing import LandingZone
from rekindle.receiver.limits import PAGES, TRACKING, ClientRates, Guard
from rekindle.receiver.links import link_router
from rekindle.receiver.metrics import CountAnswers, Metrics
from rekindle.receiver.opt_ins import opt_in_router
from rekindle.receiver.pages import Pages
from rekindle.receiver.preferences import Wording, preference_router
from rekindle.receiver.reception import BodyTooLarge, CannotUnpack, NotDurable, Reception
from rekindle.receiver.settings import ReceiverSettings
from rekindle.receiver.signatures import SendGridVerifier, TwilioVerifier
from rekindle.receiver.tracking import tracking_router
from rekindle.receiver.webhooks import webhook_router
from rekindle.receiver.write_keys import WriteKeys
from rekindle.tokens import TokenSigner


def create_app(settings: ReceiverSettings, clock: Clock | None = None) -> FastAPI:
    """The receiver; `clock` defaults to the stepped clock named in the settings, else the machine's."""
    if clock is None:
        clock = SteppedClock(settings.clock_file) if settings.clock_file else SystemClock()
    metrics = Metrics()
    root = landing_root(settings.landing_root)
    landing = LandingZone(root, clock, settings.landing_linger_milliseconds / 1000, metrics.committed)
    reception = Reception(landing, clock, metrics.refused)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(landing.close)

    # Redirecting to the spelling without a trailing slash would build an address from the caller's Host header.
    app = FastAPI(
        title="Rekindle receiver",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.reception = reception
    app.include_router(
        webhook_router(
            reception,
            SendGridVerifier(settings.sendgrid_webhook_public_key, settings.sendgrid_timestamp_tolerance),
            TwilioVerifier(
                [token.get_secret_value() for token in settings.twilio_auth_token], settings.public_base_url
            ),
            settings.max_body_bytes,
            settings.help_answer,
        )
    )
    tokens = TokenSigner([key.get_secret_value() for key in settings.token_keys])
    pages = Pages(settings.sender_name)
    write_keys = WriteKeys([key.get_secret_value() for key in settings.segment_write_keys])
    app.include_router(link_router(reception, tokens, pages))
    app.include_router(preference_router(reception, tokens, pages, Wording(settings.topics, settings.consent_wording)))
    app.include_router(tracking_router(reception, write_keys, settings.max_body_bytes))
    app.include_router(opt_in_router(reception, tokens, write_keys))
    app.add_middleware(
        Guard,
        rates={
            PAGES: ClientRates(settings.page_requests_per_minute),
            TRACKING: ClientRates(settings.tracking_requests_per_minute),
        },
    )

    # Outermost, so that what the guard refuses is counted too.
    app.add_middleware(CountAnswers, metrics=metrics)

    @app.get("/metrics", operation_id="metrics", summary="Counters for Prometheus", response_class=PlainTextResponse)
    async def tell_metrics() -> Response:
        content, content_type = metrics.render()
        return Response(content, headers={"Content-Type": content_type})

    @app.get("/healthz", operation_id="healthz", summary="Whether the process answers", response_model=Health)
    async def tell_health() -> Response:
        return JSONResponse({"status": "ok", "counts": dict(reception.counts)})

    @app.get(
        "/readyz",
        operation_id="readyz",
        summary="Whether requests can be made durable",
        response_model=Readiness,
        responses={503: {"model": Readiness, "description": "The landing zone is not writable."}},
    )
    async def tell_readiness() -> Response:
        try:
            await asyncio.to_thread(landing.check_writable)
        except OSError:
            return JSONResponse({"status": "the landing zone is not writable"}, HTTP_503_SERVICE_UNAVAILABLE)
        return JSONResponse({"status": "ready"})

    @app.exception_handler(BodyTooLarge)
    async def refuse_size(request: Request, error: Exception) -> Response:
        return Response("too large\n", HTTP_413_CONTENT_TOO_LARGE, {"Connection": "close"}, media_type="text/plain")

    @app.exception_handler(CannotUnpack)
    async def refuse_packing(request: Request, error: Exception) -> Response:
        return Response("send it plain or as gzip\n", HTTP_415_UNSUPPORTED_MEDIA_TYPE, media_type="text/plain")

    @app.exception_handler(NotDurable)
    async def ask_again(request: Request, error: Exception) -> Response:
        return Response("try again\n", HTTP_503_SERVICE_UNAVAILABLE, {"Retry-After": "30"}, media_type="text/plain")

    @app.exception_handler(ClientDisconnect)
    async def forget(request: Request, error: Exception) -> Response:
        return Response(status_code=HTTP_400_BAD_REQUEST)

    return app
