"""The evidence ladder: which zones a lead may be in."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rekindle.timing.zones import whereabouts, zones_of_country

TOLL_FREE = [  # what libphonenumber 9 answers for +1 800, shortened to what matters: more zones than a place can have
    *(f"America/{city}" for city in ("Adak", "Anchorage", "Anguilla", "Antigua", "Barbados", "Boise", "Chicago")),
    *(f"America/{city}" for city in ("Denver", "Detroit", "Dominica", "Edmonton", "Grenada", "Halifax", "Jamaica")),
    *(f"America/{city}" for city in ("Juneau", "Los_Angeles", "Montserrat", "Nassau", "New_York", "Phoenix")),
    "America/Puerto_Rico",
    "Pacific/Honolulu",
]


@pytest.mark.parametrize(
    ("profile", "phone", "country", "expected"),
    [
        # the profile's own zone wins over everything
        ("America/Denver", ["America/New_York"], "US", ("America/Denver",)),
        ("  america/denver ", [], None, ("America/Denver",)),
        ("Australia/Lord_Howe", [], "AU", ("Australia/Lord_Howe",)),
        # what servers and forms fill in is no evidence of a place
        ("UTC", ["America/Chicago"], "US", ("America/Chicago",)),
        ("Etc/GMT+5", [], "US", ()),
        ("EST", [], "US", ()),
        ("Factory", [], None, ()),
        ("Pacific Time (US & Canada)", [], "US", ()),
        ("../../etc/passwd", [], None, ()),
        ("", [], None, ()),
        (None, [], None, ()),
        # all zones the number may be in, sorted and once
        (
            None,
            ["America/New_York", "America/Chicago", "America/New_York"],
            "US",
            ("America/Chicago", "America/New_York"),
        ),
        (None, ["Etc/Unknown"], "US", ()),
        (None, TOLL_FREE, "US", ()),
        # a country counts if its zones share one clock
        (None, [], "gb", ("Europe/London",)),
        (None, ["Etc/Unknown"], "UK", ("Europe/London",)),
        (None, [], "DE", ("Europe/Berlin", "Europe/Busingen")),
        (None, [], "ES", ()),  # the Canary Islands are an hour behind
        (None, [], "Germany", ()),
    ],
)
def test_first_usable_evidence_wins(
    profile: str | None, phone: Sequence[str], country: str | None, expected: tuple[str, ...]
) -> None:
    assert whereabouts(profile, phone, country).zones == expected


def test_all_zones_of_the_united_states_are_known() -> None:
    zones = zones_of_country("US")
    assert {"America/Anchorage", "America/Adak", "Pacific/Honolulu", "America/Phoenix", "America/New_York"} <= set(
        zones
    )
    assert len(zones) >= 29
    assert zones_of_country("usa") == zones
    assert zones_of_country("XX") == zones_of_country(None) == ()
