"""The doors behind the links in a message: a click leads on, an unsubscribe asks first and then obeys.

No GET changes anything but a log: mail gateways and messengers fetch every link they see.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.status import (
    HTTP_200_OK,
    HTTP_204_NO_CONTENT,
    HTTP_302_FOUND,
    HTTP_404_NOT_FOUND,
)

from rekindle.receiver.api import (
    CUT_OFF,
    TOO_MANY,
    TRY_AGAIN,
    Responses,
    described_form,
    described_methods,
    page,
    told,
    without_bodies,
)
from rekindle.receiver.pages import PRIVATE_HEADERS, Pages
from rekindle.receiver.reception import NotDurable, Reception, read_body_up_to
from rekindle.tokens import BadToken, TokenSigner
from rekindle.vocabulary import Stream

#: Of an unsubscribe's body only this much is kept; the address alone decides, so a longer one is not refused.
LONGEST_UNSUBSCRIBE_BODY = 16 * 1024
LONGEST_PATH = 2048  # characters kept of an address nobody could read

_NOT_OURS: Responses = {404: page("No token of ours.")}


def link_router(reception: Reception, tokens: TokenSigner, pages: Pages) -> APIRouter:
    """GET and HEAD /c/<token>; GET, HEAD and POST /u/<token>."""
    router = APIRouter(tags=["links"], default_response_class=HTMLResponse)

    @router.get(
        "/c/{token}",
        operation_id="follow_link",
        summary="A tracked link leads on",
        status_code=HTTP_302_FOUND,
        response_class=Response,
        responses={302: told("To the destination inside the token.", None, "Location"), **_NOT_OURS, **TOO_MANY},
    )
    async def follow(token: str, request: Request) -> Response:
        stream = Stream.LINK_CLICKS
        try:
            click = tokens.read_click(token)
        except BadToken:
            reception.count(stream, "token_refused")
            return pages.respond("not_found.html", HTTP_404_NOT_FOUND)
        # If it can not be written the person still gets where they wanted; the failure is counted and shown by /readyz.
        with suppress(NotDurable):
            await reception.land(stream, request, token=asdict(click), path="/c/")
        return Response(
            status_code=HTTP_302_FOUND, headers={**PRIVATE_HEADERS, "Location": _as_header(click.destination)}
        )

    @router.head(
        "/c/{token}",
        operation_id="probe_link",
        summary="A machine asks about a tracked link",
        response_class=Response,
        responses=without_bodies({200: told("Ours."), **_NOT_OURS, **TOO_MANY, **TRY_AGAIN}),
    )
    async def probe(token: str, request: Request) -> Response:
        stream = Stream.LINK_CLICKS
        try:
            click = tokens.read_click(token)
        except BadToken:
            reception.count(stream, "token_refused")
            return Response(status_code=HTTP_404_NOT_FOUND, headers=PRIVATE_HEADERS)
        await reception.land(stream, request, token=asdict(click), path="/c/")
        return Response(status_code=HTTP_200_OK, headers=PRIVATE_HEADERS)

    @router.get(
        "/u/{token}",
        operation_id="ask_to_unsubscribe",
        summary="The page with the button",
        responses={200: page("The page."), **_NOT_OURS, **TOO_MANY},
    )
    @router.head(
        "/u/{token}",
        operation_id="probe_unsubscribe",
        summary="A machine asks about the page",
        responses=without_bodies({200: told("Ours."), **_NOT_OURS, **TOO_MANY}),
    )
    async def ask(token: str) -> Response:
        try:
            unsubscribe = tokens.read_unsubscribe(token)
        except BadToken:
            reception.count(Stream.UNSUBSCRIBES, "token_refused")
            return pages.respond("not_found.html", HTTP_404_NOT_FOUND)
        return pages.respond("unsubscribe.html", HTTP_200_OK, channel=unsubscribe.channel)

    @router.post(
        "/u/{token}",
        operation_id="unsubscribe",
        summary="The button, or a mail program's one click (RFC 8058); also where the token is not ours",
        responses={200: page("Written down."), 503: page("Try again."), **CUT_OFF},
        openapi_extra=described_form(
            {"List-Unsubscribe": {"type": "string", "examples": ["One-Click"]}, "from": {"type": "string"}}
        ),
    )
    async def obey(token: str, request: Request) -> Response:
        stream = Stream.UNSUBSCRIBES
        body, _ = await read_body_up_to(request, LONGEST_UNSUBSCRIBE_BODY)
        try:
            unsubscribe = tokens.read_unsubscribe(token)
        except BadToken:
            # Somebody said no and we can not tell who: it is kept for a person to look at, and the page says so.
            reception.count(stream, "token_refused")
            await reception.land(stream, request, body, token=None, path=request.url.path[:LONGEST_PATH])
            return pages.respond("unsubscribe_unknown.html", HTTP_200_OK)
        try:
            await reception.land(stream, request, body, token=asdict(unsubscribe), path="/u/")
        except NotDurable:
            return pages.respond_try_again([("from", "page")])
        return pages.respond("unsubscribed.html", HTTP_200_OK, channel=unsubscribe.channel)

    @router.options("/c/{token}", operation_id="link_methods", **described_methods())
    async def allow_clicks(token: str) -> Response:
        return Response(status_code=HTTP_204_NO_CONTENT, headers={"Allow": "GET, HEAD, OPTIONS"})

    @router.options("/u/{token}", operation_id="unsubscribe_methods", **described_methods())
    async def allow_unsubscribes(token: str) -> Response:
        return Response(status_code=HTTP_204_NO_CONTENT, headers={"Allow": "GET, HEAD, POST, OPTIONS"})

    return router


def _as_header(destination: str) -> str:
    """The destination in ASCII: what a URL may hold stays as it is, anything else is percent-encoded."""
    return quote(destination, safe=":/?#[]@!$&'()*+,;=%-._~")
