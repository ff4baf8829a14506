from __future__ import annotations

from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers.tzdata import TIMEZONE_DATA

from rekindle.channels.ports import LookupResult, ProviderUnavailableError
from rekindle.contacts.checks import ContactCheck, check_email, check_phone
from rekindle.contacts.time_zones import candidate_time_zones
from rekindle.errors import ConfigurationError
from rekindle.identity import address_hash
from rekindle.vocabulary import Channel, LineType

AREA_CODES = sorted({prefix[1:4] for prefix in TIMEZONE_DATA if prefix.startswith("1") and len(prefix) >= 4})


class Answers:
    """A lookup that answers one line type, or raises."""

    def __init__(
        self, line_type: LineType = LineType.MOBILE, valid: bool = True, error: Exception | None = None
    ) -> None:
        self.line_type = line_type
        self.valid = valid
        self.error = error
        self.asked: list[str] = []

    def look_up(self, e164: str) -> LookupResult:
        self.asked.append(e164)
        if self.error is not None:
            raise self.error
        errors = () if self.valid else ("INVALID_LENGTH",)
        return LookupResult(self.line_type, self.valid, errors, "US", 0.008)


@pytest.mark.parametrize(
    "address",
    ["ada@example.com", " Ada.Lovelace+shop@Example.COM ", "a@sub.example.org", "x@shop.test", "a@exämple.com"],
)
def test_good_addresses(address):
    assert check_email(address) == ContactCheck(
        address_hash=address_hash(address),
        channel=Channel.EMAIL,
        is_usable=True,
        reason="usable",
        line_type=None,
        time_zones=None,
        cost=None,
        e164=None,
    )


@pytest.mark.parametrize(
    "address",
    [
        *("", "ada", "ada@", "@example.com", "ada@localhost", "ada@example", "ada@example.invalid", "ada@[127.0.0.1]"),
        *("a b@example.com", "ada..b@example.com", "ada@example..com", "ada@-example.com", "ü@example.com"),
        *("ada@example.com, b@example.com", "Ada <ada@example.com>", "a" * 65 + "@example.com"),
        "ada@example.com\r\nBcc: x@example.com",
    ],
)
def test_bad_addresses(address):
    check = check_email(address)
    assert (check.is_usable, check.reason, check.address_hash) == (
        False,
        "not_an_email_address",
        address_hash(address),
    )


@given(st.text(max_size=60))
def test_no_text_breaks_the_checks(text):
    assert check_email(text).channel is Channel.EMAIL
    assert check_phone(text, "US", None).channel is Channel.SMS


def test_fictional_numbers_pass_as_they_are():
    """555-0100 to 555-0199 is kept for fiction in every area code; the demonstration lives on it."""
    tried = 0
    for code in AREA_CODES:
        for last in (0, 50, 99):
            number = phonenumbers.parse(f"+1{code}55501{last:02d}")
            if phonenumbers.region_code_for_country_code(1) == "US" and phonenumbers.region_code_for_number(number) in (
                "US",
                "CA",
            ):
                check = check_phone(f"+1{code}55501{last:02d}", None, Answers())
                tried += 1
                assert (check.is_usable, check.reason) == (True, "usable"), code
    assert tried > 1_000


def test_a_number_is_normalised_and_asked_for_once():
    lookup = Answers()
    check = check_phone(" (212) 555-0147 ", "US", lookup)
    assert check == ContactCheck(
        address_hash=address_hash("+12125550147"),
        channel=Channel.SMS,
        is_usable=True,
        reason="usable",
        line_type=LineType.MOBILE,
        time_zones="America/New_York",
        cost=0.008,
        e164="+12125550147",
    )
    assert lookup.asked == ["+12125550147"]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("", "not_a_number"),
        ("call me", "not_a_number"),
        ("4155550123", "not_a_number"),  # no country and no default region
        ("+1415555", "impossible_number:too_short"),
        ("+141555501234567", "impossible_number:too_long"),
        ("+14155550123 ext. 7", "has_an_extension"),
        ("+10005550123", "invalid_number"),
        ("+18005550123", "numbering_plan:toll_free"),
        ("+442079460000", "numbering_plan:fixed_line"),
        ("+19005550123", "numbering_plan:premium_rate"),
    ],
)
def test_what_the_numbering_plan_rules_out_is_not_paid_for(number, reason):
    lookup = Answers()
    check = check_phone(number, None, lookup)
    assert (check.is_usable, check.reason, check.line_type, check.cost) == (False, reason, None, None)
    assert lookup.asked == []


