"""What both providers' HTTP needs: reading waiting times from headers, and keeping addresses out of the logs."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: No provider's stated waiting time is believed beyond a day.
LONGEST_WAIT_SECONDS = 86_400.0


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """How long the answer asks us to wait: `Retry-After` (seconds or a date), else SendGrid's `X-RateLimit-Reset`."""
    lower = _lower(headers)
    stated = lower.get("retry-after")
    if stated is not None:
        wait = _number(stated)
        if wait is None:
            try:
                then = parsedate_to_datetime(stated)
            except ValueError:
                then = None
            if then is not None:
                wait = (then.replace(tzinfo=then.tzinfo or UTC) - now).total_seconds()
        if wait is not None:
            return min(max(wait, 0.0), LONGEST_WAIT_SECONDS)
    return _until_reset(lower, now)


def seconds_until_more(headers: Mapping[str, str], now: datetime) -> float | None:
    """How long to wait after an answer that is no refusal: until `X-RateLimit-Reset` when `X-RateLimit-Remaining` says
    that nothing is left, else not at all.
    """
    lower = _lower(headers)
    remaining = _number(lower.get("x-ratelimit-remaining", ""))
    return _until_reset(lower, now) if remaining is not None and remaining <= 0 else None


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value.strip() for name, value in headers.items()}


def _until_reset(lower: Mapping[str, str], now: datetime) -> float | None:
    reset = _number(lower.get("x-ratelimit-reset", ""))
    return None if reset is None else min(max(reset - now.timestamp(), 0.0), LONGEST_WAIT_SECONDS)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


class _HideAddressesInPaths(logging.Filter):
    """Drops urllib3's line about a request whose path or query names a recipient."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        return "/PhoneNumbers/" not in said and "To=" not in said


class _OnlyWarnings(logging.Filter):
    """Drops what an SDK says about each request, whatever level a log configuration sets later."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING


def keep_addresses_out_of_logs() -> None:
    """Silence the SDKs' own request logs; may be called any number of times.

    twilio logs every request's parameters at INFO; python_http_client (SendGrid) logs payloads, answers and the API key
    at DEBUG; urllib3 logs paths at DEBUG, and Lookup has the number in its path.
    """
    for name, wanted in (
        ("twilio.http_client", _OnlyWarnings),
        ("python_http_client.client", _OnlyWarnings),
        ("urllib3.connectionpool", _HideAddressesInPaths),
    ):
        logger = logging.getLogger(name)
        if wanted is _OnlyWarnings:
            logger.setLevel(logging.WARNING)
        if not any(isinstance(present, wanted) for present in logger.filters):
            logger.addFilter(wanted())
