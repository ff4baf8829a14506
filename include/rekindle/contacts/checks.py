"""Checks of one address, cheapest first: format, then the numbering plan, then the paid question for the line type."""

from __future__ import annotations

from dataclasses import dataclass

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType, ValidationResult

from rekindle.channels.ports import LineTypeLookup, LookupResult
from rekindle.contacts.time_zones import candidate_time_zones
from rekindle.identity import address_hash
from rekindle.vocabulary import Channel, LineType

USABLE = "usable"

#: Lines that take a text. Everything else is denied by name; `unknown` is decided by the numbering plan.
TEXTABLE = frozenset({LineType.MOBILE, LineType.NON_FIXED_VOIP, LineType.FIXED_VOIP})

_PLAN_MAY_TEXT = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.VOIP})
_PLAN_IS_MOBILE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})


@dataclass(frozen=True, slots=True)
class ContactCheck:
    """One row of `contact_checks` without its instant. `e164` is the number to send to; None for e-mail."""

    address_hash: str
    channel: Channel
    is_usable: bool
    reason: str
    line_type: LineType | None
    time_zones: str | None
    cost: float | None
    e164: str | None


def check_email(address: str) -> ContactCheck:
    """Whether `address` is one that mail can be sent to, by its form alone; nothing is asked of the network.

    Reserved domains for tests (`.test`; example.com is ordinary syntax) pass: made-up leads live there. Addresses that
    need SMTPUTF8 do not, because SendGrid does not send to them.
    """
    try:
        validate_email(
            address.strip(), check_deliverability=False, test_environment=True, allow_smtputf8=False, strict=True
        )
    except EmailNotValidError:
        # The library's message quotes the address, so the reason is ours.
        return _verdict(address, Channel.EMAIL, "not_an_email_address")
    return _verdict(address, Channel.EMAIL, USABLE)


def check_phone(number: str, default_region: str | None, lookup: LineTypeLookup | None) -> ContactCheck:
    """Whether a text can be sent to `number`, written as E.164 or as people of `default_region` write it.

    `lookup` None leaves the verdict to the numbering plan. A lookup that gets no answer raises
    `ProviderUnavailableError` or `ConfigurationError`: nothing is known then, and the lead must be left as it is.
    """
    try:
        parsed = phonenumbers.parse(number, default_region)
    except NumberParseException:
        return _verdict(number, Channel.SMS, "not_a_number")
    possible = phonenumbers.is_possible_number_with_reason(parsed)
    if possible != ValidationResult.IS_POSSIBLE:
        return _verdict(number, Channel.SMS, f"impossible_number:{ValidationResult.to_string(possible).lower()}")
    if not phonenumbers.is_valid_number(parsed):
        return _verdict(number, Channel.SMS, "invalid_number")
    if parsed.extension:
        return _verdict(number, Channel.SMS, "has_an_extension")

    e164 = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    time_zones = candidate_time_zones(parsed)
    plan = phonenumbers.number_type(parsed)
    if plan not in _PLAN_MAY_TEXT:
        kind = PhoneNumberType.to_string(plan).lower()
        return _verdict(e164, Channel.SMS, f"numbering_plan:{kind}", time_zones=time_zones, e164=e164)
    if lookup is None:
        return _verdict(e164, Channel.SMS, USABLE, time_zones=time_zones, e164=e164)

    found = lookup.look_up(e164)
    return _verdict(
        e164,
        Channel.SMS,
        _judge(found, plan),
        time_zones=time_zones,
        e164=e164,
        line_type=found.line_type if found.valid else None,
        cost=found.cost,
    )


def _judge(found: LookupResult, plan: int) -> str:
    if not found.valid:
        return f"lookup_invalid:{','.join(found.validation_errors).lower() or 'no_reason_given'}"
    if found.line_type in TEXTABLE or (found.line_type is LineType.UNKNOWN and plan in _PLAN_IS_MOBILE):
        return USABLE
    return f"line_type:{found.line_type.value}"


def _verdict(
    address: str,
    channel: Channel,
    reason: str,
    *,
    line_type: LineType | None = None,
    time_zones: str | None = None,
    cost: float | None = None,
    e164: str | None = None,
) -> ContactCheck:
    return ContactCheck(address_hash(address), channel, reason == USABLE, reason, line_type, time_zones, cost, e164)
