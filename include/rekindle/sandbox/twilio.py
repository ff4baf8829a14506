"""Twilio's side of the wire: creating, fetching and listing messages, and the forms it calls back with."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import format_datetime
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import phonenumbers
from pydantic_core import from_json, to_json

API_VERSION = "2010-04-01"
MAX_BODY_CHARACTERS = 1600
MAX_MEDIA = 10
#: A message may be scheduled more than 300 seconds and at most 35 days ahead.
SCHEDULE_SECONDS = (300, 35 * 86400)

Form = list[tuple[str, str]]

#: Twilio's documented magic numbers, so that every refusal can be had on purpose.
MAGIC_FROM = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
MAGIC_TO = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}

MESSAGES = {
    20001: "{detail}",
    20003: "Authenticate",
    20004: "Method not allowed",
    20404: "The requested resource {detail} was not found",
    20429: "Too Many Requests",
    20500: "An internal server error has occurred",
    21211: "Invalid 'To' Phone Number: {to}",
    21212: "Invalid From Number (caller ID): {sender}",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {to}",
    21602: "Message body is required.",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21606: (
        "The From phone number {sender} is not a valid, SMS-capable inbound phone number or short code"
        " for your account."
    ),
    21609: "The 'StatusCallback' URL {detail} is not a valid URL.",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number has exceeded the maximum number of queued messages",
    21612: "The 'To' phone number: {to}, is not currently reachable using the 'From' phone number: {sender} via SMS.",
    21614: "'To' number is not a valid mobile number: {to}",
    21617: "The concatenated message body exceeds the 1600 character limit",
    21623: "Number of media files exceeds allowed limit of 10",
    21701: "The Messaging Service Sid {detail} is invalid.",
    30409: "The message can not be changed in its present status",
    35111: "SendAt is required to schedule a message",
    35114: "SendAt must be an ISO 8601 instant more than 300 seconds and at most 35 days from now",
    35118: "A MessagingServiceSid is required to schedule a message",
}
STATUS_OF_CODE = {20003: 401, 20004: 405, 20404: 404, 20429: 429, 20500: 500}

_E164 = re.compile(r"\+[1-9]\d{6,14}")
_SHORT_CODE = re.compile(r"\d{3,8}")
_ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 +&_-]{1,11}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_CORRELATION = re.compile(r"[0-9a-f]{32}")
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]+")

STOP_WORDS = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"})
START_WORDS = frozenset({"start", "yes", "unstop"})


#: https://www.twilio.com/docs/messaging: the Compliance Toolkit's consent items.
CONSENT_STATUSES = frozenset({"opt-in", "opt-out"})
CONSENT_SOURCES = frozenset({"website", "offline", "opt-in-message", "opt-out-message", "others"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """One error answer: the numeric code is what programs go by."""

    code: int
    to: str = ""
    sender: str = ""
    detail: str = ""

    @property
    def status(self) -> int:
        return STATUS_OF_CODE.get(self.code, 400)

    def body(self) -> bytes:
        message = MESSAGES[self.code].format(to=self.to, sender=self.sender, detail=self.detail)
        return to_json(
            {
                "code": self.code,
                "message": message,
                "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
                "status": self.status,
            }
        )


# --- segments

_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENSION = frozenset("\f^{}\\[~]|€")


def count_segments(body: str) -> int:
    """Segments as the carrier counts them (3GPP TS 23.038): escape and surrogate pairs are never split."""
    if all(character in _GSM or character in _GSM_EXTENSION for character in body):
        single, part, sizes = 160, 153, [2 if character in _GSM_EXTENSION else 1 for character in body]
    else:
        single, part, sizes = 70, 67, [2 if ord(character) > 0xFFFF else 1 for character in body]
    if sum(sizes) <= single:
        return 1 if body else 0
    segments, used = 1, 0
    for size in sizes:
        if used + size > part:
            segments, used = segments + 1, 0
        used += size
    return segments


# --- messages


@dataclass(slots=True)
class Message:
    """One accepted text message; `status` and what follows moves with the logical clock."""

    sid: str
    account_sid: str
    number: int
    to: str
    sender: str | None
    service_sid: str | None
    body: str
    media: int
    status_callback: str | None
    accepted_at: int
    starts_at: int
    status: str
    segments: int
    direction: str = "outbound-api"
    error_code: int | None = None
    sent_at: int | None = None
    updated_at: int = 0

    @property
    def callback_arguments(self) -> dict[str, str]:
        """The query of the StatusCallback: what the sender wants echoed."""
        if self.status_callback is None:
            return {}
        return {name: values[0] for name, values in parse_qs(urlsplit(self.status_callback).query).items()}

    @property
    def key(self) -> str:
        """What the text's fate is derived from: our id where there is one."""
        return self.callback_arguments.get("mid") or self.sid

    def resource(self) -> dict[str, object]:
        """The Message resource."""
        # A messaging service has not split the body before it picked a sender.
        segments = 0 if self.service_sid and self.sender is None else self.segments
        path = f"/{API_VERSION}/Accounts/{self.account_sid}/Messages/{self.sid}"
        return {
            "account_sid": self.account_sid,
            "api_version": API_VERSION,
            "body": self.body,
            "date_created": rfc2822(self.accepted_at),
            "date_sent": rfc2822(self.sent_at),
            "date_updated": rfc2822(max(self.updated_at, self.accepted_at)),
            "direction": self.direction,
            "error_code": self.error_code,
            "error_message": None if self.error_code is None else f"Delivery failed with error {self.error_code}",
            "from": self.sender,
            "messaging_service_sid": self.service_sid,
            "num_media": str(self.media),
            "num_segments": str(segments),
            "price": None,
            "price_unit": "USD",
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {"media": f"{path}/Media.json"},
            "tags": None,
            "to": self.to,
            "uri": f"{path}.json",
        }


