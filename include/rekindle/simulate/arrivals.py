"""What providers and people tell, as the receiver writes it down: lines of landing files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from rekindle.vocabulary import Stream

FORM = {"content-type": "application/x-www-form-urlencoded"}


class Landing:
    """A landing zone of one writer: each call of `land` is one file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self._files = 0

    def land(self, stream: Stream | str, lines: Iterable[Mapping[str, Any]], at: datetime) -> Path:
        """One landing file, as the receiver writes it."""
        self._files += 1
        folder = self.root / str(stream) / f"{at:%Y-%m-%d}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self._files:012d}-{at:%d%H%M%S}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path


def line(at: datetime, body: str = "", **words: Any) -> dict[str, Any]:
    """A request of nothing but its body."""
    return {"received_at": at.isoformat(), "remote": None, "headers": {}, "query": {}, "body": body} | words


def text_sid(message_id: str) -> str:
    """A Twilio message id, the same for the same message."""
    return "SM" + hashlib.md5(message_id.encode(), usedforsecurity=False).hexdigest()


def mail_event(message_id: str, event: str, at: datetime, email: str, **words: Any) -> dict[str, Any]:
    """One element of SendGrid's event webhook."""
    return {
        "event": event,
        "email": email,
        "timestamp": int(at.timestamp()),
        "rk_message_id": message_id,
        "sg_message_id": f"x{message_id}.recvd-1-0.0",
        "sg_event_id": "ignored",
    } | words


def text_status(message_id: str, status: str, at: datetime, to: str, error_code: str | None = None) -> dict[str, Any]:
    """One status callback of Twilio."""
    form = {"MessageSid": text_sid(message_id), "MessageStatus": status, "To": to}
    form |= {"ErrorCode": error_code} if error_code else {}
    return line(at, urlencode(form), headers=FORM, query={"mid": message_id})


def inbound_text(sender: str, body: str, at: datetime) -> dict[str, Any]:
    """One text from a person."""
    form = {"MessageSid": text_sid(f"{sender}{body}{at.isoformat()}"), "From": sender, "Body": body}
    return line(at, urlencode(form), headers=FORM)


def click(
    message_id: str,
    at: datetime,
    *,
    agent: str,
    method: str = "GET",
    destination: str = "https://app.example/",
    remote: str | None = None,
) -> dict[str, Any]:
    """Somebody, or something, followed a tracked link, from the network address `remote`."""
    token = {"message_id": message_id, "destination": destination}
    return line(at, method=method, headers={"user-agent": agent}, token=token) | {"remote": remote}


def unsubscribe(message_id: str, hashed: str, channel: str, at: datetime) -> dict[str, Any]:
    """The one-click button of a mail program (RFC 8058)."""
    token = {"message_id": message_id, "address_hash": hashed, "channel": channel, "topic": "marketing"}
    return line(at, "List-Unsubscribe=One-Click", method="POST", token=token)