@pytest.mark.parametrize("line_type", list(LineType))
def test_which_line_types_take_a_text(line_type):
    check = check_phone("+12125550147", None, Answers(line_type))
    usable = line_type in {LineType.MOBILE, LineType.NON_FIXED_VOIP, LineType.FIXED_VOIP, LineType.UNKNOWN}
    assert (check.is_usable, check.line_type, check.cost) == (usable, line_type, 0.008)
    assert check.reason == ("usable" if usable else f"line_type:{line_type.value}")


def test_unknown_is_only_good_enough_where_the_plan_says_mobile():
    # Given a number of a range for voice over IP in Britain (Ofcom keeps 056 for it)
    number = "+445600123456"
    assert phonenumbers.number_type(phonenumbers.parse(number)) == phonenumbers.PhoneNumberType.VOIP
    assert check_phone(number, None, Answers(LineType.UNKNOWN)).reason == "line_type:unknown"
    assert check_phone(number, None, Answers(LineType.NON_FIXED_VOIP)).is_usable
    assert check_phone("+447911123456", None, Answers(LineType.UNKNOWN)).is_usable


def test_a_number_the_lookup_knows_to_be_invalid():
    check = check_phone("+12125550147", None, Answers(valid=False))
    assert (check.is_usable, check.reason, check.line_type) == (False, "lookup_invalid:invalid_length", None)


@pytest.mark.parametrize("error", [ProviderUnavailableError("busy"), ConfigurationError("no package")])
def test_no_answer_is_no_verdict(error):
    with pytest.raises(type(error)):
        check_phone("+12125550147", None, Answers(error=error))


def zones_of(number: str) -> str | None:
    return candidate_time_zones(phonenumbers.parse(number))


@pytest.mark.parametrize(
    ("number", "zones"),
    [
        # plain
        ("+14155550123", "America/Los_Angeles"),
        # split area codes for which the library alone names one zone
        ("+12195550101", "America/Chicago,America/New_York"),
        ("+12705550101", "America/Chicago,America/New_York"),
        ("+18505550101", "America/Chicago,America/New_York"),
        ("+14235550101", "America/Chicago,America/New_York"),
        # overlays copy their partner
        ("+13645550101", "America/Chicago,America/New_York"),
        ("+14485550101", "America/Chicago,America/New_York"),
        ("+14585550101", "America/Denver,America/Los_Angeles"),
        ("+19305550101", "America/Chicago,America/New_York"),
        ("+19865550101", "America/Boise,America/Denver,America/Los_Angeles"),
        # Alaska
        ("+19075550101", "America/Adak,America/Anchorage,America/Juneau,Pacific/Honolulu"),
        # numbers that say nothing
        ("+18005550123", None),
        ("+15005550006", None),
        # a country with one zone name per island, and one where mobiles may be anywhere
        ("+447911123456", "Europe/Guernsey,Europe/Isle_of_Man,Europe/Jersey,Europe/London"),
        (
            "+61412345678",
            "Australia/Adelaide,Australia/Brisbane,Australia/Eucla,Australia/Lord_Howe,Australia/Perth,Australia/Sydney,"
            "Indian/Christmas,Indian/Cocos",
        ),
    ],
)
def test_every_candidate_zone(number, zones):
    assert zones_of(number) == zones


def test_the_split_area_codes_are_the_known_ones():
    split = [code for code in AREA_CODES if "," in (zones_of(f"+1{code}5550101") or "")]
    split_by_themselves = (
        "208 219 250 270 308 418 423 541 574 605 606 620 701 709 775 785 807 812 850 867 879 906 907 928 986"
    )
    overlays = "364 448 458 930"
    assert " ".join(split) == " ".join(sorted(f"{split_by_themselves} {overlays}".split()))


def test_every_zone_is_one_the_clock_knows():
    named = {zone for zones in TIMEZONE_DATA.values() for zone in zones}
    for code in AREA_CODES:
        for zone in (zones_of(f"+1{code}5550101") or "UTC").split(","):
            assert ZoneInfo(zone).key == zone
            assert zone in named or zone == "UTC"
