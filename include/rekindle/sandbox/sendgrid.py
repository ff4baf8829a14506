"""SendGrid's side of the wire: what `/v3/mail/send` accepts and refuses, what the lists hold, how events look.

Refusals carry the documented texts where SendGrid documents them; the shape is always `{"errors": [{"message", "field",
"help"}]}`, and one bad address refuses the whole request.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic_core import from_json, to_json

MAX_PERSONALIZATIONS = 1000
MAX_RECIPIENTS = 1000
MAX_BYTES_OF_ARGS = 9_999  # "less than 10,000 bytes"
MAX_BYTES_OF_SUBSTITUTIONS = 10_000  # "may not exceed 10,000 bytes"
MAX_BYTES_OF_MESSAGE = 30 * 1024 * 1024
MAX_CATEGORIES = 10
MAX_SCHEDULE_SECONDS = 72 * 3600
#: Accepted and thrown away: SendGrid's own test domain.
SINK_DOMAIN = "@sink.sendgrid.net"

RESERVED_HEADERS = frozenset(
    {
        "x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding",
        "to", "from", "subject", "reply-to", "cc", "bcc",
    }
)  # fmt: skip

_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63}"
)
_HELP = "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#"
_DUPLICATE = (
    "Each email address in the personalization block should be unique between to, cc, and bcc."
    " We found the first duplicate instance of [{address}] in the personalizations.{index}.{kind} field."
)

Problem = dict[str, str | None]
Document = dict[str, Any]


def problem(message: str, field_name: str | None = None, anchor: str | None = None) -> Problem:
    """One element of an error body."""
    return {"message": message, "field": field_name, "help": _HELP + anchor if anchor else None}


def error_body(*problems: Problem) -> bytes:
    return to_json({"errors": list(problems)})


UNAUTHORIZED = error_body(problem("The provided authorization grant is invalid, expired, or revoked"))
BAD_REQUEST = error_body(problem("Bad Request"))
WRONG_CONTENT_TYPE = error_body(problem("Content-Type should be application/json."))
TOO_LARGE = error_body(problem("Payload too large: a message may have up to 30 MB."))
NOT_FOUND = error_body(problem("not found"))
METHOD_NOT_ALLOWED = error_body(problem("method not allowed"))
#: Key order as SendGrid documents it.
TOO_MANY_REQUESTS = b'{"errors":[{"field":null,"message":"too many requests"}]}'
SERVER_ERROR = error_body(problem("Internal Server Error"))


# --- what is accepted


def parse(raw: bytes) -> Document | None:
    """The JSON object in a request body, or none."""
    try:
        document = from_json(raw, cache_strings="keys")
    except ValueError:
        return None
    return document if type(document) is dict else None


def problems_with(document: Document, now: int, bad_recipients: Sequence[str] = ()) -> list[Problem]:
    """Everything SendGrid would refuse this mail for; addresses containing one of `bad_recipients` count as invalid."""
    problems = _problems_with_envelope(document, now)
    personalizations = document.get("personalizations")
    if not isinstance(personalizations, list) or not personalizations:
        message = "The personalizations field is required and must have at least one personalization."
        return [*problems, problem(message, "personalizations", "-Personalizations-Errors")]
    if len(personalizations) > MAX_PERSONALIZATIONS:
        message = (
            "The personalization block is limited to 1000 personalizations per API request. You have provided"
            f" {len(personalizations)} personalizations. Please consider splitting this into multiple requests and"
            " resending your request."
        )
        return [*problems, problem(message, "personalizations", "-Personalizations-Errors")]
    recipients = 0
    shared_args = document.get("custom_args")
    if not isinstance(shared_args, dict):
        shared_args = {}
    shared_size = _bytes_of(shared_args)
    valid_address = _ADDRESS.fullmatch
    for index, personalization in enumerate(personalizations):
        # The common case, one plain recipient, is told apart without building anything: 1,000 of them come per request.
        try:
            (recipient,) = personalization["to"]
            address = recipient["email"]
            plain = (
                valid_address(address) is not None
                and "name" not in recipient
                and "cc" not in personalization
                and "bcc" not in personalization
                and "send_at" not in personalization
            )
        except (KeyError, TypeError, ValueError):
            plain = False
        if plain and not any(part in address for part in bad_recipients):
            recipients += 1
        else:
            found, problems_here = _problems_with_recipients(index, personalization, now, bad_recipients)
            recipients += found
            problems += problems_here
            if not isinstance(personalization, dict):
                continue
        if "custom_args" in personalization or shared_args:
            args = personalization.get("custom_args")
            problems += _problems_with_args(f"personalizations.{index}.custom_args", args, shared_args, shared_size)
        if "substitutions" in personalization:
            tags = personalization["substitutions"]
            problems += _problems_with_args(
                f"personalizations.{index}.substitutions", tags, {}, 0, MAX_BYTES_OF_SUBSTITUTIONS
            )
        if "subject" in personalization:
            problems += _problems_with_text(f"personalizations.{index}.subject", personalization["subject"])
        if "headers" in personalization:
            problems += _problems_with_headers(f"personalizations.{index}.headers", personalization["headers"])
    if recipients > MAX_RECIPIENTS:
        message = "There is a limit of 1000 total recipients (to + cc + bcc) per request."
        problems.append(problem(message, "personalizations", "-Personalizations-Errors"))
    return problems


def _problems_with_types(document: Document) -> list[Problem]:
    """Wrong types where the mail is read later on."""
    problems = [*_problems_with_text("subject", document.get("subject"))]
    problems += _problems_with_text("template_id", document.get("template_id"))
    for name, part in (("mail_settings", "sandbox_mode"), ("tracking_settings", "open_tracking")):
        settings = document.get(name)
        if settings is None:
            continue
        if not isinstance(settings, dict) or not isinstance(settings.get(part) or {}, dict):
            problems.append(problem("Invalid type. Expected: object.", name, f"message.{name}"))
    return problems


def _problems_with_envelope(document: Document, now: int) -> list[Problem]:
    problems = _problems_with_types(document)
    sender = document.get("from")
    if not isinstance(sender, dict) or not sender.get("email"):
        message = (
            "The from object must be provided for every email send. It is an object that requires the email parameter,"
            ' but may also contain a name parameter.  e.g. {"email" : "example@example.com"}  or'
            ' {"email" : "example@example.com", "name" : "Example Recipient"}.'
        )
        problems.append(problem(message, "from.email", "message.from"))
    else:
        problems += _problems_with_address("from", sender, "message.from")
    has_template = isinstance(document.get("template_id"), str) and bool(document["template_id"])
    personalizations = document.get("personalizations")
    subjects_everywhere = isinstance(personalizations, list) and all(
        isinstance(each, dict) and each.get("subject") for each in personalizations
    )
    if not document.get("subject") and not has_template and not subjects_everywhere:
        message = (
            "The subject is required. You can get around this requirement if you use a template with a subject defined"
            " or if every personalization has a subject defined."
        )
        problems.append(problem(message, "subject", "message.subject"))
    problems += _problems_with_content(document.get("content"), has_template)
    for name, limit in (("reply_to_list", 1000), ("categories", MAX_CATEGORIES)):
        values = document.get(name)
        if not _is_short_list(values, limit):
            problems.append(problem(f"The {name} may have up to {limit} elements.", name, f"message.{name}"))
    categories = document.get("categories")
    if isinstance(categories, list):
        if any(not isinstance(category, str) or len(category) > 255 for category in categories):
            problems.append(
                problem("Each category must be a string of up to 255 characters.", "categories", "message.categories")
            )
        elif len(set(categories)) != len(categories):
            problems.append(problem("Category names must be unique.", "categories", "message.categories"))
    asm = document.get("asm")
    if asm is not None and (not isinstance(asm, dict) or not isinstance(asm.get("group_id"), int)):
        problems.append(
            problem("The asm object requires a group_id, which must be an integer.", "asm.group_id", "message.asm")
        )
    elif asm is not None and not _is_short_list(asm.get("groups_to_display"), 25):
        problems.append(problem("Up to 25 groups can be displayed.", "asm.groups_to_display", "message.asm"))
    pool = document.get("ip_pool_name")
    if pool is not None and (not isinstance(pool, str) or not 2 <= len(pool) <= 64):
        problems.append(
            problem("The ip_pool_name must have 2 to 64 characters.", "ip_pool_name", "message.ip_pool_name")
        )
    if "custom_args" in document:
        problems += _problems_with_args("custom_args", document["custom_args"], {}, 0)
    if "headers" in document:
        problems += _problems_with_headers("headers", document["headers"])
    problems += _problems_with_schedule("send_at", document.get("send_at"), now)
    return problems


def _is_short_list(values: object, limit: int) -> bool:
    return values is None or (isinstance(values, list) and len(values) <= limit)


def _problems_with_content(content: object, has_template: bool) -> list[Problem]:
    if not content:
        if has_template:
            return []
        message = (
            "Unless a valid template_id is provided, the content parameter is required. There must be at least one"
            " defined content block. We typically suggest both text/plain and text/html blocks are included, but only"
            " one block is required."
        )
        return [problem(message, "content", "message.content")]
    if not isinstance(content, list):
        return [problem("Invalid type. Expected: array, given: object.", "content", "message.content")]
    problems: list[Problem] = []
    types: list[object] = []
    for number, block in enumerate(content):
        kind, value = (block.get("type"), block.get("value")) if isinstance(block, dict) else (None, None)
        types.append(kind)
        if not isinstance(kind, str) or not kind or ";" in kind or "\n" in kind:
            message = "The content type must be a string at least one character in length, without ';' or line breaks."
            problems.append(problem(message, f"content.{number}.type", "message.content.type"))
        if not isinstance(value, str) or not value:
            message = "The content value must be a string at least one character in length."
            problems.append(problem(message, f"content.{number}.value", "message.content.value"))
    ranks = [{"text/plain": 0, "text/html": 1}.get(str(kind), 2) for kind in types]
    if ranks != sorted(ranks) or ranks.count(0) > 1 or ranks.count(1) > 1:
        message = "If present, text/plain must be the first content block, followed by text/html, each only once."
        problems.append(problem(message, "content", "message.content"))
    return problems


def _problems_with_recipients(
    index: int, personalization: object, now: int, bad_recipients: Sequence[str]
) -> tuple[int, list[Problem]]:
    place = f"personalizations.{index}"
    if not isinstance(personalization, dict):
        return 0, [problem("Invalid type. Expected: object.", place, "message.personalizations")]
    problems: list[Problem] = []
    seen: set[str] = set()
    recipients = 0
    for kind in ("to", "cc", "bcc"):
        people = personalization.get(kind)
        if kind == "to" and (not isinstance(people, list) or not people):
            message = (
                "The to array is required for all personalization objects, and must have at least one email object with"
                " a valid email address."
            )
            problems.append(problem(message, f"{place}.to", "message.personalizations.to"))
            continue
        if people is not None and not isinstance(people, list):
            problems.append(problem("Invalid type. Expected: array.", f"{place}.{kind}", "message.personalizations"))
            continue
        for number, person in enumerate(people or ()):
            recipients += 1
            anchor = f"message.personalizations.{kind}"
            found = _problems_with_address(f"{place}.{kind}.{number}", person, anchor, bad_recipients)
            problems += found
            if found:
                continue
            address = person["email"].lower()
            if address in seen:
                problems.append(
                    problem(_DUPLICATE.format(address=person["email"], index=index, kind=kind), place, anchor)
                )
            seen.add(address)
    problems += _problems_with_schedule(f"{place}.send_at", personalization.get("send_at"), now)
    return recipients, problems


def _problems_with_address(
    place: str, person: object, anchor: str, bad_recipients: Sequence[str] = ()
) -> list[Problem]:
    address = person.get("email") if isinstance(person, dict) else None
    if (
        not isinstance(address, str)
        or _ADDRESS.fullmatch(address) is None
        or any(part in address for part in bad_recipients)
    ):
        return [problem("Does not contain a valid address.", f"{place}.email", anchor)]
    name = person.get("name") if isinstance(person, dict) else None
    if name is not None and (not isinstance(name, str) or ";" in name or "," in name):
        return [problem("The name must be a string without ';' or ','.", f"{place}.name", anchor)]
    return []


def _problems_with_text(place: str, text: object) -> list[Problem]:
    if text is None or isinstance(text, str):
        return []
    return [problem("Invalid type. Expected: string.", place, f"message.{place.rsplit('.', 1)[-1]}")]


def _problems_with_args(
    place: str, args: object, shared: Mapping[str, str], shared_size: int, limit: int = MAX_BYTES_OF_ARGS
) -> list[Problem]:
    anchor = f"message.{place.rsplit('.', 1)[-1]}"
    if args is None:
        args = {}
    if not isinstance(args, dict):
        return [problem("Invalid type. Expected: object, given: array.", place, anchor)]
    size = 0
    for name, value in args.items():
        if type(value) is not str:
            return [problem("Invalid type. Expected: string.", f"{place}.{name}", anchor)]
        size += len(name) + len(value)
    # A character has at most four bytes: the exact size is counted only when it can matter.
    if size * 4 + shared_size > limit and _bytes_of({**shared, **args}) > limit:
        return [problem("The total size must be less than 10,000 bytes.", place, anchor)]
    return []


def _bytes_of(args: Mapping[str, object]) -> int:
    """Names and values together; SendGrid does not say whether JSON's quotes and escapes count, so they do not."""
    return sum(len(name.encode()) + len(str(value).encode()) for name, value in args.items())


