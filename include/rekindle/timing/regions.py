"""States of the USA and provinces of Canada: their time zones, and which of them a postal code is in.

Zones are IANA's; where a state is split, all of its zones are named, because a send must be right in each. Splits of
counties that keep another clock unofficially are not known here. Postal prefixes: USPS Publication 65 (the first three
digits of a ZIP code) and Canada Post (the first letter).
"""

from __future__ import annotations

import re
from functools import cache

_EASTERN, _CENTRAL, _MOUNTAIN, _PACIFIC = (
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
)

#: Code, name, first three digits of its ZIP codes, zones.
_STATES: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("AL", "alabama", "350-369", (_CENTRAL,)),
    (
        "AK",
        "alaska",
        "995-999",
        (*(f"America/{city}" for city in ("Adak", "Anchorage", "Juneau", "Metlakatla", "Nome", "Sitka", "Yakutat")),),
    ),
    ("AZ", "arizona", "850-865", ("America/Phoenix", _MOUNTAIN)),
    ("AR", "arkansas", "716-729", (_CENTRAL,)),
    ("CA", "california", "900-961", (_PACIFIC,)),
    ("CO", "colorado", "800-816", (_MOUNTAIN,)),
    ("CT", "connecticut", "060-069", (_EASTERN,)),
    ("DE", "delaware", "197-199", (_EASTERN,)),
    ("DC", "district of columbia", "200 202-205", (_EASTERN,)),
    ("FL", "florida", "320-339 341-349", (_EASTERN, _CENTRAL)),
    ("GA", "georgia", "300-319 398-399", (_EASTERN,)),
    ("HI", "hawaii", "967-968", ("Pacific/Honolulu",)),
    ("ID", "idaho", "832-838", ("America/Boise", _PACIFIC)),
    ("IL", "illinois", "600-629", (_CENTRAL,)),
    ("IN", "indiana", "460-479", ("America/Indiana/Indianapolis", _CENTRAL)),
    ("IA", "iowa", "500-528", (_CENTRAL,)),
    ("KS", "kansas", "660-679", (_CENTRAL, _MOUNTAIN)),
    ("KY", "kentucky", "400-427", ("America/Kentucky/Louisville", _CENTRAL)),
    ("LA", "louisiana", "700-714", (_CENTRAL,)),
    ("ME", "maine", "039-049", (_EASTERN,)),
    ("MD", "maryland", "206-219", (_EASTERN,)),
    ("MA", "massachusetts", "010-027 055", (_EASTERN,)),
    ("MI", "michigan", "480-499", ("America/Detroit", "America/Menominee")),
    ("MN", "minnesota", "550-567", (_CENTRAL,)),
    ("MS", "mississippi", "386-397", (_CENTRAL,)),
    ("MO", "missouri", "630-658", (_CENTRAL,)),
    ("MT", "montana", "590-599", (_MOUNTAIN,)),
    ("NE", "nebraska", "680-693", (_CENTRAL, _MOUNTAIN)),
    ("NV", "nevada", "889-898", (_PACIFIC, _MOUNTAIN)),
    ("NH", "new hampshire", "030-038", (_EASTERN,)),
    ("NJ", "new jersey", "070-089", (_EASTERN,)),
    ("NM", "new mexico", "870-884", (_MOUNTAIN,)),
    ("NY", "new york", "005 063 100-149", (_EASTERN,)),
    ("NC", "north carolina", "270-289", (_EASTERN,)),
    ("ND", "north dakota", "580-588", (_CENTRAL, _MOUNTAIN)),
    ("OH", "ohio", "430-459", (_EASTERN,)),
    ("OK", "oklahoma", "730-731 734-749", (_CENTRAL,)),
    ("OR", "oregon", "970-979", (_PACIFIC, "America/Boise")),
    ("PA", "pennsylvania", "150-196", (_EASTERN,)),
    ("RI", "rhode island", "028-029", (_EASTERN,)),
    ("SC", "south carolina", "290-299", (_EASTERN,)),
    ("SD", "south dakota", "570-577", (_CENTRAL, _MOUNTAIN)),
    ("TN", "tennessee", "370-385", (_EASTERN, _CENTRAL)),
    ("TX", "texas", "733 750-799 885", (_CENTRAL, _MOUNTAIN)),
    ("UT", "utah", "840-847", (_MOUNTAIN,)),
    ("VT", "vermont", "050-054 056-059", (_EASTERN,)),
    ("VA", "virginia", "201 220-246", (_EASTERN,)),
    ("WA", "washington", "980-994", (_PACIFIC,)),
    ("WV", "west virginia", "247-268", (_EASTERN,)),
    ("WI", "wisconsin", "530-549", (_CENTRAL,)),
    ("WY", "wyoming", "820-831", (_MOUNTAIN,)),
    ("PR", "puerto rico", "006-007 009", ("America/Puerto_Rico",)),
    ("VI", "virgin islands", "008", ("America/St_Thomas",)),
    ("GU", "guam", "", ("Pacific/Guam",)),
    ("MP", "northern mariana islands", "", ("Pacific/Saipan",)),
    ("AS", "american samoa", "", ("Pacific/Pago_Pago",)),
)