def rfc2822(instant: int | None) -> str | None:
    """`Sat, 18 Jul 2026 18:00:00 +0000`, as Twilio writes dates."""
    return None if instant is None else format_datetime(datetime.fromtimestamp(instant, UTC))


def parse_form(raw: bytes) -> Form:
    """The fields of a form body, empty ones included."""
    return parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True)


def parse_consent(text: str) -> dict[str, str] | None:
    """One item of `Items` of the Consents Bulk API; None if it is no JSON object of texts."""
    try:
        item = from_json(text)
    except ValueError:
        return None
    if not isinstance(item, dict) or not all(isinstance(value, str) for value in item.values()):
        return None
    return item


def problems_with_consent(item: Mapping[str, str]) -> list[str]:
    """Why the Compliance Toolkit would not take the item; empty when it does."""
    problems = []
    if not _is_number(item.get("contact_id", "")):
        problems.append("contact_id must be a valid E.164 phone number")
    if not _CORRELATION.fullmatch(item.get("correlation_id", "")):
        problems.append("correlation_id must be a 32-character UUID")
    if not (_SERVICE.fullmatch(item.get("sender_id", "")) or _is_sender(item.get("sender_id", ""))):
        problems.append("sender_id must be a messaging service sid or a from number")
    if item.get("status") not in CONSENT_STATUSES:
        problems.append("status must be opt-in or opt-out")
    if item.get("source") not in CONSENT_SOURCES:
        problems.append("source is invalid")
    return problems


def refusal_of(form: Form, now: int, opted_out: Mapping[tuple[str, str], int]) -> Refusal | None:
    """Why Twilio would not take this message; none when it does."""
    values = dict(form)
    to, sender, service = values.get("To", ""), values.get("From", ""), values.get("MessagingServiceSid", "")
    body, callback = values.get("Body", ""), values.get("StatusCallback", "")
    if not to:
        return Refusal(21604)
    if not sender and not service:
        return Refusal(21603)
    if service and not _SERVICE.fullmatch(service):
        return Refusal(21701, detail=service)
    if not body and not values.get("MediaUrl") and not values.get("ContentSid"):
        return Refusal(21602)
    if len(body) > MAX_BODY_CHARACTERS:
        return Refusal(21617)
    if sum(name == "MediaUrl" for name, _ in form) > MAX_MEDIA:
        return Refusal(21623)
    if callback and not _is_callback_url(callback):
        return Refusal(21609, detail=callback)
    if sender in MAGIC_FROM:
        return Refusal(MAGIC_FROM[sender], to=to, sender=sender)
    if sender and not _is_sender(sender):
        return Refusal(21212, sender=sender)
    if to in MAGIC_TO:
        return Refusal(MAGIC_TO[to], to=to, sender=sender or service)
    if to == sender or not _is_number(to):
        return Refusal(21211, to=to)
    if (service or sender, to) in opted_out:
        return Refusal(21610)
    return _refusal_of_schedule(values, now)


def _refusal_of_schedule(values: Mapping[str, str], now: int) -> Refusal | None:
    if "ScheduleType" not in values and "SendAt" not in values:
        return None
    if not values.get("MessagingServiceSid"):
        return Refusal(35118)
    if not values.get("SendAt") or values.get("ScheduleType") != "fixed":
        return Refusal(35111)
    earliest, latest = SCHEDULE_SECONDS
    send_at = _instant(values["SendAt"])
    return None if send_at is not None and earliest < send_at - now <= latest else Refusal(35114)


