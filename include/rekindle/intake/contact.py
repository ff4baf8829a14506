"""Whether a cell is an e-mail address, a telephone number or a time zone, and its canonical spelling."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

import phonenumbers
from email_validator import EmailNotValidError, validate_email


def canonical_email(cell: str) -> str | None:
    """The address with its domain in lower case; None when malformed. Nothing is looked up."""
    try:
        # test_environment also takes the reserved domain .test
        return validate_email(cell, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        return None


def canonical_phone(cell: str, country: str | None) -> str | None:
    """The number as E.164; None when no such number can exist. Without a leading + the country is needed."""
    try:
        number = phonenumbers.parse(cell, country.upper() if country else None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def canonical_time_zone(cell: str) -> str | None:
    """The IANA name; None when there is no such zone."""
    return _time_zones().get(cell.lower())


@cache
def _time_zones() -> dict[str, str]:
    return {name.lower(): name for name in available_timezones() if name not in ("Factory", "localtime")}
