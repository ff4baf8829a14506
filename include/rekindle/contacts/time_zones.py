"""The time zones a phone number may be in: every candidate, because a send must be right in all of them.

libphonenumber answers with the zone of the longest prefix it knows, which names one zone for area codes that straddle
two (219, 270, 850 and others). The union over all longer prefixes in the same data names both. An overlay code without
data of its own copies its partner's. A number says where it was given out, not where its owner is.
"""

from __future__ import annotations

from functools import lru_cache

from phonenumbers import PhoneNumber, PhoneNumberType, number_type
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number
from phonenumbers.tzdata import TIMEZONE_DATA

NORTH_AMERICA = 1
#: Overlays of split area codes which the data files under one zone: North American Numbering Plan Administrator.
OVERLAYS = {"364": "270", "448": "850", "458": "541", "930": "812", "986": "208"}
_PLACED = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)


def candidate_time_zones(number: PhoneNumber) -> str | None:
    """The candidates' IANA names, sorted and joined with commas; None if the number does not say."""
    if number.country_code == NORTH_AMERICA:
        if number_type(number) not in _PLACED:
            return None
        zones = _of_area_code(str(number.national_number)[:3])
    else:
        zones = frozenset(time_zones_for_number(number))
    known = sorted(zones - {UNKNOWN_TIMEZONE})
    return ",".join(known) or None


@lru_cache(maxsize=1_024)
def _of_area_code(area_code: str) -> frozenset[str]:
    zones: set[str] = set()
    for code in (area_code, OVERLAYS.get(area_code)):
        if code is not None:
            prefix = f"{NORTH_AMERICA}{code}"
            zones.update(*(named for known, named in TIMEZONE_DATA.items() if known.startswith(prefix)))
    return frozenset(zones)
