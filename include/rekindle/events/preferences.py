"""What people chose on the preference page, and what they confirmed: consent with its evidence, one row per choice.

Only a POST chooses anything. A link grants consent for the address it was sent to and for no other; it may withdraw it
for every address of the person.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl

from rekindle.events.rows import (
    OWN_PROVIDER,
    WHOLE_REQUEST,
    LandedRequest,
    PreferenceChoice,
    Rows,
    event_key,
    own_event,
    text_or_none,
)
from rekindle.identity import address_hash, stable_id
from rekindle.vocabulary import Channel, Choice, ConsentSource, EventType, Stream

ALL = "all"

_TOPIC = re.compile(r"[a-z][a-z0-9_]{0,63}")
MOST_FIELDS = 200  # of a form; a page of ours has a dozen


class Action(StrEnum):
    """The button that was pressed."""

    PAUSE = "pause"
    SAVE = "save"
    STOP = "stop"
    RESUBSCRIBE = "resubscribe"


@dataclass(frozen=True, slots=True)
class PreferenceForm:
    """The preference page as it was sent. `topics` are to stop, or to get again, by the button."""

    action: Action
    channels: tuple[Channel, ...] = ()
    topics: tuple[str, ...] = ()
    frequency: Choice | None = None
    wording_version: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was chosen."""
        return self.action is Action.SAVE and not (self.channels or self.topics or self.frequency)


def is_topic(text: str) -> bool:
    """Whether `text` can be a campaign's topic; `all` is ours."""
    return text != ALL and _TOPIC.fullmatch(text) is not None


def read_form(body: str) -> PreferenceForm | None:
    """The form of a preference page, or None if it names no button of ours; what nobody offered is left out."""
    try:
        pairs = parse_qsl(body, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        return None
    told = dict(reversed(pairs))
    if told.get("do") not in list(Action):
        return None
    chosen = {value for name, value in pairs if name == "channel"}
    return PreferenceForm(
        action=Action(told["do"]),
        channels=tuple(channel for channel in Channel if channel in chosen),
        topics=tuple(dict.fromkeys(value for name, value in pairs if name == "topic" and is_topic(value))),
        frequency=next((choice for choice in FREQUENCIES if choice == told.get("frequency")), None),
        wording_version=text_or_none(told.get("wording")),
    )


FREQUENCIES = (Choice.LESS_OFTEN, Choice.AS_USUAL)


def parse_request(request: LandedRequest, rows: Rows) -> None:
    """Read one sent preference page or one confirmation into `rows`."""
    parse = parse_confirmation if request.stream is Stream.CONFIRMATIONS else parse_preferences
    fault = parse(request, rows) if request.method == "POST" else "only a POST chooses anything"
    if fault is not None:
        rows.bury(request, WHOLE_REQUEST, fault, _payload(request))


def parse_preferences(request: LandedRequest, rows: Rows) -> str | None:
    """Keep every choice of a sent preference page; returns the reason if it can not be used."""
    token = request.token or {}
    hashed, channel = text_or_none(token.get("address_hash")), token.get("channel")
    if hashed is None or channel not in list(Channel):
        return "the page's token says nothing"
    form = read_form(request.body)
    if form is None or form.is_empty:
        return "the form chooses nothing"
    if form.action is Action.RESUBSCRIBE and not (form.topics and token.get("wording_version")):
        return "the form asks for messages and shows no topic or no wording"
    key = event_key(
        OWN_PROVIDER, "preferences", hashed, channel, request.received_at.isoformat(), request.remote, request.body
    )
    for at, topic, choice in _choices(form, str(channel)):
        _choose(request, rows, key, (hashed, str(channel)), (at, topic, choice), ConsentSource.PREFERENCE_PAGE)
    event_type = {
        Action.PAUSE: EventType.PREFERENCE_PAUSED,
        Action.STOP: EventType.UNSUBSCRIBED,
        Action.RESUBSCRIBE: EventType.RESUBSCRIBED,
    }.get(form.action)
    if event_type is not None:
        rows.message_events.append(
            own_event(request, key, _message_id(request), event_type, "preferences", hashed, None, "page")
        )
    rows.keep(request, 1, key, _payload(request))
    return None


def parse_confirmation(request: LandedRequest, rows: Rows) -> str | None:
    """Keep the consent that a double opt-in confirmed; returns the reason if it can not be used."""
    token = request.token or {}
    hashed, channel = text_or_none(token.get("address_hash")), token.get("channel")
    topics = [topic for topic in token.get("topics", "").split(",") if is_topic(topic) or topic == ALL]
    if hashed is None or channel not in list(Channel) or not topics or not token.get("wording_version"):
        return "the confirmation's token says nothing"
    # The same opt-in confirmed twice is one consent, given the first time.
    key = event_key(OWN_PROVIDER, "confirm", token.get("opt_in_id"), hashed, channel)
    for topic in topics:
        chosen = (str(channel), topic, Choice.GRANTED)
        _choose(request, rows, key, (hashed, str(channel)), chosen, ConsentSource.CONFIRM_PAGE)
    kind = EventType.RESUBSCRIBED
    rows.message_events.append(
        own_event(request, key, _message_id(request), kind, "confirm", hashed, None, "confirm_page")
    )
    rows.keep(request, 1, key, _payload(request))
    return None


def evidence_of(request: LandedRequest, key: str, **more: str | None) -> str:
    """Where a choice is written and who made it, as JSON: hashes only, the raw request is found by its event key."""
    token = request.token or {}
    return json.dumps(
        {
            "event_key": key,
            "landing_file": request.landing_file,
            "line": request.line_number,
            "remote_hash": address_hash(request.remote) if request.remote else None,
            "token_hash": token.get("token_sha256"),
            **more,
        }
    )


def _choices(form: PreferenceForm, channel: str) -> list[tuple[str, str, Choice]]:
    """Channel, topic and choice of every row the form makes."""
    if form.action is Action.PAUSE:
        return [(ALL, ALL, Choice.PAUSED)]
    if form.action is Action.STOP:
        return [(ALL, ALL, Choice.REVOKED)]
    if form.action is Action.RESUBSCRIBE:
        return [(channel, topic, Choice.GRANTED) for topic in form.topics]
    return [
        *((stopped, ALL, Choice.REVOKED) for stopped in form.channels),
        *((ALL, topic, Choice.REVOKED) for topic in form.topics),
        *((ALL, ALL, frequency) for frequency in FREQUENCIES if frequency is form.frequency),
    ]


def _choose(
    request: LandedRequest,
    rows: Rows,
    key: str,
    address: tuple[str, str],
    chosen: tuple[str, str, Choice],
    source: ConsentSource,
) -> None:
    token = request.token or {}
    channel, topic, choice = chosen
    rows.preferences.append(
        PreferenceChoice(
            choice_id=stable_id("choice", key, channel, topic, choice),
            event_key=key,
            message_id=text_or_none(token.get("message_id")),
            address_hash=address[0],
            address_channel=address[1],
            channel=channel,
            topic=topic,
            choice=choice,
            wording_version=text_or_none(token.get("wording_version")) if choice is Choice.GRANTED else None,
            source=source,
            evidence=evidence_of(request, key),
            jurisdiction=None,
            occurred_at=request.received_at,
            landing_file=request.landing_file,
        )
    )


def _message_id(request: LandedRequest) -> str | None:
    return text_or_none((request.token or {}).get("message_id"))


def _payload(request: LandedRequest) -> str:
    return json.dumps(
        {
            "token": request.token,
            "method": request.method,
            "path": request.path,
            "remote": request.remote,
            "headers": request.headers,
            "body": request.body,
        }
    )
