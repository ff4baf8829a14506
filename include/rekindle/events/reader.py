"""Reads one file of the landing zone into rows. The receiver writes these files and never changes one."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rekindle.errors import BadInputError
from rekindle.events import app, links, opt_ins, preferences, sendgrid, twilio
from rekindle.events.json_elements import DECODER
from rekindle.events.landing_root import landing_name
from rekindle.events.rows import (
    WHOLE_REQUEST,
    AppEvent,
    DeadLetter,
    LandedRequest,
    MessageEvent,
    OptIn,
    PreferenceChoice,
    Rows,
    WebhookElement,
    instant_from_iso,
)
from rekindle.vocabulary import Stream

if TYPE_CHECKING:
    from upath import UPath

PARSERS: dict[Stream, Callable[[LandedRequest, Rows], None]] = {
    Stream.SENDGRID_EVENTS: sendgrid.parse_request,
    Stream.TWILIO_STATUS: twilio.parse_request,
    Stream.TWILIO_INBOUND: twilio.parse_request,
    Stream.LINK_CLICKS: links.parse_request,
    Stream.UNSUBSCRIBES: links.parse_request,
    Stream.APP_EVENTS: app.parse_request,
    Stream.PREFERENCES: preferences.parse_request,
    Stream.CONFIRMATIONS: preferences.parse_request,
    Stream.OPT_INS: opt_ins.parse_request,
}

#: What counts here is the link that was called; an unreadable body must not cost anybody their opt-out.
_BODY_DECIDES_NOTHING = frozenset({Stream.LINK_CLICKS, Stream.UNSUBSCRIBES, Stream.CONFIRMATIONS})


@dataclass(frozen=True, slots=True)
class LandingFile:
    """Everything one landing file holds. Each line gives at least one element or dead letter."""

    landing_file: str
    stream: Stream
    sha256: str
    byte_count: int
    elements: list[WebhookElement]
    dead_letters: list[DeadLetter]
    message_events: list[MessageEvent]
    app_events: list[AppEvent]
    preferences: list[PreferenceChoice]
    opt_ins: list[OptIn]


def read_landing_file(path: Path | UPath, root: Path | UPath, lines: frozenset[int] | None = None) -> LandingFile:
    """Read a landing file, or only these lines of it (from 1).

    Raises `BadInputError` only if it is not under a stream's folder of `root`.
    """
    landing_file = landing_name(path, root)
    try:
        stream = Stream(landing_file.partition("/")[0])
    except ValueError as error:
        streams = ", ".join(Stream)
        raise BadInputError(f"{landing_file} is not in a stream's folder; the folders are {streams}") from error
    content = path.read_bytes()
    rows = Rows()
    for number, line in _lines(content):
        if lines is not None and number not in lines:
            continue
        request = _read_request(line, number, landing_file, stream)
        if isinstance(request, DeadLetter):
            rows.dead_letters.append(request)
        else:
            PARSERS[stream](request, rows)
    return LandingFile(
        landing_file=landing_file,
        stream=stream,
        sha256=hashlib.sha256(content).hexdigest(),
        byte_count=len(content),
        elements=rows.elements,
        dead_letters=rows.dead_letters,
        message_events=rows.message_events,
        app_events=rows.app_events,
        preferences=rows.preferences,
        opt_ins=rows.opt_ins,
    )


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return enumerate(lines, start=1)


def _read_request(line: bytes, number: int, landing_file: str, stream: Stream) -> LandedRequest | DeadLetter:
    text = line.decode("utf-8", errors="replace")

    def bury(reason: str, received_at: datetime | None = None, payload: str = text) -> DeadLetter:
        return DeadLetter(landing_file, number, WHOLE_REQUEST, stream, received_at, reason, payload)

    try:
        record = DECODER.decode(text)
    except (ValueError, RecursionError):
        return bury("the line is not JSON")
    if not isinstance(record, dict):
        return bury("the line is not a JSON object")
    received_at = instant_from_iso(record.get("received_at"))
    if received_at is None:
        return bury("the line does not say when it was received")
    body = record.get("body", "")
    if "body_base64" in record:
        try:
            raw = base64.b64decode(record["body_base64"], validate=True)
            body = raw.decode(errors="replace" if stream in _BODY_DECIDES_NOTHING else "strict")
        except (TypeError, ValueError, binascii.Error):
            return bury("the body is not UTF-8", received_at)
    if not isinstance(body, str):
        return bury("the line has no body", received_at)
    token = record.get("token")
    return LandedRequest(
        landing_file=landing_file,
        line_number=number,
        stream=stream,
        received_at=received_at,
        body=body,
        remote=_text(record.get("remote")),
        method=_text(record.get("method")) or "POST",
        path=_text(record.get("path")) or "",
        headers=_texts(record.get("headers")),
        query=_texts(record.get("query")),
        token=_texts(token) if isinstance(token, dict) else None,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {name: text for name, text in value.items() if isinstance(text, str)}
