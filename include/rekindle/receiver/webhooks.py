"""The doors for SendGrid and Twilio. A signature that does not fit is answered 403 and nothing of it is kept."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from starlette.status import HTTP_200_OK, HTTP_403_FORBIDDEN, HTTP_503_SERVICE_UNAVAILABLE

from rekindle.receiver.api import CUT_OFF, TOO_LARGE, TRY_AGAIN, Responses, described_webhook, told
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

_REFUSED: Responses = {403: told("The signature does not fit."), **TOO_LARGE, **TRY_AGAIN, **CUT_OFF}
_SENDGRID_RESPONSES: Responses = {200: told("On the disk.", None), **_REFUSED}
_TWILIO_RESPONSES: Responses = {200: told("On the disk. The body is TwiML.", "text/xml"), **_REFUSED}

_SENDGRID_WEBHOOK = described_webhook(
    {
        SENDGRID_SIGNATURE_HEADER: "Base64 of the ECDSA signature over the time stamp and the raw body.",
        SENDGRID_TIMESTAMP_HEADER: "Unix seconds.",
    },
    json={"type": "array", "items": {"type": "object"}},
)
_TWILIO_WEBHOOK = described_webhook(
    {
        TWILIO_SIGNATURE_HEADER: "Base64 of the HMAC over our address and the form's parameters.",
        TWILIO_SETTINGS_HEADER: "Names the hash where it is not SHA-1.",
    },
    form={"type": "object", "additionalProperties": {"type": "string"}},
    json={"type": "object"},
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
        responses=_SENDGRID_RESPONSES,
        openapi_extra=_SENDGRID_WEBHOOK,
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
        responses=_TWILIO_RESPONSES,
        openapi_extra=_TWILIO_WEBHOOK,
    )
    async def take_twilio_status(request: Request) -> Response:
        return await take_twilio(Stream.TWILIO_STATUS, request)

    @router.post(
        "/twilio/inbound",
        operation_id="twilio_inbound",
        summary="A text of a person",
        response_class=Response,
        responses=_TWILIO_RESPONSES,
        openapi_extra=_TWILIO_WEBHOOK,
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
    return Response("not configured\n", HTTP_503_SERVICE_UNAVAILABLE, {"Retry-After": "30"}, media_type="text/plain")
