"""What the providers know about addresses and nobody told us, and telling them what we learned elsewhere.

Reading is repeated with jittered back-off. So is telling: putting an address on a list twice is putting it there once.
Where to look: https://www.twilio.com/docs/sendgrid/api-reference (suppressions),
https://www.twilio.com/docs/messaging/guides/accessing-device-deactivation-files and the Consents Bulk API of Twilio's
Compliance Toolkit. Nothing raised here names an address.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import requests
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient
from twilio.base.exceptions import TwilioRestException

from rekindle.channels.credentials import SendGridAccount, TwilioAccount, is_loopback
from rekindle.channels.ports import ProviderUnavailableError
from rekindle.channels.provider_errors import Provider, ProviderErrors, SeenIn
from rekindle.channels.sendgrid import StayHereClient
from rekindle.channels.twilio import read_twilio, twilio_client
from rekindle.channels.wire import keep_addresses_out_of_logs, retry_after_seconds
from rekindle.clock import Clock, SystemClock
from rekindle.errors import ConfigurationError
from rekindle.governor.back_off import read_with_back_off
from rekindle.identity import address_hash, stable_id
from rekindle.vocabulary import ErrorClass

#: SendGrid's largest page of a suppression list.
PAGE_SIZE = 500
#: Addresses in one request that puts them on a list.
PUSH_SIZE = 1_000
#: Twilio takes at most this many consents in one request.
CONSENTS_SIZE = 25
#: The one global list of a SendGrid account; a group is `group:<id>`.
GLOBAL_LIST = "global"
#: The ledger's name of Twilio's consents.
CONSENTS_LIST = "consents"

MESSAGING_URL = "https://messaging.twilio.com"
ACCOUNTS_URL = "https://accounts.twilio.com"

_NUMBER = re.compile(r"\+?[1-9][0-9]{7,14}")

Answer = TypeVar("Answer")


class SuppressionList(StrEnum):
    """SendGrid's lists under `/v3/suppression/`; later mail to their addresses is dropped, but for blocks."""

    BOUNCES = "bounces"
    BLOCKS = "blocks"
    INVALID_EMAILS = "invalid_emails"
    SPAM_REPORTS = "spam_reports"
    UNSUBSCRIBES = "unsubscribes"


@dataclass(frozen=True, slots=True)
class ListedSuppression:
    """One address on one of the lists, without the address."""

    suppression_list: SuppressionList
    address_hash: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FetchedText:
    """Where one text stands at Twilio."""

    provider_message_id: str
    status: str
    error_code: str | None
    to_hash: str
    updated_at: datetime


