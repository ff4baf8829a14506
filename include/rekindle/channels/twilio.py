"""Texts through Twilio's Messages API, the list to reconcile them with, and Lookup v2's line types.

Creating a message has no idempotency key: a request that may have been processed is never repeated. Reading is
repeated, with jittered back-off.
"""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar, cast
from urllib.parse import quote, urlsplit, urlunsplit

import requests
import urllib3
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.base.values import unset
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from rekindle.channels.credentials import TwilioAccount
from rekindle.channels.ports import LookupResult, Outcome, OutcomeKind, OutgoingSms, ProviderUnavailableError
from rekindle.channels.provider_errors import Provider, ProviderError, ProviderErrors, SeenIn, network_error
from rekindle.channels.wire import keep_addresses_out_of_logs, retry_after_seconds
from rekindle.clock import Clock, SystemClock
from rekindle.errors import ConfigurationError
from rekindle.governor.back_off import read_with_back_off
from rekindle.identity import address_hash
from rekindle.vocabulary import ErrorClass, LineType

LONGEST_VALIDITY_SECONDS = 36_000
#: Five retries of every failure: by default (one, after a connect timeout) a slow answer loses the status for good.
#: https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
CALLBACK_RETRIES = "rc=5&rp=all"

_MESSAGE_SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
#: What reading an answer that is not what Twilio documents can raise inside the SDK.
_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError)
_NETWORK = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)

Answer = TypeVar("Answer")


