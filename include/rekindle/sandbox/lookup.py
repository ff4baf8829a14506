"""Twilio Lookup v2: what it says about a number. Validity is real (libphonenumber), the line type is made up."""

from __future__ import annotations

import phonenumbers

from rekindle.sandbox.people import Dice, line_type
from rekindle.vocabulary import LineType

PACKAGES = (
    "caller_name", "sim_swap", "call_forwarding", "line_status", "line_type_intelligence", "identity_match",
    "reassigned_number", "sms_pumping_risk", "phone_number_quality_score", "pre_fill",
)  # fmt: skip

#: Twilio has no carrier data for these.
WITHOUT_CARRIER = frozenset(
    {
        LineType.PERSONAL, LineType.TOLL_FREE, LineType.PREMIUM, LineType.SHARED_COST, LineType.UAN,
        LineType.VOICEMAIL, LineType.PAGER, LineType.UNKNOWN,
    }
)  # fmt: skip

_CARRIERS = ("Made-up Wireless", "Sandbox Mobile", "Example Telecom")

_REASONS = {
    phonenumbers.ValidationResult.TOO_SHORT: "TOO_SHORT",
    phonenumbers.ValidationResult.TOO_LONG: "TOO_LONG",
    phonenumbers.ValidationResult.INVALID_LENGTH: "INVALID_LENGTH",
    phonenumbers.ValidationResult.INVALID_COUNTRY_CODE: "INVALID_COUNTRY_CODE",
    # Dialled only within its area: long enough to be possible, not complete.
    phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "TOO_SHORT",
}


def look_up(seed: int, asked: str, fields: frozenset[str], url: str) -> dict[str, object]:
    """The resource for `asked`; packages that were not asked for are null."""
    resource: dict[str, object] = dict.fromkeys(PACKAGES)
    try:
        number = phonenumbers.parse(asked, None)
    except phonenumbers.NumberParseException:
        return resource | {
            "calling_country_code": None,
            "country_code": None,
            "phone_number": asked,
            "national_format": None,
            "valid": False,
            "validation_errors": ["NOT_A_NUMBER"],
            "url": url,
        }
    valid = phonenumbers.is_valid_number(number)
    reason = phonenumbers.is_possible_number_with_reason(number)
    errors = [] if valid else [_REASONS.get(reason, "INVALID_BUT_POSSIBLE")]
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    resource |= {
        "calling_country_code": str(number.country_code),
        "country_code": phonenumbers.region_code_for_number(number),
        "phone_number": e164,
        "national_format": phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL),
        "valid": valid,
        "validation_errors": errors,
        "url": url,
    }
    if valid and "line_type_intelligence" in fields:
        resource["line_type_intelligence"] = _line_type_intelligence(seed, e164)
    return resource


def _line_type_intelligence(seed: int, number: str) -> dict[str, object]:
    kind = line_type(seed, number)
    dice = Dice.of(seed, "number", number)
    known = kind not in WITHOUT_CARRIER
    return {
        "type": kind.value,
        "carrier_name": dice.pick("carrier", _CARRIERS) if known else None,
        "mobile_country_code": "310" if known else None,
        "mobile_network_code": "999" if known else None,
        "error_code": None,
    }