class SendGridSuppressions:
    """An account's suppression lists. Not thread-safe: one per thread or task."""

    def __init__(
        self,
        account: SendGridAccount,
        errors: ProviderErrors,
        *,
        asm_group_id: int | None = None,
        timeout_seconds: float = 30.0,
        page_size: int = PAGE_SIZE,
        clock: Clock | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """With `asm_group_id`, opt-outs are pushed to that unsubscribe group instead of the global list."""
        keep_addresses_out_of_logs()
        self.provider_list = GLOBAL_LIST if asm_group_id is None else f"group:{asm_group_id}"
        self._errors = errors
        self._page_size = page_size
        self._group_id = asm_group_id
        self._clock = clock or SystemClock()
        self._wait = wait
        client = SendGridAPIClient(account.api_key.get_secret_value(), host=account.base_url)
        # The SDK's default is to wait for ever, and to follow redirects with the key in hand.
        self._client = StayHereClient(
            host=account.base_url,
            request_headers=client.client.request_headers,
            version=3,
            timeout=timeout_seconds,
        )

    def listed(
        self, suppression_list: SuppressionList, since: datetime | None, until: datetime
    ) -> list[ListedSuppression]:
        """Every address that came on the list in [since, until], page by page; without `since`, from the beginning.

        The end is fixed, so that what comes on the list meanwhile does not move the pages. Raises
        `ProviderUnavailableError` or `ConfigurationError`.
        """
        found: list[ListedSuppression] = []
        while True:
            query = {"limit": self._page_size, "offset": len(found), "end_time": int(until.timestamp())}
            if since is not None:
                query["start_time"] = int(since.timestamp())
            page = self._page(suppression_list, query)
            found += page
            if len(page) < self._page_size:
                return found

    def push_opt_outs(self, addresses: Sequence[str]) -> None:
        """Put the addresses on the list; raises `ProviderUnavailableError` or `ConfigurationError`."""
        if not 0 < len(addresses) <= PUSH_SIZE:
            raise ValueError(f"between 1 and {PUSH_SIZE} addresses go into one request, not {len(addresses)}")

        def push() -> None:
            self._target().post(request_body={"recipient_emails": list(addresses)})

        self._asked(push)

    def withdraw_opt_out(self, address: str) -> None:
        """Take the address off the list again; that it is not on it (any more) is fine.

        Raises `ProviderUnavailableError` or `ConfigurationError`.
        """

        def withdraw() -> None:
            try:
                self._target()._(quote(address, safe="@")).delete()
            except HTTPError as refusal:
                if int(refusal.status_code) != 404:
                    raise

        self._asked(withdraw)

    def _target(self) -> Any:
        asm = self._client.asm
        if self._group_id is None:
            return asm.suppressions._("global")
        return asm.groups._(str(self._group_id)).suppressions

    def _page(self, suppression_list: SuppressionList, query: Mapping[str, int]) -> list[ListedSuppression]:
        def read() -> list[ListedSuppression]:
            answer = self._client.suppression._(suppression_list.value).get(query_params=dict(query))
            return [_listed(suppression_list, entry) for entry in json.loads(answer.body)]

        return self._asked(read)

    def _asked(self, ask: Callable[[], Answer]) -> Answer:
        def once() -> Answer:
            try:
                return ask()
            except HTTPError as refusal:
                status = int(refusal.status_code)
                error = self._errors.for_api(Provider.SENDGRID, str(status), status)
                wait = retry_after_seconds(dict(refusal.headers.items()) if refusal.headers else {}, self._clock.now())
                if error.error_class is ErrorClass.CONFIGURATION:
                    raise ConfigurationError(
                        f"SendGrid refused the question (HTTP {status}: {error.meaning}); the API key needs the scopes"
                        " suppression.read and asm.groups.suppressions.update"
                    ) from None
                raise ProviderUnavailableError(f"SendGrid did not answer (HTTP {status})", wait) from None
            except (urllib.error.URLError, OSError, http.client.HTTPException) as trouble:
                raise ProviderUnavailableError(f"SendGrid did not answer ({type(trouble).__name__})") from None
            except (ValueError, TypeError, LookupError, AttributeError) as trouble:
                raise ProviderUnavailableError(
                    f"SendGrid's answer can not be read ({type(trouble).__name__})"
                ) from None

        return read_with_back_off(once, retry_on=ProviderUnavailableError, wait=self._wait)


def _listed(suppression_list: SuppressionList, entry: Mapping[str, Any]) -> ListedSuppression:
    created = entry["created"]
    if isinstance(created, bool) or not isinstance(created, int):
        raise ValueError("an entry without an instant")
    return ListedSuppression(suppression_list, address_hash(entry["email"]), datetime.fromtimestamp(created, UTC))


class TwilioRecords:
    """What Twilio keeps about texts and numbers. Not thread-safe: one per thread or task."""

    def __init__(
        self,
        account: TwilioAccount,
        errors: ProviderErrors,
        *,
        timeout_seconds: float = 15.0,
        clock: Clock | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        keep_addresses_out_of_logs()
        self._account = account
        self._errors = errors
        self._timeout = timeout_seconds
        self._clock = clock or SystemClock()
        self._wait = wait

    def fetch_text(self, provider_message_id: str) -> FetchedText | None:
        """Where the text stands; None if Twilio keeps no such message (any more).

        Raises `ProviderUnavailableError` or `ConfigurationError`.
        """

        def fetch(client: Any) -> FetchedText | None:
            try:
                message = client.messages(provider_message_id).fetch()
            except TwilioRestException as refusal:
                if refusal.status == 404:
                    return None
                raise
            code = message.error_code
            return FetchedText(
                provider_message_id=provider_message_id,
                status=str(message.status).lower(),
                error_code=None if code is None else str(code),
                to_hash=address_hash(str(message.to)),
                updated_at=message.date_updated.astimezone(UTC),
            )

        return self._asked(self._account.base_url, fetch)

    def deactivated_numbers(self, day: date) -> list[str] | None:
        """The hashes of the US numbers that were given up on `day`; None while there is no file for it.

        Raises `ProviderUnavailableError` or `ConfigurationError`.
        """

        def read(client: Any) -> list[str] | None:
            try:
                place = client.messaging.v1.deactivations().fetch(date=day).redirect_to
            except TwilioRestException as refusal:
                if refusal.status == 404:
                    return None
                raise
            return list(self._download(str(place)))

        return self._asked(self._base_url(MESSAGING_URL), read)

    def push_opt_outs(self, numbers: Sequence[tuple[str, datetime]]) -> list[str]:
        """Tell the Compliance Toolkit who said no, and when; the hashes of the numbers it took.

        Raises `ProviderUnavailableError` or `ConfigurationError`.
        """
        if not 0 < len(numbers) <= CONSENTS_SIZE:
            raise ValueError(f"between 1 and {CONSENTS_SIZE} numbers go into one request, not {len(numbers)}")
        sender = self._account.messaging_service_sid or self._account.from_number
        by_correlation = {
            stable_id("opt-out", number, said_at.isoformat()).replace("-", ""): (number, said_at)
            for number, said_at in numbers
        }
        items = [
            {
                "contact_id": number,
                "correlation_id": correlation_id,
                "sender_id": sender,
                "status": "opt-out",
                "source": "others",
                "date_of_consent": said_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
            for correlation_id, (number, said_at) in by_correlation.items()
        ]

        def push(client: Any) -> list[str]:
            answered = client.accounts.v1.bulk_consents.create(items=items).items
            return [
                address_hash(by_correlation[item["correlation_id"]][0]) for item in answered if item["error_code"] == 0
            ]

        return self._asked(self._base_url(ACCOUNTS_URL), push)

    def _base_url(self, of_the_provider: str) -> str:
        """The product's own host, unless everything is said to this machine."""
        return self._account.base_url if is_loopback(self._account.base_url) else of_the_provider

    def _asked(self, base_url: str, ask: Callable[[Any], Answer]) -> Answer:
        http_client, client = twilio_client(self._account, base_url, self._timeout)
        return read_with_back_off(
            lambda: read_twilio(lambda: ask(client), self._errors, http_client, self._clock, SeenIn.API),
            retry_on=ProviderUnavailableError,
            wait=self._wait,
        )

    def _download(self, place: str) -> Iterator[str]:
        """The file's numbers, hashed; the place is signed, so no credentials go there."""
        if urlsplit(place).scheme != "https" and not is_loopback(place):
            raise ValueError("the file is not behind https")
        with requests.get(place, timeout=self._timeout, stream=True) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines(decode_unicode=True):
                number = str(line).strip()
                if _NUMBER.fullmatch(number):
                    # Without a plus it is a national number of the one country these files are about.
                    yield address_hash(number if number.startswith("+") else f"+1{number.removeprefix('1')}")
