"""E-mail through SendGrid's v3 mail send API.

One request carries up to 1,000 personalizations (one lead each), but `content` is one for the whole request. SendGrid
documents two ways to make it differ: dynamic templates, stored on their side, and `substitutions`, which "apply to the
text and html content of the body", "may not exceed 10,000 bytes per personalization object" and must not be combined
with a dynamic template (Mail Send reference, `personalizations[].substitutions`,
https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send). Rekindle's bodies live in the repository and
are rendered here, so the whole rendered text is one substitution of the body tag `-rk_text-` (and `-rk_html-`), and the
request's `content` is nothing but these tags. A message over the limit, or that holds one of the tags itself, travels
in a request of its own with its body as the content.

SendGrid validates a request as a whole: one bad recipient and none of the thousand is accepted. Such a 400 proves that
nothing was accepted, so sending parts again is safe; the bad ones are isolated by the positions SendGrid names in
`errors[].field`, else by halving.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Self

import msgspec
from python_http_client import Client
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient

from rekindle.channels.credentials import SendGridAccount, is_loopback
from rekindle.channels.ports import Outcome, OutcomeKind, OutgoingEmail
from rekindle.channels.provider_errors import BAD_RECIPIENT, Provider, ProviderError, ProviderErrors, network_error
from rekindle.channels.wire import keep_addresses_out_of_logs, retry_after_seconds, seconds_until_more
from rekindle.clock import Clock, SystemClock
from rekindle.vocabulary import ErrorClass

TEXT_TAG = "-rk_text-"
HTML_TAG = "-rk_html-"
_TAGS_BEGIN = "-rk_"
_BYTES_OF_TAGS = len(TEXT_TAG) + len(HTML_TAG)
MAX_PERSONALIZATIONS = 1_000
MAX_SUBSTITUTION_BYTES = 10_000
#: SendGrid's limit is 30 MB for the whole message; staying under it leaves room for JSON's escapes and headers.
MAX_REQUEST_BYTES = 15_000_000
#: Four levels of halving (1 + 2 + 4 + 8). If every one of them is refused, the recipients are not the reason.
REFUSALS_THAT_PROVE_OUR_FAULT = 15

_RECIPIENT_FIELD = re.compile(r"personalizations(\.\d+)?(\.to(\.\d+(\.email)?)?)?")
_POSITION = re.compile(r"personalizations\.(\d+)(?:\.|$)")
_PLAIN_URL = re.compile(r"https?://[!-;=?-~]+")
_LINE_BREAKS = frozenset("\r\n\0")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class StayHereClient(Client):
    """The SDK's HTTP client, never following a redirect.

    urllib would turn the redirected POST into a GET without the messages, hand the API key to the new address, and
    report that one's answer as ours.
    """

    def _build_client(self, name: str | None = None) -> StayHereClient:
        path = [*self._url_path, name] if name else self._url_path
        return StayHereClient(self.host, self.request_headers, self._version, path, self.append_slash, self.timeout)

    def _make_request(
        self, opener: urllib.request.OpenerDirector, request: urllib.request.Request, timeout: float | None = None
    ) -> Any:
        return super()._make_request(_opener(request.type), request, timeout)


@cache
def _opener(scheme: str) -> urllib.request.OpenerDirector:
    """Made once: for TLS it reads every authority's certificate, and these are checked as urllib does by default."""
    if scheme == "http":  # the sandbox
        return urllib.request.build_opener(_NoRedirect)
    return urllib.request.build_opener(_NoRedirect, urllib.request.HTTPSHandler(context=ssl.create_default_context()))


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one request met: an acceptance, or an error with what SendGrid says is wrong."""

    error: ProviderError | None
    detail: str
    provider_message_id: str | None = None
    retry_after: float | None = None
    may_be_one_message: bool = False
    names_recipient: bool = False
    positions: frozenset[int] = frozenset()


class _EncodedMail(bytes):
    """A request's JSON, in the form the SDK takes its own `Mail` in.

    The SDK encodes what it is given, and writes all of it into a log line that nobody wants, for which a thousand
    mails cost as much again as their sending: this is encoded already, and says nothing of itself.
    """

    def get(self) -> Self:
        return self

    def encode(self, _encoding: str) -> Self:
        return self

    def __format__(self, _spec: str) -> str:
        return f"{len(self)} bytes"


class SendGridChannel:
    """Sends batches of e-mail. Not thread-safe (the SDK shares its headers): one channel per thread or task."""

    def __init__(
        self,
        account: SendGridAccount,
        errors: ProviderErrors,
        *,
        timeout_seconds: float = 30.0,
        clock: Clock | None = None,
    ) -> None:
        keep_addresses_out_of_logs()
        self._account = account
        self._errors = errors
        self._clock = clock or SystemClock()
        self._client = SendGridAPIClient(account.api_key.get_secret_value(), host=account.base_url)
        # With any other type the SDK takes the JSON as it is given, and its own encoder is six times as slow.
        self._client.client.request_headers["Content-Type"] = "application/json; charset=utf-8"
        # The SDK's default is to wait for ever, and to follow redirects.
        self._client.client = StayHereClient(
            host=account.base_url,
            request_headers=self._client.client.request_headers,
            version=3,
            timeout=timeout_seconds,
        )

    def send(self, batch: Sequence[OutgoingEmail]) -> list[Outcome]:
        """One outcome per message, in the batch's order.

        After an answer that is not about one message (throttled, our configuration, unproved), nothing more is tried:
        what was not sent yet is refused as surely not accepted, so it may be planned again.
        """
        ids = [email.message_id for email in batch]
        if len(set(ids)) != len(ids):
            raise ValueError("a batch must not hold the same message twice")
        outcomes: dict[str, Outcome] = {}
        flawed: dict[str, Outcome] = {}
        halted: _Answer | None = None
        any_accepted = False
        for request, encoded in self._encoded_ahead(_requests(self._without_flaw(batch, flawed))):
            if halted is None:
                settled, halted = self._send_isolating(request, encoded, any_accepted)
                any_accepted = any_accepted or any(outcome.kind is OutcomeKind.ACCEPTED for outcome in settled.values())
                outcomes |= settled
            else:
                outcomes |= _not_attempted(request, halted)
        outcomes |= flawed
        return [outcomes[message_id] for message_id in ids]

    def _without_flaw(self, batch: Sequence[OutgoingEmail], flawed: dict[str, Outcome]) -> Iterator[OutgoingEmail]:
        """What can be put into a request; the outcome of the others goes to `flawed`."""
        for email in batch:
            flaw = _flaw(email)
            if flaw is None:
                yield email
            else:
                flawed[email.message_id] = self._row("400").outcome(email.message_id, f"not sent: {flaw}")

    def _encoded_ahead(
        self, requests: Iterator[list[OutgoingEmail]]
    ) -> Iterator[tuple[list[OutgoingEmail], _EncodedMail]]:
        """Each request with its encoding; both are made while the one before is on its way."""
        following = self._encoder.submit(self._next_encoded, requests)
        while (this := following.result()) is not None:
            following = self._encoder.submit(self._next_encoded, requests)
            yield this

    def _next_encoded(self, requests: Iterator[list[OutgoingEmail]]) -> tuple[list[OutgoingEmail], _EncodedMail] | None:
        request = next(requests, None)
        return None if request is None else (request, self._encoded(request))

    def _encoded(self, part: list[OutgoingEmail]) -> _EncodedMail:
        return _EncodedMail(msgspec.json.encode(self._body(part)))

    @cached_property
    def _encoder(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, thread_name_prefix="encoding")

    def _send_isolating(
        self, request: list[OutgoingEmail], encoded: _EncodedMail, any_accepted: bool
    ) -> tuple[dict[str, Outcome], _Answer | None]:
        """Send one request, splitting it while it is refused for one of its messages.

        A recipient is only blamed when something was accepted beside it, or it is alone in the request: if everything
        is refused, the reason is ours. Parts are tried breadth first, so that this shows early.
        """
        outcomes: dict[str, Outcome] = {}
        alone: list[tuple[OutgoingEmail, _Answer]] = []
        queue = deque([request])
        refusals = 0
        halted: _Answer | None = None
        while queue and halted is None:
            part = queue.popleft()
            answer = self._post(encoded if part is request else self._encoded(part), len(part))
            if answer.error is None:
                any_accepted = True
                outcomes |= _accepted(part, answer)
            elif answer.may_be_one_message and (len(part) > 1 or len(request) > 1):
                refusals += 1
                if len(part) == 1:
                    alone.append((part[0], answer))
                else:
                    queue.extend(_split(part, answer.positions))
                if not any_accepted and refusals >= REFUSALS_THAT_PROVE_OUR_FAULT:
                    halted = self._our_fault(refusals)
            elif answer.may_be_one_message:
                outcomes |= self._blame(part[0], answer)
            else:
                halted = answer
                outcomes |= {
                    email.message_id: answer.error.outcome(email.message_id, answer.detail, answer.retry_after)
                    for email in part
                }
        if halted is None and alone and not any_accepted:
            halted = self._our_fault(refusals)
        for email, answer in alone:
            if any_accepted:
                outcomes |= self._blame(email, answer)
            elif halted is not None:
                outcomes |= _not_attempted([email], halted)
        for part in queue:
            if halted is not None:
                outcomes |= _not_attempted(part, halted)
        return outcomes, halted

    def _blame(self, email: OutgoingEmail, answer: _Answer) -> dict[str, Outcome]:
        error = self._row(BAD_RECIPIENT) if answer.names_recipient else self._row("400")
        return {email.message_id: error.outcome(email.message_id, answer.detail)}

    def _our_fault(self, refusals: int) -> _Answer:
        return _Answer(
            self._row("400"), f"{refusals} requests with different recipients were all refused with HTTP 400"
        )

    def _row(self, code: str) -> ProviderError:
        return self._errors.for_api(Provider.SENDGRID, code, 400)

    def _post(self, mail: _EncodedMail, size: int) -> _Answer:
        try:
            response = self._client.send(mail)
        except HTTPError as refusal:
            return self._refusal(refusal, size)
        except (OSError, http.client.HTTPException) as trouble:
            return _network_trouble(trouble)
        if response.status_code != 202:
            return _Answer(
                _error(ErrorClass.AMBIGUOUS, str(response.status_code), "not the documented answer to a send"),
                f"HTTP {response.status_code} instead of 202",
            )
        return _Answer(
            None,
            "HTTP 202",
            provider_message_id=response.headers.get("X-Message-Id"),
            retry_after=seconds_until_more(response.headers, self._clock.now()),
        )

    def _refusal(self, refusal: HTTPError, size: int) -> _Answer:
        status = int(refusal.status_code)
        error = self._errors.for_api(Provider.SENDGRID, str(status), status)
        wait = retry_after_seconds(dict(refusal.headers.items()) if refusal.headers else {}, self._clock.now())
        if status != 400:
            return _Answer(error, f"HTTP {status}", retry_after=wait)
        fields = _error_fields(refusal.body)
        ours = [field for field in fields if field is not None and not field.startswith("personalizations")]
        named = [field for field in fields if field is not None and field.startswith("personalizations")]
        positions = frozenset(
            int(match.group(1)) for match in map(_POSITION.match, named) if match and int(match.group(1)) < size
        )
        if ours:
            return _Answer(error, f"HTTP 400 about {_safe(ours[0])}")
        return _Answer(
            error,
            f"HTTP 400 about {_safe(named[0])}" if named else "HTTP 400 that names no field",
            may_be_one_message=True,
            names_recipient=bool(named) and all(_RECIPIENT_FIELD.fullmatch(field) for field in named),
            positions=positions,
        )

    def _body(self, part: list[OutgoingEmail]) -> dict[str, Any]:
        substituted = len(part) > 1 or _fits_substitution(part[0])
        first = part[0]
        content = [{"type": "text/plain", "value": TEXT_TAG if substituted else first.text}]
        if first.html is not None:
            content.append({"type": "text/html", "value": HTML_TAG if substituted else first.html})
        body: dict[str, Any] = {
            "from": {"email": self._account.from_email, "name": self._account.from_name},
            "personalizations": [_personalization(email, substituted) for email in part],
            "content": content,
            "tracking_settings": {
                "click_tracking": {"enable": False, "enable_text": False},
                "open_tracking": {"enable": True},
                "subscription_tracking": {"enable": False},
            },
        }
        reply_to = first.reply_to or self._account.reply_to
        if reply_to is not None:
            body["reply_to"] = {"email": reply_to}
        return body


def _personalization(email: OutgoingEmail, substituted: bool) -> dict[str, Any]:
    custom_args = {
        "rk_message_id": email.message_id,
        "rk_campaign": email.campaign_id,
        "rk_step": email.step_id,
    }
    # SendGrid keeps custom args for long and not as personal data: a lead id that is an address stays at home.
    if "@" not in email.lead_id and not email.lead_id.startswith("+"):
        custom_args["rk_lead"] = email.lead_id
    personalization: dict[str, Any] = {
        "to": [{"email": email.to}],
        "subject": email.subject,
        "headers": {
            "List-Unsubscribe": f"<{email.unsubscribe_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
        "custom_args": custom_args,
    }
    if substituted:
        personalization["substitutions"] = _substitutions(email)
    return personalization


def _substitutions(email: OutgoingEmail) -> dict[str, str]:
    return {TEXT_TAG: email.text} | ({HTML_TAG: email.html} if email.html is not None else {})


def _fits_substitution(email: OutgoingEmail) -> bool:
    html = email.html or ""
    # UTF-8 takes four bytes a character at most: nearly every text is short enough without being encoded.
    if 4 * (len(email.text) + len(html)) + _BYTES_OF_TAGS > MAX_SUBSTITUTION_BYTES:
        pairs = _substitutions(email).items()
        if sum(len(tag.encode()) + len(value.encode()) for tag, value in pairs) > MAX_SUBSTITUTION_BYTES:
            return False
    return not (_TAGS_BEGIN in email.text or _TAGS_BEGIN in email.subject or _TAGS_BEGIN in html)


def _flaw(email: OutgoingEmail) -> str | None:
    """Why a message can not be put into a request at all; such a message must not take its neighbours with it."""
    if not email.subject.strip() or not _LINE_BREAKS.isdisjoint(email.subject):
        return "the subject is empty or holds a line break"
    if not email.text.strip() or (email.html is not None and not email.html.strip()):
        return "the body is empty"
    if not _PLAIN_URL.fullmatch(email.unsubscribe_url):
        return "the unsubscribe link is not a plain URL"
    if not email.unsubscribe_url.startswith("https://") and not is_loopback(email.unsubscribe_url):
        return "the unsubscribe link is not https"
    try:
        for words in (email.to, email.subject, email.text, email.html or ""):
            if not words.isascii():
                words.encode()
    except UnicodeEncodeError:
        return "the text is not valid Unicode"
    return None


def _requests(emails: Iterable[OutgoingEmail]) -> Iterator[list[OutgoingEmail]]:
    """Cut into requests: with and without HTML apart, each answered at one address (`reply_to` is one for the request,
    https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send), within the limits, too long bodies alone.
    """
    together: defaultdict[tuple[bool, str | None], _Request] = defaultdict(_Request)
    single: list[OutgoingEmail] = []
    for email in emails:
        if not _fits_substitution(email):
            single.append(email)
            continue
        weight = _weight(email)
        request = together[email.html is not None, email.reply_to]
        if request.is_full(weight):
            yield request.emails
            request.emails, request.weight = [], 0
        request.emails.append(email)
        request.weight += weight
    for request in together.values():
        yield request.emails
    for email in single:
        yield [email]


@dataclass(slots=True)
class _Request:
    """What will travel together, as far as it is known."""

    emails: list[OutgoingEmail] = field(default_factory=list)
    weight: int = 0  # bytes at most

    def is_full(self, weight: int) -> bool:
        return len(self.emails) == MAX_PERSONALIZATIONS or (
            bool(self.emails) and self.weight + weight > MAX_REQUEST_BYTES
        )


def _weight(email: OutgoingEmail) -> int:
    """Bytes the message takes in a request at most; counted to the byte only if that is a lot."""
    words = len(email.to) + len(email.subject) + len(email.text) + len(email.html or "") + len(email.unsubscribe_url)
    ids = len(email.message_id) + len(email.campaign_id) + len(email.step_id) + len(email.lead_id)
    # JSON writes a character of ASCII in 6 bytes at worst, and any other in UTF-8 in 4.
    most = 400 + 6 * (words + ids)
    return most if most * MAX_PERSONALIZATIONS <= MAX_REQUEST_BYTES else _bytes_in_a_request(email)


def _bytes_in_a_request(email: OutgoingEmail) -> int:
    return len(msgspec.json.encode(_personalization(email, substituted=True)))


def _split(part: list[OutgoingEmail], positions: frozenset[int]) -> list[list[OutgoingEmail]]:
    if 0 < len(positions) < len(part):
        rest = [email for position, email in enumerate(part) if position not in positions]
        return [rest, *([part[position]] for position in sorted(positions))]
    middle = len(part) // 2
    return [part[:middle], part[middle:]]


def _accepted(part: Sequence[OutgoingEmail], answer: _Answer) -> dict[str, Outcome]:
    kind, provider, proof = OutcomeKind.ACCEPTED, Provider.SENDGRID.value, answer.provider_message_id
    wait, detail = answer.retry_after, answer.detail
    return {
        email.message_id: Outcome(email.message_id, kind, provider, proof, None, None, None, None, wait, detail)
        for email in part
    }


def _not_attempted(emails: Sequence[OutgoingEmail], halted: _Answer) -> dict[str, Outcome]:
    """These surely did not go: ours to mend if that is what stopped the batch, else to be planned again."""
    stopped_by = halted.error
    ours = stopped_by is not None and stopped_by.error_class is ErrorClass.CONFIGURATION
    error = stopped_by if stopped_by is not None and ours else _error(ErrorClass.TRANSIENT, "not_attempted", "not sent")
    return {
        email.message_id: error.outcome(
            email.message_id, f"not accepted; the batch was stopped: {halted.detail}", halted.retry_after
        )
        for email in emails
    }


def _network_trouble(trouble: OSError | http.client.HTTPException) -> _Answer:
    """Only what surely happened before the request left is a refusal; every other trouble proves nothing."""
    cause = trouble.reason if isinstance(trouble, urllib.error.URLError) else trouble
    detail = type(cause).__name__ if isinstance(cause, BaseException) else "URLError"
    if isinstance(cause, ConnectionRefusedError):
        return _Answer(_error(ErrorClass.TRANSIENT, "connection_refused", "never left"), detail)
    if isinstance(cause, socket.gaierror):
        return _Answer(_error(ErrorClass.TRANSIENT, "name_not_resolved", "never left"), detail)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _Answer(_error(ErrorClass.CONFIGURATION, "certificate_refused", "never left"), detail)
    return _Answer(_error(ErrorClass.AMBIGUOUS, "no_answer", "may have been accepted"), detail)


def _error(error_class: ErrorClass, code: str, meaning: str) -> ProviderError:
    return network_error(Provider.SENDGRID, error_class, code, meaning)


def _error_fields(body: bytes) -> list[str | None]:
    """The `field` of every error in a 400's body; `[None]` if that can not be read."""
    try:
        content = json.loads(body)
    except ValueError:
        return [None]
    errors = content.get("errors") if isinstance(content, Mapping) else None
    if not isinstance(errors, list) or not errors:
        return [None]
    return [
        error["field"]
        if isinstance(error, Mapping) and isinstance(error.get("field"), str) and error["field"]
        else None
        for error in errors
    ]


def _safe(field: str) -> str:
    """A field path without anything that could be a person's: SendGrid's own words and positions only."""
    return field if re.fullmatch(r"[a-z_]+(\.([a-z_]+|\d+)){0,6}", field) else "a field"