def _instant(text: str) -> int | None:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp())


def _is_number(number: str) -> bool:
    if not _E164.fullmatch(number):
        return False
    try:
        return bool(phonenumbers.is_possible_number(phonenumbers.parse(number, None)))
    except phonenumbers.NumberParseException:
        return False


def _is_sender(sender: str) -> bool:
    return bool(_E164.fullmatch(sender) or _SHORT_CODE.fullmatch(sender) or _ALPHANUMERIC.fullmatch(sender))


def _is_callback_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    # Twilio takes no underscore in the host name.
    return (
        parts.scheme in {"http", "https"}
        and bool(host)
        and _HOST.fullmatch(parts.netloc.rpartition("@")[2]) is not None
    )


def message_from(form: Form, sid: str, account_sid: str, number: int, accepted_at: int) -> Message:
    """The message a valid form describes, in its first status."""
    values = dict(form)
    service = values.get("MessagingServiceSid") or None
    send_at = _instant(values.get("SendAt", ""))
    status = "scheduled" if send_at is not None else "accepted" if service else "queued"
    return Message(
        sid=sid,
        account_sid=account_sid,
        number=number,
        to=values["To"],
        sender=values.get("From") or None,
        service_sid=service,
        body=values.get("Body", ""),
        media=sum(name == "MediaUrl" for name, _ in form),
        status_callback=values.get("StatusCallback") or None,
        accepted_at=accepted_at,
        starts_at=accepted_at if send_at is None else send_at,
        status=status,
        segments=count_segments(values.get("Body", "")),
        updated_at=accepted_at,
    )


def message_sid(seed: int, number: int, accepted_at: int, raw: bytes, *, media: bool = False) -> str:
    """A message sid, never the same for two messages."""
    mark = f"{seed}|text|{number}|{accepted_at}".encode()
    return ("MM" if media else "SM") + hashlib.blake2b(raw, digest_size=16, key=mark[:64]).hexdigest()


# --- the list


