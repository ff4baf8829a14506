"""Which time zones a lead may be in, by a ladder of evidence. No evidence gives no zones, never a guess."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

#: A number whose prefix spans more zones than this says nothing about a place: libphonenumber answers 42 zones for a
#: North American toll-free number, while the widest real prefix (+7, Russia and Kazakhstan) has 16.
MOST_ZONES_OF_A_NUMBER = 20

#: What sign-up forms send instead of the ISO 3166 code.
COUNTRY_ALIASES = {"USA": "US", "UK": "GB"}

#: One winter and one summer instant: zones that agree on both share a clock for our purpose.
_PROBE_INSTANTS = (datetime(2026, 1, 15, 12, tzinfo=UTC), datetime(2026, 7, 15, 12, tzinfo=UTC))


def candidate_zones(
    profile_time_zone: str | None, phone_time_zones: Sequence[str], country: str | None
) -> tuple[str, ...]:
    """Every IANA zone the lead may be in, sorted; `()` when nothing is known.

    The first rung of the ladder with usable evidence wins:

    1. the profile's own zone, if it is an IANA zone of a place (`UTC` and `Etc/*` are what servers fill in);
    2. all zones the phone number may be in, unless there are so many that the number names no place;
    3. the zones of the country, if all of them share one clock.
    """
    for evidence in (_places([profile_time_zone or ""]), _zones_of_number(phone_time_zones)):
        if evidence:
            return evidence
    of_country = zones_of_country(country)
    return of_country if of_country and _share_a_clock(of_country) else ()


def proper_zone(name: str) -> str | None:
    """The IANA spelling of a zone written in any case; None if there is no such zone."""
    return _zones_by_folded_name().get(name.strip().casefold())


def _places(names: Iterable[str]) -> tuple[str, ...]:
    """The names that are zones of a place, sorted. `Etc/*` and slash-less names (`UTC`, `EST`) are nobody's home."""
    zones = {proper_zone(name) for name in names}
    return tuple(sorted(zone for zone in zones if zone and "/" in zone and not zone.startswith("Etc/")))


def zones_of_country(country: str | None) -> tuple[str, ...]:
    """All zones of a country by its ISO 3166 code, sorted; `()` if unknown. `US` includes Alaska and Hawaii."""
    code = (country or "").strip().upper()
    return _zones_by_country().get(COUNTRY_ALIASES.get(code, code), ())


def _zones_of_number(names: Sequence[str]) -> tuple[str, ...]:
    zones = _places(names)
    return zones if len(zones) <= MOST_ZONES_OF_A_NUMBER else ()


@lru_cache(maxsize=1)
def _zones_by_folded_name() -> Mapping[str, str]:
    return {name.casefold(): name for name in available_timezones()}


@lru_cache(maxsize=1)
def _zones_by_country() -> Mapping[str, tuple[str, ...]]:
    """The `zone.tab` of the tzdata package: country code, coordinates, zone."""
    table = (importlib.resources.files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    zones: dict[str, list[str]] = {}
    for line in table.splitlines():
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            zones.setdefault(country, []).append(zone)
    return {country: tuple(sorted(names)) for country, names in zones.items()}


@lru_cache(maxsize=512)
def _share_a_clock(zones: tuple[str, ...]) -> bool:
    def offsets(zone: str) -> tuple[timedelta | None, ...]:
        return tuple(instant.astimezone(ZoneInfo(zone)).utcoffset() for instant in _PROBE_INSTANTS)

    return len({offsets(zone) for zone in zones}) == 1
