"""Clicks on tracked links and unsubscribes through our own page or a mail program's button."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from rekindle.events.bots import HONEYPOT, is_honeypot, is_scanner_network, is_software
from rekindle.events.rows import (
    OWN_PROVIDER,
    WHOLE_REQUEST,
    LandedRequest,
    MessageEvent,
    Rows,
    event_key,
    own_event,
    text_or_none,
)
from rekindle.vocabulary import EventType, Stream

#: What a browser says when it loads a page nobody has asked for yet.
PREFETCH_HEADERS = ("sec-purpose", "purpose", "x-purpose", "x-moz")


def parse_request(request: LandedRequest, rows: Rows) -> None:
    """Read one click or one unsubscribe into `rows`, as one element or one dead letter."""
    parse = parse_click if request.stream is Stream.LINK_CLICKS else parse_unsubscribe
    event = parse(request)
    payload = json.dumps(
        {
            "token": request.token,
            "method": request.method,
            "path": request.path,
            "remote": request.remote,
            "headers": request.headers,
            "body": request.body,
        }
    )
    if isinstance(event, str):
        rows.bury(request, WHOLE_REQUEST, event, payload)
        return
    rows.keep(request, 1, event.event_key, payload)
    rows.message_events.append(event)


def parse_click(request: LandedRequest) -> MessageEvent | str:
    """A click in our words; of the destination only the host is told."""
    token = request.token or {}
    message_id = text_or_none(token.get("message_id"))
    destination = text_or_none(token.get("destination"))
    if message_id is None or destination is None:
        return "the click's token says nothing"
    user_agent = request.headers.get("user-agent", "")
    try:
        host = urlsplit(destination).hostname
        key = event_key(
            OWN_PROVIDER,
            "click",
            message_id,
            destination,
            request.received_at.isoformat(),
            user_agent,
            request.remote,
            request.method,
        )
    except ValueError:
        return "the click holds text that is not a URL or not Unicode"
    trapped = is_honeypot(destination)
    human = is_human(request) and not trapped and not is_scanner_network(request.remote)
    return own_event(request, key, message_id, EventType.CLICKED, "click", None, human, HONEYPOT if trapped else host)


def is_human(request: LandedRequest) -> bool:
    """False for what no person does: HEAD, a prefetch, a scanner, no user agent at all."""
    if request.method != "GET" or any("prefetch" in request.headers.get(name, "").lower() for name in PREFETCH_HEADERS):
        return False
    return not is_software(request.headers.get("user-agent", ""))


def parse_unsubscribe(request: LandedRequest) -> MessageEvent | str:
    """An unsubscribe in our words; each use counts anew, because the person may have come back in between."""
    if request.method != "POST":
        return "only a POST unsubscribes"
    token = request.token or {}
    message_id = text_or_none(token.get("message_id"))
    hashed = text_or_none(token.get("address_hash"))
    if hashed is None:
        return "somebody wanted to unsubscribe and the token could not be read"
    body = request.body.lower()
    # RFC 8058: the body is List-Unsubscribe=One-Click, as a form or as multipart; our own page sends something else.
    detail = "one_click" if "list-unsubscribe" in body and "one-click" in body else "page"
    key = event_key(
        OWN_PROVIDER,
        "unsubscribe",
        message_id,
        hashed,
        text_or_none(token.get("channel")),
        text_or_none(token.get("topic")),
        request.received_at.isoformat(),
    )
    return own_event(request, key, message_id, EventType.UNSUBSCRIBED, "unsubscribe", hashed, None, detail)
