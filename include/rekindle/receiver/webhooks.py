"""The doors for SendGrid and Twilio. A signature that does not fit is answered 403 and nothing of it is kept."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from starlette.status import HTTP_200_OK, HTTP_403_FORBIDDEN, HTTP_503_SERVICE_UNAVAILABLE

from rekindle.receiver.api import TOO_LARGE, TRY_AGAIN, described_form
from rekindle.receiver.reception import Reception, read_body
from rekindle.receiver.signatures import SendGridVerifier, TwilioVerifier
from rekindle.replies.answers import NO_ANSWER, twiml_answer
from rekindle.vocabulary import Stream

SENDGRID_SIGNATURE_HEADER = "x-twilio-email-event-webhook-signature"
SENDGRID_TIMESTAMP_HEADER = "x-twilio-email-event-webhook-timestamp"
TWILIO_SIGNATURE_HEADER = "x-twilio-signature"
TWILIO_SETTINGS_HEADER = "x-twilio-webhooks-signature-settings"

#: An inbound text is at most 1600 characters; a status is a few hundred bytes.
LONGEST_TWILIO_BODY = 64 * 1024

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "On the disk."},
    403: {"description": "The signature does not fit."},
    **TOO_LARGE,
    **TRY_AGAIN,
}
_TWILIO_FORM = described_form(
    "application/x-www-form-urlencoded", "As Twilio signs it; JSON with bodySHA256 is taken too."
)


def webhook_router(
    reception: Reception,
    sendgrid: SendGridVerifier,
    twilio: TwilioVerifier,
    max_body_bytes: int,
    help_answer: str = "",
) -> APIRouter:
    """POST /webhooks/sendgrid/events, /webhooks/twilio/status and /webhooks/twilio/inbound."""
    router = APIRouter(prefix="/webhooks", tags=["providers"])

    @router.post(
        "/sendgrid/events",
        operation_id="sendgrid_events",
        summary="SendGrid's Signed Event Webhook",
        response_class=Response,
        responses=_RESPONSES,
        openapi_extra=described_form("application/json", "As SendGrid signs it."),
    )
    async def take_sendgrid_events(request: Request) -> Response:
        stream = Stream.SENDGRID_EVENTS
        if not sendgrid.is_configured:
            return _not_configured(reception, stream)
        body = await read_body(request, max_body_bytes)
        is_genuine = sendgrid.accepts(
            body,
            request.headers.get(SENDGRID_SIGNATURE_HEADER, ""),
            request.headers.get(SENDGRID_TIMESTAMP_HEADER, ""),
            reception.clock.now(),
        )
        if not is_genuine:
            return _refused(reception, stream)
        await reception.land(stream, request, body)
        return Response(status_code=HTTP_200_OK)

    async def take_twilio(stream: Stream, request: Request) -> Response:
        if not twilio.is_configured:
            return _not_configured(reception, stream)
        body = await read_body(request, min(LONGEST_TWILIO_BODY, max_body_bytes))
        is_genuine = twilio.accepts(
            request.scope.get("raw_path", request.url.path.encode()).decode("latin-1"),
            request.scope["query_string"].decode("latin-1"),
            body,
            request.headers.get("content-type"),
            request.headers.get(TWILIO_SIGNATURE_HEADER, ""),
            request.headers.get(TWILIO_SETTINGS_HEADER),
        )
        if not is_genuine:
            return _refused(reception, stream)
        await reception.land(stream, request, body, with_query=True)
        is_help = stream is Stream.TWILIO_INBOUND and bool(help_answer)
        return Response(_help_or_nothing(body, help_answer) if is_help else NO_ANSWER, media_type="text/xml")

    @router.post(
        "/twilio/status",
        operation_id="twilio_status",
        summary="A status callback",
        response_class=Response,
        responses=_RESPONSES,
        openapi_extra=_TWILIO_FORM,
    )
    async def take_twilio_status(request: Request) -> Response:
        return await take_twilio(Stream.TWILIO_STATUS, request)

    @router.post(
        "/twilio/inbound",
        operation_id="twilio_inbound",
        summary="A text of a person",
        response_class=Response,
        responses=_RESPONSES,
        openapi_extra=_TWILIO_FORM,
    )
    async def take_twilio_inbound(request: Request) -> Response:
        return await take_twilio(Stream.TWILIO_INBOUND, request)

    return router


def _help_or_nothing(body: bytes, help_answer: str) -> str:
    """Only a form is answered: what Twilio sends as JSON it does not read TwiML from."""
    words = parse_qs(body.decode("utf-8", "replace"))
    return twiml_answer(words.get("Body", [""])[0], words.get("OptOutType", [""])[0], help_answer)


def _refused(reception: Reception, stream: Stream) -> Response:
    reception.count(stream, "signature_refused")
    return Response("signature refused\n", HTTP_403_FORBIDDEN, media_type="text/plain")


def _not_configured(reception: Reception, stream: Stream) -> Response:
    # 503 and not 403: the provider tries again, and nothing is lost while somebody sets the secret.
    reception.count(stream, "not_configured")
    return Response("not configured\n", HTTP_503_SERVICE_UNAVAILABLE, media_type="text/plain")