class BaseUrlHttpClient(TwilioHttpClient):
    """The SDK's HTTP client pointed at a base URL; it keeps the last answer's headers, which the SDK's errors drop."""

    def __init__(self, base_url: str, timeout: float) -> None:
        super().__init__(timeout=timeout)
        _read_environment_once(self.session, base_url)
        self._base = urlsplit(base_url)
        self.last_headers: Mapping[str, str] = {}

    def request(
        self,
        method: str,
        url: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """As the SDK's, but to our base URL and never following a redirect with a message in hand."""
        self.last_headers = {}
        asked = urlsplit(url)
        path = self._base.path.rstrip("/") + asked.path
        url = urlunsplit((self._base.scheme, self._base.netloc, path, asked.query, asked.fragment))
        response = super().request(
            method, url, params=params, data=data, headers=headers, auth=auth, timeout=timeout, allow_redirects=False
        )
        self.last_headers = response.headers or {}
        return response


def _read_environment_once(session: requests.Session, base_url: str) -> None:
    """Proxies and certificates, which requests looks for at every request, and spends a sixth of a text's time on."""
    settings = session.merge_environment_settings(base_url, {}, None, None, None)
    session.proxies, session.verify = settings["proxies"], settings["verify"]
    session.trust_env = False


@dataclass(frozen=True, slots=True)
class ListedMessage:
    """One message in the provider's list, without the personal data."""

    provider_message_id: str
    to_hash: str
    body_hash: str
    status: str
    date_created: datetime


class TwilioChannel:
    """Sends texts. Threads may share one: each gets a client and a connection of its own."""

    def __init__(
        self,
        account: TwilioAccount,
        errors: ProviderErrors,
        *,
        timeout_seconds: float = 15.0,
        risk_check: bool = True,
        clock: Clock | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """`risk_check=False` switches pumping protection off: Twilio's advice for a marketing list of one's own."""
        keep_addresses_out_of_logs()
        self._account = account
        self._errors = errors
        self._risk_check = risk_check
        self._clock = clock or SystemClock()
        self._wait = wait
        self._timeout = timeout_seconds
        self._own = threading.local()  # the SDK's session is not made for threads, nor are an answer's headers

    @property
    def _http(self) -> BaseUrlHttpClient:
        return self._clients()[0]

    @property
    def _client(self) -> Client:
        return self._clients()[1]

    def _clients(self) -> tuple[BaseUrlHttpClient, Client]:
        if not hasattr(self._own, "clients"):
            self._own.clients = twilio_client(self._account, self._account.base_url, self._timeout)
        clients: tuple[BaseUrlHttpClient, Client] = self._own.clients
        return clients

    def send(self, sms: OutgoingSms) -> Outcome:
        """What became of one text; see `rekindle.channels.provider_errors` for what a code means."""
        if sms.validity_seconds < 1:
            return _error(ErrorClass.TRANSIENT, "validity_over", "never left").outcome(
                sms.message_id, "not sent: its send window is over"
            )
        try:
            message = self._client.messages.create(
                to=sms.to,
                body=sms.body,
                messaging_service_sid=self._account.messaging_service_sid or unset,
                from_=self._account.from_number or unset,
                status_callback=self._status_callback(sms.message_id),
                validity_period=min(sms.validity_seconds, LONGEST_VALIDITY_SECONDS),
                # Our renderer has mapped what it wants to map; the preview must equal what is billed.
                smart_encoded=False,
                risk_check=unset if self._risk_check else "disable",
            )
            sid = message.sid
        except TwilioException as refusal:
            status, code = _said(refusal)
            error = self._errors.for_api(Provider.TWILIO, code, status)
            return error.outcome(
                sms.message_id,
                f"HTTP {status}, Twilio {code}: {error.meaning}",
                retry_after_seconds(self._http.last_headers, self._clock.now()),
            )
        except _NETWORK as trouble:
            return _network_trouble(trouble).outcome(sms.message_id, type(trouble).__name__)
        except _UNREADABLE as trouble:
            return _unproved(sms.message_id, f"an answer that can not be read ({type(trouble).__name__})")
        if not isinstance(sid, str) or not _MESSAGE_SID.fullmatch(sid):
            return _unproved(sms.message_id, "an answer without a message sid")
        return Outcome(
            message_id=sms.message_id,
            kind=OutcomeKind.ACCEPTED,
            provider=Provider.TWILIO.value,
            provider_message_id=sid,
            error_code=None,
            error_class=None,
            exit=None,
            suppression=None,
            retry_after_seconds=None,
            detail="HTTP 201",
        )

    def find_messages(self, to: str, since: datetime, *, containing: str | None = None) -> list[ListedMessage]:
        """Everything Twilio has to `to`, created at or after `since`, whose body holds `containing`, if that is given.

        The list is read to its end: `DateSent` filters would hide what is still queued, and stopping early could miss
        the message that proves an unknown send. Raises `ProviderUnavailableError` or `ConfigurationError`.
        """

        def read() -> list[ListedMessage]:
            return [
                ListedMessage(
                    provider_message_id=str(message.sid),
                    to_hash=address_hash(str(message.to)),
                    body_hash=hashlib.sha256(message.body.encode()).hexdigest(),
                    status=str(message.status),
                    date_created=message.date_created.astimezone(UTC),
                )
                for message in _every(self._client.messages.stream(to=to, page_size=1_000))
                if message.date_created >= since and (containing is None or containing in message.body)
            ]

        return read_with_back_off(
            lambda: read_twilio(read, self._errors, self._http, self._clock, SeenIn.API),
            retry_on=ProviderUnavailableError,
            wait=self._wait,
        )

    def _status_callback(self, message_id: str) -> str:
        base = self._account.status_callback_base_url
        return f"{base}/webhooks/twilio/status?mid={quote(message_id, safe='')}#{CALLBACK_RETRIES}"


class TwilioLookup:
    """Line types from Lookup v2. Each question costs money: ask once per number and keep the answer."""

    def __init__(
        self,
        account: TwilioAccount,
        errors: ProviderErrors,
        *,
        timeout_seconds: float = 15.0,
        cost_per_lookup: float | None = None,
        clock: Clock | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        keep_addresses_out_of_logs()
        self._errors = errors
        self._cost = cost_per_lookup
        self._clock = clock or SystemClock()
        self._wait = wait
        self._http, self._client = twilio_client(account, account.lookup_base_url, timeout_seconds)

    def look_up(self, e164: str) -> LookupResult:
        """What kind of line `e164` is; raises `ProviderUnavailableError` or `ConfigurationError` when nobody says."""

        def read() -> LookupResult:
            number = self._client.lookups.v2.phone_numbers(e164).fetch(fields="line_type_intelligence")
            return self._result(number)

        return read_with_back_off(
            lambda: read_twilio(read, self._errors, self._http, self._clock, SeenIn.LOOKUP),
            retry_on=ProviderUnavailableError,
            wait=self._wait,
        )

    def _result(self, number: Any) -> LookupResult:
        if not isinstance(number.valid, bool):
            raise ValueError("no verdict on validity")
        package: Mapping[str, Any] = number.line_type_intelligence or {}
        if number.valid and package.get("error_code") is not None:
            # A package that could not answer says so inside a 200.
            code = str(package["error_code"])
            _raise_unanswered(self._errors.for_lookup(Provider.TWILIO, code, 400), f"Lookup package error {code}", None)
        word = package.get("type") or LineType.UNKNOWN.value
        try:
            line_type = LineType(word)
        except ValueError:
            raise ConfigurationError(
                f"Lookup answered a line type this version does not know ({word!r:.40}); no number was judged by it"
            ) from None
        return LookupResult(
            line_type=line_type,
            valid=number.valid,
            validation_errors=tuple(str(error) for error in number.validation_errors or ()),
            country=number.country_code,
            cost=self._cost,
        )


def twilio_client(account: TwilioAccount, base_url: str, timeout_seconds: float) -> tuple[BaseUrlHttpClient, Client]:
    """The SDK's client for one base URL, and the HTTP client beneath it, which knows the last answer's headers."""
    # The SDK's default timeout is to wait for ever.
    http_client = BaseUrlHttpClient(base_url, timeout_seconds)
    # Its constructor has no annotations.
    client = cast(Any, Client)(
        account.username, account.secret.get_secret_value(), account_sid=account.account_sid, http_client=http_client
    )
    return http_client, client


def _every(messages: Iterator[Any]) -> Iterator[Any]:
    for message in messages:
        if not isinstance(message.date_created, datetime):
            raise ValueError("a listed message without a date")
        message.body = message.body or ""
        yield message


def read_twilio(
    read: Callable[[], Answer], errors: ProviderErrors, http_client: BaseUrlHttpClient, clock: Clock, seen_in: SeenIn
) -> Answer:
    """Run one reading request. `from None` everywhere: the SDK's own errors carry the number in their URL."""
    try:
        return read()
    except TwilioException as refusal:
        status, code = _said(refusal)
        error = (errors.for_lookup if seen_in is SeenIn.LOOKUP else errors.for_api)(Provider.TWILIO, code, status)
        wait = retry_after_seconds(http_client.last_headers, clock.now())
        said = f"HTTP {status}, Twilio {code}"
    except _NETWORK as trouble:
        error, wait, said = _network_trouble(trouble), None, type(trouble).__name__
    except _UNREADABLE as trouble:
        error, wait, said = _error(ErrorClass.AMBIGUOUS, "unreadable", "unreadable"), None, type(trouble).__name__
    _raise_unanswered(error, said, wait)


def _said(refusal: TwilioException) -> tuple[int, str]:
    """HTTP status and Twilio's code. For a page of a list the SDK raises its base class around the whole answer."""
    if isinstance(refusal, TwilioRestException | TwilioServiceException):
        return int(refusal.status), str(refusal.code or refusal.status)
    answer = refusal.args[1] if len(refusal.args) > 1 else None
    if not isinstance(answer, Response):
        return 0, "no_status"
    try:
        code = json.loads(answer.text)["code"]
    except _UNREADABLE:
        code = None
    return answer.status_code, str(code or answer.status_code)


def _raise_unanswered(error: ProviderError, said: str, wait: float | None) -> NoReturn:
    if error.error_class in (ErrorClass.TRANSIENT, ErrorClass.AMBIGUOUS):
        hours = None if error.retry_after_hours is None else error.retry_after_hours * 3600.0
        raise ProviderUnavailableError(
            f"Twilio did not answer ({said}: {error.meaning})", hours if wait is None else wait
        ) from None
    raise ConfigurationError(f"Twilio refused the question ({said}: {error.meaning}); check the account") from None


def _network_trouble(trouble: Exception) -> ProviderError:
    """Only what surely happened before the request left is a refusal; every other trouble proves nothing."""
    if isinstance(trouble, requests.exceptions.InvalidURL | requests.exceptions.InvalidHeader):
        return _error(ErrorClass.CONFIGURATION, "invalid_url", "never left")
    if isinstance(trouble, requests.exceptions.ConnectTimeout):
        # requests: "Requests that produced this error are safe to retry."
        return _error(ErrorClass.TRANSIENT, "connect_timeout", "never left")
    cause: object = trouble.args[0] if trouble.args else trouble
    reason = cause.reason if isinstance(cause, urllib3.exceptions.MaxRetryError) else cause
    if isinstance(reason, urllib3.exceptions.NameResolutionError):
        return _error(ErrorClass.TRANSIENT, "name_not_resolved", "never left")
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return _error(ErrorClass.TRANSIENT, "connection_refused", "never left")
    if isinstance(reason, urllib3.exceptions.SSLError) and any(
        isinstance(argument, ssl.SSLCertVerificationError) for argument in reason.args
    ):
        return _error(ErrorClass.CONFIGURATION, "certificate_refused", "never left")
    return _error(ErrorClass.AMBIGUOUS, "no_answer", "may have been accepted")


def _unproved(message_id: str, detail: str) -> Outcome:
    return _error(ErrorClass.AMBIGUOUS, "unreadable", "may have been accepted").outcome(message_id, detail)


def _error(error_class: ErrorClass, code: str, meaning: str) -> ProviderError:
    return network_error(Provider.TWILIO, error_class, code, meaning)