def _problems_with_headers(place: str, headers: object) -> list[Problem]:
    if not isinstance(headers, dict):
        return [problem("Invalid type. Expected: object.", place, "message.headers")]
    for name, value in headers.items():
        if name.lower() in RESERVED_HEADERS:
            return [
                problem(
                    f"The header '{name}' is reserved and can not be overridden.", f"{place}.{name}", "message.headers"
                )
            ]
        if type(value) is not str or not name.isascii():
            return [
                problem("Header names must be ASCII and values must be strings.", f"{place}.{name}", "message.headers")
            ]
    return []


def _problems_with_schedule(place: str, send_at: object, now: int) -> list[Problem]:
    if send_at is None:
        return []
    if type(send_at) is not int:
        return [problem("The send_at must be an integer: a UNIX timestamp.", place, "message.send_at")]
    if send_at > now + MAX_SCHEDULE_SECONDS:
        return [problem("Scheduling more than 72 hours in advance is forbidden.", place, "message.send_at")]
    return []


# --- what was accepted


@dataclass(frozen=True, slots=True)
class Mail:
    """One accepted mail to one recipient, as its mailbox gets it."""

    request_id: str
    number: int
    address: str
    subject: str
    text: str
    html: str
    headers: dict[str, str]
    custom_args: dict[str, str]
    categories: list[str]
    asm_group_id: int | None
    template_id: str | None
    opens_are_tracked: bool
    starts_at: int
    accepted_at: int

    @property
    def sg_message_id(self) -> str:
        """SendGrid's id of this one mail; what stands before the first dot is the request's `X-Message-Id`."""
        return f"{self.request_id}.recvd-sandbox-{self.number:x}-1-{self.accepted_at:X}-0.{self.number}"

    @property
    def key(self) -> str:
        """What the mail's fate is derived from: our id where there is one."""
        return self.custom_args.get("rk_message_id") or self.sg_message_id

    @property
    def one_click_url(self) -> str | None:
        """Where the mail program's unsubscribe button posts to; none without both headers of RFC 8058."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        if headers.get("list-unsubscribe-post", "").strip().lower() != "list-unsubscribe=one-click":
            return None
        match = re.search(r"<(https?://[^>\s]+)>", headers.get("list-unsubscribe", ""))
        return match[1] if match else None


@dataclass(frozen=True, slots=True)
class MailRequest:
    """One accepted `/v3/mail/send`, kept as it came: its mails are worked out when somebody asks."""

    request_id: str
    accepted_at: int
    raw: bytes
    recipients: int

    def mails(self) -> Iterator[Mail]:
        document = parse(self.raw)
        assert document is not None  # it was parsed when it was accepted
        blocks = {block["type"]: block["value"] for block in reversed(document.get("content") or [])}
        tracking = (document.get("tracking_settings") or {}).get("open_tracking") or {}
        number = 0
        for personalization in document["personalizations"]:
            tags = personalization.get("substitutions") or {}
            shared: dict[str, Any] = {
                "subject": _substitute(personalization.get("subject") or document.get("subject") or "", tags),
                "text": _substitute(blocks.get("text/plain", ""), tags),
                "html": _substitute(blocks.get("text/html", ""), tags),
                "headers": {**(document.get("headers") or {}), **(personalization.get("headers") or {})},
                "custom_args": {**(document.get("custom_args") or {}), **(personalization.get("custom_args") or {})},
                "categories": document.get("categories") or [],
                "asm_group_id": (document.get("asm") or {}).get("group_id"),
                "template_id": document.get("template_id"),
                # The pixel needs an HTML part; a plain text is never seen being opened.
                "opens_are_tracked": "text/html" in blocks and tracking.get("enable", True) is not False,
                "starts_at": max(self.accepted_at, personalization.get("send_at") or document.get("send_at") or 0),
            }
            for kind in ("to", "cc", "bcc"):
                for person in personalization.get(kind) or ():
                    yield Mail(self.request_id, number, person["email"], **shared, accepted_at=self.accepted_at)
                    number += 1


def count_recipients(document: Document) -> int:
    """Recipients of a valid mail."""
    personalizations = document["personalizations"]
    return len(personalizations) + sum(
        len(each["to"]) - 1 + len(each.get("cc") or ()) + len(each.get("bcc") or ()) for each in personalizations
    )


def _substitute(text: str, tags: Mapping[str, str]) -> str:
    for tag, value in tags.items():
        text = text.replace(tag, value)
    return text


def is_sandbox_mode(document: Document) -> bool:
    """Whether the mail asks to be checked only."""
    mode = (document.get("mail_settings") or {}).get("sandbox_mode") or {}
    return mode.get("enable") is True


def request_id(seed: int, number: int, accepted_at: int, raw: bytes) -> str:
    """The `X-Message-Id`: 22 characters, never the same for two requests."""
    mark = f"{seed}|mail|{number}|{accepted_at}|".encode()
    return _url_safe(hashlib.blake2b(raw, digest_size=16, key=mark[:64]).digest())


def event_id(*parts: str) -> str:
    """An `sg_event_id`."""
    return _url_safe(hashlib.blake2b("|".join(parts).encode(), digest_size=16).digest())


def _url_safe(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


# --- events


def event_body(mail: Mail, event: str, at: int, identifier: str, fields: Mapping[str, object]) -> bytes:
    """One element of the Event Webhook's array: custom args flattened to the top, under SendGrid's own fields."""
    body: dict[str, object] = {
        **mail.custom_args,
        "email": mail.address,
        "timestamp": at,
        "event": event,
        "sg_event_id": identifier,
        "sg_message_id": mail.sg_message_id,
    }
    if mail.categories:
        body["category"] = mail.categories[0] if len(mail.categories) == 1 else mail.categories
    if mail.asm_group_id is not None:
        body["asm_group_id"] = mail.asm_group_id
    if mail.template_id is not None:
        body["sg_template_id"] = mail.template_id
    if event in {"processed", "dropped", "delivered", "deferred", "bounce"}:
        body["smtp-id"] = f"<{mail.request_id}@sandbox>"
    if event in {"delivered", "bounce"}:
        body |= {"ip": "192.0.2.25", "tls": 1}
    if event == "deferred":
        body["ip"] = "192.0.2.25"
    return to_json({**body, **fields})


def post_body(events: Sequence[bytes]) -> bytes:
    """The raw array as SendGrid posts it: one element a line, a line break at the end, all of it signed."""
    return b"[" + b",\r\n".join(events) + b"]\r\n"


# --- suppression lists


class SuppressionList(StrEnum):
    """The lists under `/v3/suppression/`."""

    BOUNCES = "bounces"
    BLOCKS = "blocks"
    INVALID_EMAILS = "invalid_emails"
    SPAM_REPORTS = "spam_reports"
    UNSUBSCRIBES = "unsubscribes"


#: Why a later mail is dropped, by the list that holds the address; blocks drop nothing.
DROP_REASONS: dict[SuppressionList, str] = {
    SuppressionList.UNSUBSCRIBES: "Unsubscribed Address",
    SuppressionList.BOUNCES: "Bounced Address",
    SuppressionList.SPAM_REPORTS: "Spam Reporting Address",
    SuppressionList.INVALID_EMAILS: "Invalid",
}


@dataclass(slots=True)
class Suppressions:
    """Every suppression list of the account; addresses are told apart without regard to case."""

    lists: dict[SuppressionList, dict[str, dict[str, object]]] = field(
        default_factory=lambda: {name: {} for name in SuppressionList}
    )
    #: Unsubscribe group → lower-case address → the address as it was given. Mail that names no group goes out anyway.
    groups: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, name: SuppressionList, address: str, created: int, **fields: object) -> None:
        """Put an address on a list; the first entry stays."""
        self.lists[name].setdefault(address.lower(), {"created": created, "email": address, **fields})

    def add_to_group(self, group: str, address: str) -> None:
        self.groups.setdefault(group, {}).setdefault(address.lower(), address)

    def remove_from_group(self, group: str, address: str) -> bool:
        return self.groups.get(group, {}).pop(address.lower(), None) is not None

    def remove(self, name: SuppressionList, address: str) -> bool:
        return self.lists[name].pop(address.lower(), None) is not None

    def entry(self, name: SuppressionList, address: str) -> dict[str, object] | None:
        return self.lists[name].get(address.lower())

    def drop_reason(self, address: str) -> str | None:
        """Why SendGrid would not even try this address."""
        lowered = address.lower()
        return next((reason for name, reason in DROP_REASONS.items() if lowered in self.lists[name]), None)

    def page(
        self, name: SuppressionList, *, start: int | None, end: int | None, part: str, offset: int, limit: int
    ) -> list[dict[str, object]]:
        """Entries created within [start, end], newest first."""
        entries = [
            entry
            for address, entry in self.lists[name].items()
            if part.lower() in address and _within(entry["created"], start, end)
        ]
        entries.sort(key=lambda entry: (-int(str(entry["created"])), str(entry["email"])))
        return entries[offset : offset + limit]


def _within(created: object, start: int | None, end: int | None) -> bool:
    assert isinstance(created, int)
    return (start is None or created >= start) and (end is None or created <= end)
