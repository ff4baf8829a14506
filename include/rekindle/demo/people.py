"""Makes up what an event log lacks: names, addresses, numbers, time zones, consents, support tickets.

Everything is drawn from the user's id, so the same log gives the same people, and marked `is_made_up`.

* E-mail addresses stand on the domains reserved for examples (RFC 2606).
* Telephone numbers are 555-0100 to 555-0199, which the North American numbering plan keeps for fiction, in every area
  code of the United States that lies in one time zone: `FictionalNumbers.size` (35,400) numbers. They are dealt without
  repetition, in the order in which people were first seen; whoever comes after the last number has none.
* About 3 leads in 1,000 share the address or number of another lead on purpose: a household.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from math import gcd
from typing import Any, TypeVar

import phonenumbers
import pyarrow as pa
from phonenumbers import timezone as phone_time_zones

from rekindle.identity import stable_id

Thing = TypeVar("Thing")

SALT = "rekindle demonstration people"
MADE_UP_SOURCE = "made up"

EMAIL_DOMAINS = ("example.com", "example.net", "example.org")
FIRST_NAMES = (
    "Alex", "Ariel", "Avery", "Blake", "Cameron", "Casey", "Charlie", "Dakota", "Drew", "Eden", "Elliot", "Emery",
    "Finley", "Frankie", "Harper", "Hayden", "Jamie", "Jordan", "Jules", "Kai", "Kendall", "Lee", "Logan", "Marley",
    "Morgan", "Noel", "Parker", "Quinn", "Reese", "Remy", "Riley", "River", "Robin", "Rowan", "Sage", "Sam", "Sidney",
    "Skyler", "Taylor", "Toni",
)  # fmt: skip
PLANS = ("free",) * 7 + ("plus",) * 2 + ("pro",)
TICKET_CATEGORIES = ("billing", "delivery", "returns", "account", "product question")

SHARE_WITHOUT_EMAIL = 0.03
SHARE_WITHOUT_PHONE = 0.25
SHARE_WITHOUT_TIME_ZONE = 0.02  # of those with a number, which then has to tell
SHARE_OF_HOUSEHOLDS = 0.003
SHARE_WITH_SMS_CONSENT = 0.9  # of those with a number
SHARE_OF_EVENTS_WITH_TICKET = 0.033  # gives about 8 % of the people of either demonstration log a ticket
SHARE_NEVER_CLOSED = 0.06

#: SQL over the events table: the events a support ticket follows, drawn from their ids.
FOLLOWED_BY_TICKET = (
    f"cast(concat('0x', substr(sha256(concat('{SALT}|', event_id)), 1, 8)) as bigint)"
    f" < {int(SHARE_OF_EVENTS_WITH_TICKET * 2**32)}"
)

#: Time zones as libphonenumber tells them → the one we write.
_TIME_ZONES: Mapping[tuple[str, ...], str] = {
    ("America/New_York",): "America/New_York",
    ("America/Chicago",): "America/Chicago",
    ("America/Denver",): "America/Denver",
    ("America/Phoenix",): "America/Phoenix",
    ("America/Los_Angeles",): "America/Los_Angeles",
    ("America/Adak", "America/Anchorage"): "America/Anchorage",
    ("Pacific/Honolulu",): "Pacific/Honolulu",
}
_LINES = 100  # 555-0100 … 555-0199
_SLUG = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*")
_LONGEST_SLUG = 50  # a mailbox name has at most 64 characters

#: What can be made up; a column a leads file has is left as it is, blank cells too.
MAKEABLE = (
    "email",
    "phone",
    "first_name",
    "time_zone",
    "country",
    "locale",
    "plan",
    "signed_up_at",
    "email_consented_at",
    "sms_consented_at",
)
_INSTANT = pa.timestamp("us")
LEADS_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("email", pa.string()),
        ("phone", pa.string()),
        ("first_name", pa.string()),
        ("time_zone", pa.string()),
        ("country", pa.string()),
        ("locale", pa.string()),
        ("plan", pa.string()),
        ("signed_up_at", _INSTANT),
        ("email_consented_at", _INSTANT),
        ("sms_consented_at", _INSTANT),
        ("email_consent_expires_at", _INSTANT),
        ("sms_consent_expires_at", _INSTANT),
        ("properties", pa.string()),
        ("is_made_up", pa.bool_()),
        ("source_file", pa.string()),
        ("source_row", pa.int64()),
    ]
)
TICKETS_SCHEMA = pa.schema(
    [
        ("ticket_id", pa.string()),
        ("user_id", pa.string()),
        ("opened_at", _INSTANT),
        ("closed_at", _INSTANT),
        ("category", pa.string()),
        ("satisfaction", pa.int64()),
        ("is_made_up", pa.bool_()),
        ("source_file", pa.string()),
        ("source_row", pa.int64()),
    ]
)


class Draws:
    """Independent numbers in [0, 1), drawn from an id."""

    def __init__(self, purpose: str, user_id: str) -> None:
        self._digest = hashlib.sha256(f"{SALT}|{purpose}|{user_id}".encode()).digest()
        self._taken = 0

    def fraction(self) -> float:
        """The next number; a digest holds ten."""
        start = self._taken * 3
        assert start + 3 <= len(self._digest), "one purpose has no more numbers"
        self._taken += 1
        return int.from_bytes(self._digest[start : start + 3]) / 2**24

    def choice(self, things: Sequence[Thing]) -> Thing:
        return things[int(self.fraction() * len(things))]


@cache
def area_codes() -> Mapping[int, str]:
    """Every area code of the United States that lies in one of our time zones → that zone."""
    zones: dict[int, str] = {}
    for code in range(200, 1000):
        number = phonenumbers.parse(fictional_number(code, 0))
        if phonenumbers.is_valid_number(number) and phonenumbers.region_code_for_number(number) == "US":
            zone = _TIME_ZONES.get(tuple(phone_time_zones.time_zones_for_number(number)))
            if zone:
                zones[code] = zone
    return zones


def fictional_number(area_code: int, line: int) -> str:
    """The `line`-th (0–99) fictional number of an area code, as E.164."""
    return f"+1{area_code}55501{line:02}"


class FictionalNumbers:
    """Deals every fictional number once, scattered over the area codes."""

    def __init__(self) -> None:
        self._codes = tuple(area_codes())
        self.size = len(self._codes) * _LINES
        # a stride without a common factor visits every number once; near the golden ratio, neighbours end far apart
        self._stride = next(n for n in range(int(self.size * 0.618), self.size) if gcd(n, self.size) == 1)
        self._dealt: set[int] = set()
        self._cursors: dict[str | None, int] = {}

    def deal(self, time_zone: str | None = None) -> str | None:
        """The next number, of that zone if one is named; None when there are no more."""
        for position in range(self._cursors.get(time_zone, 0), self.size):
            index = position * self._stride % self.size
            code, line = self._codes[index // _LINES], index % _LINES
            if index in self._dealt or (time_zone and area_codes()[code] != time_zone):
                continue
            self._dealt.add(index)
            self._cursors[time_zone] = position + 1
            return fictional_number(code, line)
        self._cursors[time_zone] = self.size
        return None


def fictional_email(user_id: str) -> str:
    """An address on a reserved domain, another one for every id."""
    slug = user_id
    if not _SLUG.fullmatch(slug) or len(slug) > _LONGEST_SLUG or re.fullmatch(r"x[0-9a-f]{24}", slug):
        slug = "x" + hashlib.sha256(user_id.encode()).hexdigest()[:24]
    return f"lead-{slug}@{Draws('e-mail domain', user_id).choice(EMAIL_DOMAINS)}"


def make_up_leads(
    people: Iterable[pa.RecordBatch], columns_given: frozenset[str] = frozenset()
) -> Iterator[pa.RecordBatch]:
    """Complete leads: every column of the raw users table that the leads file (if any) does not have is made up.

    `people` has `user_id` and `first_seen`, and the columns of the leads file if there is one, in the order of first
    sight: numbers are dealt in that order, so a longer log leaves the numbers of earlier people as they were.
    """
    numbers = FictionalNumbers()
    neighbour: dict[str, Any] | None = None
    row_number = 0
    for batch in people:
        leads = []
        for person in batch.to_pylist():
            row_number += 1
            lead, is_sharing = _complete(person, columns_given, numbers, neighbour)
            lead.setdefault("source_file", MADE_UP_SOURCE)
            lead.setdefault("source_row", row_number)
            leads.append(lead)
            if not is_sharing:
                neighbour = lead
        yield pa.RecordBatch.from_pylist(leads, schema=LEADS_SCHEMA)


def _complete(
    person: dict[str, Any], columns_given: frozenset[str], numbers: FictionalNumbers, neighbour: dict[str, Any] | None
) -> tuple[dict[str, Any], bool]:
    """One lead, and whether it was made to share an address or number."""
    user_id: str = person["user_id"]
    draws = Draws("lead", user_id)
    has_email = draws.fraction() >= SHARE_WITHOUT_EMAIL
    has_phone = draws.fraction() >= SHARE_WITHOUT_PHONE
    is_zone_told = draws.fraction() >= SHARE_WITHOUT_TIME_ZONE
    is_household = draws.fraction() < SHARE_OF_HOUSEHOLDS and neighbour is not None
    shares_email = draws.fraction() < 0.5
    has_sms_consent = draws.fraction() < SHARE_WITH_SMS_CONSENT
    made: dict[str, Any] = {
        "first_name": draws.choice(FIRST_NAMES),
        "plan": draws.choice(PLANS),
        "signed_up_at": person["first_seen"],
    }
    a_zone = draws.choice(_zones_by_size())
    lead = {name: person.get(name) for name in columns_given}
    is_sharing = False

    if "email" not in columns_given:
        made["email"] = fictional_email(user_id) if has_email else None
        if is_household and neighbour and shares_email and neighbour["email"]:
            made["email"], is_sharing = neighbour["email"], True
    if "phone" not in columns_given:
        zone_wanted = lead.get("time_zone")
        is_american = (lead.get("country") or "US").upper() == "US" and (
            zone_wanted is None or zone_wanted in _zones_by_size()
        )
        if (
            is_household
            and neighbour
            and not is_sharing
            and neighbour["phone"]
            and not columns_given & {"time_zone", "country"}
        ):
            made["phone"], is_sharing = neighbour["phone"], True
        else:
            made["phone"] = numbers.deal(zone_wanted) if has_phone and is_american else None
    phone = lead.get("phone") or made.get("phone")
    if "time_zone" not in columns_given:
        made["time_zone"] = _zone_of(phone) if phone else a_zone
        if phone and not is_zone_told:
            made["time_zone"] = None
    if "country" not in columns_given:
        made["country"] = _country_of(phone) if phone else "US"
    if "locale" not in columns_given:
        made["locale"] = "en-US" if (lead.get("country") or made.get("country") or "").upper() == "US" else None
    since = lead["signed_up_at"] if lead.get("signed_up_at") else person["first_seen"]
    made["email_consented_at"] = since if lead.get("email") or made.get("email") else None
    made["sms_consented_at"] = since if phone and has_sms_consent else None

    added = {name: value for name, value in made.items() if name not in columns_given}
    completed = {"user_id": user_id, "properties": person.get("properties")} | lead | added
    completed["is_made_up"] = any(value is not None for value in added.values())
    if columns_given:
        completed |= {"source_file": person["source_file"], "source_row": person["source_row"]}
    return completed, is_sharing


@cache
def _zones_by_size() -> tuple[str, ...]:
    """Each zone once for each of its area codes, which follow the population."""
    return tuple(area_codes().values())


def _made_up_area_code(phone: str) -> int | None:
    """The area code of a number of `FictionalNumbers`: spares parsing what we wrote ourselves."""
    found = re.fullmatch(r"\+1(\d{3})55501\d{2}", phone)
    return int(found[1]) if found and int(found[1]) in area_codes() else None


def _country_of(phone: str) -> str | None:
    if _made_up_area_code(phone):
        return "US"
    return str(phonenumbers.region_code_for_number(phonenumbers.parse(phone)) or "") or None


def _zone_of(phone: str) -> str | None:
    """The one time zone a number lies in; None when it may lie in several."""
    if area_code := _made_up_area_code(phone):
        return area_codes()[area_code]
    zones = tuple(phone_time_zones.time_zones_for_number(phonenumbers.parse(phone)))
    return _TIME_ZONES.get(zones) or (zones[0] if len(zones) == 1 and "/" in zones[0] else None)


def make_up_tickets(events: Iterable[pa.RecordBatch], until: datetime) -> Iterator[pa.RecordBatch]:
    """One support ticket after each of the events (`event_id`, `user_id`, `occurred_at`), as known at `until`.

    The events are those `FOLLOWED_BY_TICKET` picks. A ticket follows from what had happened by then: were it placed by
    what came later, it would tell the score who comes back. `until` is UTC without a zone.
    """
    row_number = 0
    for batch in events:
        tickets = []
        for event in batch.to_pylist():
            ticket = _ticket_after(event, until)
            if ticket is not None:
                row_number += 1
                tickets.append(ticket | {"source_row": row_number})
        yield pa.RecordBatch.from_pylist(tickets, schema=TICKETS_SCHEMA)


def _ticket_after(event: dict[str, Any], until: datetime) -> dict[str, Any] | None:
    draws = Draws("ticket", event["event_id"])
    opened_at = event["occurred_at"] + timedelta(hours=1 + int(draws.fraction() * 24 * 10))
    if opened_at >= until:
        return None
    closed_at = opened_at + timedelta(hours=1 + int(draws.fraction() * 24 * 6))
    is_closed = draws.fraction() >= SHARE_NEVER_CLOSED and closed_at < until
    category = draws.choice(TICKET_CATEGORIES)
    # most are content, as at any help desk; the few who are not are what the score looks for
    satisfaction = draws.choice((1, 2, 3, 4, 4, 5, 5, 5))
    return {
        "ticket_id": stable_id("ticket", event["event_id"]),
        "user_id": event["user_id"],
        "opened_at": opened_at,
        "closed_at": closed_at if is_closed else None,
        "category": category,
        "satisfaction": satisfaction if is_closed else None,
        "is_made_up": True,
        "source_file": MADE_UP_SOURCE,
    }
