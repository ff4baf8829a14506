"""The pages where people say what they want: the preference page, and the confirmation of a sign-up.

The receiver does not read the warehouse, so the page does not show what somebody chose before: every choice on it is
something to change. A GET changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.status import HTTP_200_OK, HTTP_204_NO_CONTENT, HTTP_404_NOT_FOUND, HTTP_410_GONE

from rekindle.events.preferences import ALL, FREQUENCIES, Action, PreferenceForm, is_topic, read_form
from rekindle.receiver.api import (
    CUT_OFF,
    TOO_LARGE,
    TOO_MANY,
    Responses,
    described_form,
    described_methods,
    page,
    told,
    without_bodies,
)
from rekindle.receiver.pages import PRIVATE_HEADERS, Pages
from rekindle.receiver.reception import NotDurable, Reception, read_body
from rekindle.tokens import BadToken, ConfirmToken, PreferencesToken, TokenSigner
from rekindle.vocabulary import Channel, Choice, Stream

LONGEST_FORM = 16 * 1024  # bytes
#: A sign-up is confirmed within this time or not at all: nobody remembers a form for longer.
CONFIRMATION_PERIOD = timedelta(days=30)

_NOT_OURS: Responses = {404: page("No token of ours.")}
_RAN_OUT: Responses = {410: page("The sign-up was too long ago.")}
_TAKEN: Responses = {**_NOT_OURS, **TOO_LARGE, **TOO_MANY, 503: page("Try again."), **CUT_OFF}
_CHOICES = {
    "do": {"type": "string", "enum": [str(action) for action in Action]},
    "channel": {"type": "array", "items": {"type": "string", "enum": [str(channel) for channel in Channel]}},
    "topic": {"type": "array", "items": {"type": "string"}},
    "frequency": {"type": "string", "enum": [str(choice) for choice in FREQUENCIES]},
    "wording": {"type": "string", "description": "The version of the words that were shown."},
}

_NOTHING_CHOSEN = "You have not chosen anything yet. Nothing has changed."
_NO_TOPIC = "Please tick what you want to hear about. Nothing has changed."
_OTHER_WORDS = "We have changed the words below since you opened this page. Please read them again."


@dataclass(frozen=True)
class Wording:
    """What people can agree to, in which words. The version is made of the words, so it changes when they do."""

    topics: Mapping[str, str]  # id → label
    consent: str

    @property
    def version(self) -> str:
        return f"preference_page-{hashlib.sha256(self.consent.encode()).hexdigest()[:12]}"

    def offered(self, topic: str) -> dict[str, str]:
        """The topics of the page, that of the message among them."""
        own = {} if topic in self.topics or not is_topic(topic) else {topic: self.label(topic)}
        return {**self.topics, **own}

    def label(self, topic: str) -> str:
        """A topic as people read it."""
        return "everything" if topic == ALL else self.topics.get(topic, topic.replace("_", " ").capitalize())


def preference_router(reception: Reception, tokens: TokenSigner, pages: Pages, wording: Wording) -> APIRouter:
    """GET, HEAD and POST of /p/<token> and /confirm/<token>."""
    router = APIRouter(tags=["pages"], default_response_class=HTMLResponse)

    def unknown(stream: Stream) -> Response:
        reception.count(stream, "token_refused")
        return pages.respond("not_found.html", HTTP_404_NOT_FOUND)

    def choices_page(token: PreferencesToken, note: str = "") -> Response:
        return pages.respond(
            "preferences.html",
            HTTP_200_OK,
            channel=token.channel,
            topics=wording.offered(token.topic),
            wording=wording.consent,
            wording_version=wording.version,
            note=note,
        )

    @router.get(
        "/p/{token}",
        operation_id="show_preferences",
        summary="The preference page",
        responses={200: page("The page."), **_NOT_OURS, **TOO_MANY},
    )
    @router.head(
        "/p/{token}",
        operation_id="probe_preferences",
        summary="A machine asks about the page",
        responses=without_bodies({200: told("Ours."), **_NOT_OURS, **TOO_MANY}),
    )
    async def show_choices(token: str) -> Response:
        try:
            return choices_page(tokens.read_preferences(token))
        except BadToken:
            return unknown(Stream.PREFERENCES)

    @router.post(
        "/p/{token}",
        operation_id="choose_preferences",
        summary="What was chosen on the page",
        responses={200: page("Written down, or the page again with a note."), **_TAKEN},
        openapi_extra=described_form(_CHOICES, required=True),
    )
    async def take_choices(token: str, request: Request) -> Response:
        try:
            holder = tokens.read_preferences(token)
        except BadToken:
            return unknown(Stream.PREFERENCES)
        body = await read_body(request, LONGEST_FORM)
        text = body.decode(errors="replace")
        form = read_form(text)
        fault = _fault(form, wording)
        if form is None or fault:
            return choices_page(holder, fault)
        landed = {**asdict(holder), "token_sha256": _sha256(token)}
        if form.action is Action.RESUBSCRIBE:
            landed |= {"wording_version": wording.version, "wording": wording.consent}
        try:
            await reception.land(Stream.PREFERENCES, request, text.encode(), token=landed, path="/p/")
        except NotDurable:
            return pages.respond_try_again(parse_qsl(text))
        return pages.respond(
            "preferences_taken.html", HTTP_200_OK, lines=_told(form, wording), is_pause=form.action is Action.PAUSE
        )

    def confirmable(token: str) -> ConfirmToken | Response:
        try:
            confirm = tokens.read_confirm(token)
        except BadToken:
            return unknown(Stream.CONFIRMATIONS)
        if reception.clock.now().date() - confirm.requested_on > CONFIRMATION_PERIOD:
            reception.count(Stream.CONFIRMATIONS, "token_ran_out")
            return pages.respond("confirm_ran_out.html", HTTP_410_GONE)
        return confirm

    @router.get(
        "/confirm/{token}",
        operation_id="ask_to_confirm",
        summary="The page that confirms a sign-up",
        responses={200: page("The page."), **_RAN_OUT, **_NOT_OURS, **TOO_MANY},
    )
    @router.head(
        "/confirm/{token}",
        operation_id="probe_confirmation",
        summary="A machine asks about the page",
        responses=without_bodies({200: told("Ours."), **_RAN_OUT, **_NOT_OURS, **TOO_MANY}),
    )
    async def ask_to_confirm(token: str) -> Response:
        confirm = confirmable(token)
        if isinstance(confirm, Response):
            return confirm
        labels = [wording.label(topic) for topic in confirm.topics.split(",")]
        return pages.respond("confirm.html", HTTP_200_OK, channel=confirm.channel, labels=labels)

    @router.post(
        "/confirm/{token}",
        operation_id="confirm",
        summary="The button that confirms a sign-up",
        responses={200: page("Written down."), **_RAN_OUT, **_TAKEN},
        openapi_extra=described_form({}),
    )
    async def take_confirmation(token: str, request: Request) -> Response:
        confirm = confirmable(token)
        if isinstance(confirm, Response):
            return confirm
        await read_body(request, LONGEST_FORM)
        landed = {
            **asdict(confirm),
            "requested_on": confirm.requested_on.isoformat(),
            "token_sha256": _sha256(token),
        }
        try:
            await reception.land(Stream.CONFIRMATIONS, request, token=landed, path="/confirm/")
        except NotDurable:
            return pages.respond_try_again([])
        return pages.respond("confirmed.html", HTTP_200_OK, channel=confirm.channel)

    @router.options("/p/{token}", operation_id="preference_methods", **described_methods())
    @router.options("/confirm/{token}", operation_id="confirmation_methods", **described_methods())
    async def allow(token: str) -> Response:
        headers = {**PRIVATE_HEADERS, "Allow": "GET, HEAD, POST, OPTIONS"}
        return Response(status_code=HTTP_204_NO_CONTENT, headers=headers)

    return router


def _fault(form: PreferenceForm | None, wording: Wording) -> str:
    """Why the page is shown again; empty if it can be taken."""
    if form is None or form.is_empty:
        return _NOTHING_CHOSEN
    if form.action is not Action.RESUBSCRIBE:
        return ""
    if not form.topics:
        return _NO_TOPIC
    return "" if form.wording_version == wording.version else _OTHER_WORDS


def _told(form: PreferenceForm, wording: Wording) -> list[str]:
    """What was written down, in words."""
    if form.action is Action.PAUSE:
        return ["We leave you alone."]
    if form.action is Action.STOP:
        return ["No more messages, by e-mail or by text."]
    if form.action is Action.RESUBSCRIBE:
        return [f"You will hear from us again about: {wording.label(topic)}." for topic in form.topics]
    channels = {"email": "No more e-mails.", "sms": "No more text messages."}
    frequencies = {
        Choice.LESS_OFTEN: "At most one message in thirty days.",
        Choice.AS_USUAL: "As often as usual again.",
    }
    return [
        *([frequencies[form.frequency]] if form.frequency else []),
        *(f"No more about: {wording.label(topic)}." for topic in form.topics),
        *(channels[channel] for channel in form.channels),
    ]


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