#: Code, name, first letters of its postal codes, zones.
_PROVINCES: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("AB", "alberta", "T", ("America/Edmonton",)),
    (
        "BC",
        "british columbia",
        "V",
        (
            "America/Creston",
            "America/Dawson_Creek",
            "America/Edmonton",
            "America/Fort_Nelson",
            "America/Vancouver",
        ),
    ),
    ("MB", "manitoba", "R", ("America/Winnipeg",)),
    ("NB", "new brunswick", "E", ("America/Moncton",)),
    ("NL", "newfoundland and labrador", "A", ("America/Goose_Bay", "America/St_Johns")),
    ("NS", "nova scotia", "B", ("America/Glace_Bay", "America/Halifax")),
    ("NT", "northwest territories", "X", ("America/Edmonton", "America/Inuvik")),
    (
        "NU",
        "nunavut",
        "X",
        ("America/Atikokan", "America/Cambridge_Bay", "America/Iqaluit", "America/Rankin_Inlet", "America/Resolute"),
    ),
    ("ON", "ontario", "KLMNP", ("America/Atikokan", "America/Toronto", "America/Winnipeg")),
    ("PE", "prince edward island", "C", ("America/Halifax",)),
    ("QC", "quebec", "GHJ", ("America/Blanc-Sablon", "America/Halifax", "America/Toronto")),
    ("SK", "saskatchewan", "S", ("America/Edmonton", "America/Regina", "America/Swift_Current")),
    ("YT", "yukon", "Y", ("America/Dawson", "America/Whitehorse")),
)
_BY_COUNTRY = {"US": _STATES, "CA": _PROVINCES}
_ZIP = re.compile(r"([0-9]{3})([0-9]{2})?(-[0-9]{4})?")
_CANADIAN = re.compile(r"([A-Z])[0-9][A-Z]\s*([0-9][A-Z][0-9])?")


def regions_of_state(country: str | None, state: str | None) -> tuple[str, ...]:
    """The region a state's or province's code or name stands for, like `US-TX`; `()` if it names none."""
    word = (state or "").strip().casefold()
    said, _, rest = word.partition("-")
    if rest and said.upper() in _BY_COUNTRY:
        country, word = said.upper(), rest
    code = (country or "").strip().upper()
    return tuple(
        f"{code}-{short}" for short, name, _, _ in _BY_COUNTRY.get(code, ()) if word in (short.casefold(), name)
    )


def regions_of_postal_code(country: str | None, postal_code: str | None) -> tuple[str, ...]:
    """The regions that a postal code, or its first three characters, may be in; `()` if it names none.

    Codes of the armed forces (09…, 340, 962-966) name no place.
    """
    code, text = (country or "").strip().upper(), (postal_code or "").strip().upper()
    if code == "US" and (found := _ZIP.fullmatch(text)):
        return _regions_of_zip().get(found[1], ())
    if code == "CA" and (found := _CANADIAN.fullmatch(text)):
        return tuple(f"CA-{short}" for short, _, letters, _ in _PROVINCES if found[1] in letters)
    return ()


def zones_of_regions(regions: tuple[str, ...]) -> tuple[str, ...]:
    """Every zone of these regions, sorted."""
    return tuple(sorted({zone for region in regions for zone in _zones_by_region()[region]}))


@cache
def _regions_of_zip() -> dict[str, tuple[str, ...]]:
    regions: dict[str, tuple[str, ...]] = {}
    for short, _, prefixes, _ in _STATES:
        for stretch in prefixes.split():
            first, _, last = stretch.partition("-")
            for number in range(int(first), int(last or first) + 1):
                regions[f"{number:03}"] = (*regions.get(f"{number:03}", ()), f"US-{short}")
    return regions


@cache
def _zones_by_region() -> dict[str, tuple[str, ...]]:
    return {f"{country}-{short}": zones for country, table in _BY_COUNTRY.items() for short, _, _, zones in table}