@dataclass(slots=True)
class MessageStore:
    """Every message of the account, inbound ones included, in the order they came."""

    by_sid: dict[str, Message] = field(default_factory=dict)
    in_order: list[Message] = field(default_factory=list)
    by_to: dict[str, list[Message]] = field(default_factory=dict)

    def add(self, message: Message) -> None:
        self.by_sid[message.sid] = message
        self.in_order.append(message)
        self.by_to.setdefault(message.to, []).append(message)

    def newest_first(self, to: str | None) -> Iterator[Message]:
        return reversed(self.in_order if to is None else self.by_to.get(to, []))


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The filters and the page of one `GET Messages.json`.

    Twilio documents the date filters as GMT days, whatever time the SDK adds: the time part is not looked at, so an
    answer may hold more than was asked for and never less. A message without `date_sent` is in no date filter.
    """

    to: str | None
    sender: str | None
    sent_on: date | None
    sent_until: date | None
    sent_from: date | None
    page_size: int
    page: int
    #: `number` of the last message on the page before; newer ones do not shift the pages.
    before: int | None

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> ListQuery:
        """Raises `ValueError` for what is not a date, a number or a page token of ours."""
        token = parameters.get("PageToken", "")
        if token and not token.startswith("PASM"):
            raise ValueError(f"PageToken {token!r} is not one of this list")
        return cls(
            to=parameters.get("To") or None,
            sender=parameters.get("From") or None,
            sent_on=_day(parameters.get("DateSent")),
            sent_until=_day(parameters.get("DateSent<")),
            sent_from=_day(parameters.get("DateSent>")),
            page_size=min(1000, max(1, int(parameters.get("PageSize") or 50))),
            page=max(0, int(parameters.get("Page") or 0)),
            before=int(token[4:], 16) if token else None,
        )

    def matches(self, message: Message) -> bool:
        if self.sender is not None and message.sender != self.sender:
            return False
        if self.sent_on is None and self.sent_until is None and self.sent_from is None:
            return True
        if message.sent_at is None:
            return False
        day = datetime.fromtimestamp(message.sent_at, UTC).date()
        return (
            (self.sent_on is None or day == self.sent_on)
            and (self.sent_until is None or day <= self.sent_until)
            and (self.sent_from is None or day >= self.sent_from)
        )


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text[:10]) if text else None


def list_page(
    store: MessageStore, query: ListQuery, account_sid: str, parameters: Mapping[str, str]
) -> dict[str, object]:
    """One page of the list, newest first, with the links the SDK follows."""
    wanted: list[Message] = []
    to_skip = query.page * query.page_size if query.before is None else 0
    for message in store.newest_first(query.to):
        if query.before is not None and message.number >= query.before:
            continue
        if not query.matches(message):
            continue
        if to_skip:
            to_skip -= 1
            continue
        wanted.append(message)
        if len(wanted) > query.page_size:
            break
    more = len(wanted) > query.page_size
    shown = wanted[: query.page_size]
    path = f"/{API_VERSION}/Accounts/{account_sid}/Messages.json"
    filters = {name: value for name, value in parameters.items() if name not in {"PageSize", "Page", "PageToken"}}

    def link(page: int, **token: str) -> str:
        return f"{path}?{urlencode({**filters, 'PageSize': query.page_size, 'Page': page, **token})}"

    start = query.page * query.page_size
    return {
        "messages": [message.resource() for message in shown],
        "page": query.page,
        "page_size": query.page_size,
        "start": start,
        "end": start + max(0, len(shown) - 1),
        "uri": f"{path}?{urlencode(dict(parameters))}" if parameters else path,
        "first_page_uri": link(0),
        "previous_page_uri": link(query.page - 1) if query.page else None,
        "next_page_uri": link(query.page + 1, PageToken=f"PASM{shown[-1].number:032x}") if more else None,
    }


# --- callbacks


@dataclass(frozen=True, slots=True)
class CallbackPolicy:
    """How a callback is retried: the fragment of its URL, which is not part of what is signed."""

    url: str
    retries: int = 1
    retried: frozenset[str] = frozenset({"ct"})

    @classmethod
    def of(cls, url: str) -> CallbackPolicy:
        bare, _, fragment = url.partition("#")
        settings = dict(parse_qsl(fragment))
        count = settings.get("rc", "")
        kinds = frozenset(settings["rp"].split(",")) if settings.get("rp") else frozenset({"ct"})
        return cls(bare, min(5, int(count)) if count.isdigit() else 1, kinds)

    def retries_after(self, outcome: str) -> bool:
        """Whether `outcome` (4xx, 5xx, ct or rt) is tried again."""
        return bool(self.retried & {outcome, "all"})


def status_form(message: Message, status: str, error_code: int | None, at: int) -> Form:
    """The form of one status callback."""
    form = [
        ("ApiVersion", API_VERSION),
        ("AccountSid", message.account_sid),
        ("MessageSid", message.sid),
        ("SmsSid", message.sid),
        ("MessageStatus", status),
        ("SmsStatus", status),
        ("From", message.sender or ""),
        ("To", message.to),
    ]
    if message.service_sid:
        form.append(("MessagingServiceSid", message.service_sid))
    if error_code is not None:
        form.append(("ErrorCode", str(error_code)))
    if status in {"delivered", "undelivered"}:
        form.append(("RawDlrDoneDate", datetime.fromtimestamp(at, UTC).strftime("%y%m%d%H%M")))
    return form


def inbound_form(message: Message) -> Form:
    """The form of one forwarded inbound message."""
    form = [
        ("ApiVersion", API_VERSION),
        ("AccountSid", message.account_sid),
        ("MessageSid", message.sid),
        ("SmsSid", message.sid),
        ("SmsMessageSid", message.sid),
        ("SmsStatus", "received"),
        ("From", message.sender or ""),
        ("To", message.to),
        ("Body", message.body),
        ("NumMedia", "0"),
        ("NumSegments", str(message.segments)),
        ("ToCountry", "US"),
        ("FromCountry", region_of(message.sender or "")),
        *((f"{end}{part}", "") for end in ("From", "To") for part in ("City", "State", "Zip")),
    ]
    if message.service_sid:
        form.append(("MessagingServiceSid", message.service_sid))
    return form


def region_of(number: str) -> str:
    """The country a number was assigned in, or nothing."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number, None)) or ""
    except phonenumbers.NumberParseException:
        return ""


def opt_out_word(body: str) -> str | None:
    """`STOP` or `START` when the text is one of Twilio's default single words, in any case."""
    word = body.strip().lower()
    if word in STOP_WORDS:
        return "STOP"
    return "START" if word in START_WORDS else None


def signature(auth_token: str, url: str, form: Form) -> str:
    """`X-Twilio-Signature` of a form: HMAC-SHA1 over the URL without fragment and the sorted fields."""
    text = url + "".join(name + value for name, value in sorted(set(form)))
    return base64.b64encode(hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def form_body(form: Sequence[tuple[str, str]]) -> bytes:
    return urlencode(form).encode()
