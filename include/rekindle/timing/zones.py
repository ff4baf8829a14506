"""Which time zones a lead may be in, by a ladder of evidence. No evidence gives no zones, never a guess."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from rekindle.timing.regions import regions_of_postal_code, regions_of_state, zones_of_regions

#: A number whose prefix spans more zones than this says nothing about a place: libphonenumber answers 42 zones for a
#: North American toll-free number, while the widest real prefix (+7, Russia and Kazakhstan) has 16.
MOST_ZONES_OF_A_NUMBER = 20

#: What sign-up forms send instead of the ISO 3166 code.
COUNTRY_ALIASES = {"USA": "US", "UK": "GB"}

#: One winter and one summer instant: zones that agree on both share a clock for our purpose.
_PROBE_INSTANTS = (datetime(2026, 1, 15, 12, tzinfo=UTC), datetime(2026, 7, 15, 12, tzinfo=UTC))


class ZoneEvidence(StrEnum):
    """The rung of the ladder that decided where a lead may be."""

    PROFILE = "profile"
    POSTAL_CODE = "postal_code"
    STATE = "state"
    NUMBER = "number"
    COUNTRY = "country"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Every IANA zone the lead may be in, sorted, and the evidence for it; no zones and None when nothing is known."""

    zones: tuple[str, ...]
    evidence: ZoneEvidence | None


def whereabouts(
    profile_time_zone: str | None,
    phone_time_zones: Sequence[str],
    country: str | None,
    state: str | None = None,
    postal_code: str | None = None,
) -> Whereabouts:
    """Where the lead may be. The first rung of the ladder with usable evidence wins:

    1. the profile's own zone, if it is an IANA zone of a place (`UTC` and `Etc/*` are what servers fill in);
    2. the zones of the state that the postal code (USA, Canada) is in; its first three characters are enough;
    3. the zones of the state or province;
    4. all zones the phone number may be in, unless there are so many that the number names no place;
    5. the zones of the country, if all of them share one clock.
    """
    code = country_code(country)
    of_country = zones_of_country(country)
    for evidence, zones in (
        (ZoneEvidence.PROFILE, _places([profile_time_zone or ""])),
        (ZoneEvidence.POSTAL_CODE, zones_of_regions(regions_of_postal_code(code, postal_code))),
        (ZoneEvidence.STATE, zones_of_regions(regions_of_state(code, state))),
        (ZoneEvidence.NUMBER, _zones_of_number(phone_time_zones)),
        (ZoneEvidence.COUNTRY, of_country if of_country and _share_a_clock(of_country) else ()),
    ):
        if zones:
            return Whereabouts(zones, evidence)
    return Whereabouts((), None)


def proper_zone(name: str) -> str | None:
    """The IANA spelling of a zone written in any case; None if there is no such zone."""
    return _zones_by_folded_name().get(name.strip().casefold())


def _places(names: Iterable[str]) -> tuple[str, ...]:
    """The names that are zones of a place, sorted. `Etc/*` and slash-less names (`UTC`, `EST`) are nobody's home."""
    zones = {proper_zone(name) for name in names}
    return tuple(sorted(zone for zone in zones if zone and "/" in zone and not zone.startswith("Etc/")))


def zones_of_country(country: str | None) -> tuple[str, ...]:
    """All zones of a country by its ISO 3166 code, sorted; `()` if unknown. `US` includes Alaska and Hawaii."""
    return _zones_by_country().get(country_code(country), ())


def countries_of_zones(zones: Iterable[str]) -> tuple[str, ...]:
    """The ISO 3166 codes of the countries that these IANA zones are of, sorted."""
    return tuple(sorted({_country_by_zone()[zone] for zone in zones if zone in _country_by_zone()}))


def country_code(country: str | None) -> str:
    """The ISO 3166 code a country is known by here; empty if none is given."""
    code = (country or "").strip().upper()
    return COUNTRY_ALIASES.get(code, code)


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


@lru_cache(maxsize=1)
def _country_by_zone() -> Mapping[str, str]:
    return {zone: country for country, zones in _zones_by_country().items() for zone in zones}


@lru_cache(maxsize=512)
def _share_a_clock(zones: tuple[str, ...]) -> bool:
    def offsets(zone: str) -> tuple[timedelta | None, ...]:
        return tuple(instant.astimezone(ZoneInfo(zone)).utcoffset() for instant in _PROBE_INSTANTS)

    return len({offsets(zone) for zone in zones}) == 1
