"""Made-up people: valid, fictional, told as made up, the same every time."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import phonenumbers
import pyarrow as pa
import pytest
from email_validator import validate_email
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import timezone

from rekindle.demo.people import (
    EMAIL_DOMAINS,
    FIRST_NAMES,
    FOLLOWED_BY_TICKET,
    LEADS_SCHEMA,
    Draws,
    FictionalNumbers,
    area_codes,
    fictional_email,
    make_up_leads,
    make_up_tickets,
)

BEGAN = datetime(2024, 1, 1)
CROWD = 20_000


def people(count, **columns):
    """`count` people, one first seen every minute, in batches as the workspace gives them."""
    table = pa.table(
        {
            "user_id": [f"{number:05}" for number in range(count)],
            "first_seen": pa.array([BEGAN + timedelta(minutes=number) for number in range(count)], pa.timestamp("us")),
            **columns,
        }
    )
    return table.to_batches(max_chunksize=7_000)


def rows_of(batches):
    return [row for batch in batches for row in batch.to_pylist()]


@pytest.fixture(scope="module")
def crowd():
    return rows_of(make_up_leads(people(CROWD)))


def share(rows, condition):
    return sum(map(condition, rows)) / len(rows)


def test_everybody_is_completed_and_told_as_made_up(crowd):
    assert [lead["user_id"] for lead in crowd] == [f"{number:05}" for number in range(CROWD)]
    assert all(lead["is_made_up"] and lead["source_file"] == "made up" for lead in crowd)
    assert [lead["source_row"] for lead in crowd] == list(range(1, CROWD + 1))
    assert {lead["country"] for lead in crowd} == {"US"}
    assert {lead["locale"] for lead in crowd} == {"en-US"}
    assert {lead["first_name"] for lead in crowd} == set(FIRST_NAMES)
    assert {lead["plan"] for lead in crowd} == {"free", "plus", "pro"}


@pytest.mark.parametrize(
    ("what", "condition", "expected"),
    [
        ("has no e-mail", lambda lead: lead["email"] is None, 0.03),
        ("has no phone", lambda lead: lead["phone"] is None, 0.25),
        ("has a phone that must tell the zone", lambda lead: lead["time_zone"] is None, 0.015),
        ("agreed to texts", lambda lead: lead["sms_consented_at"] is not None, 0.675),
        ("lives in New York's zone", lambda lead: lead["time_zone"] == "America/New_York", 0.48),
        ("lives in Los Angeles' zone", lambda lead: lead["time_zone"] == "America/Los_Angeles", 0.14),
    ],
)
def test_shares(crowd, what, condition, expected):
    assert share(crowd, condition) == pytest.approx(expected, rel=0.15), what


def test_every_number_is_valid_fictional_and_in_the_zone_of_its_lead(crowd):
    for lead in crowd:
        if lead["phone"] is None:
            assert lead["time_zone"] is not None
            continue
        assert re.fullmatch(r"\+1[2-9]\d\d55501\d\d", lead["phone"])
        number = phonenumbers.parse(lead["phone"])
        assert phonenumbers.is_valid_number(number)
        assert phonenumbers.region_code_for_number(number) == "US"
        if lead["time_zone"] is not None:
            assert lead["time_zone"] in timezone.time_zones_for_number(number)
            ZoneInfo(lead["time_zone"])


def test_every_address_is_valid_and_on_a_reserved_domain(crowd):
    for lead in crowd[::20]:
        if lead["email"] is not None:
            assert validate_email(lead["email"], check_deliverability=False).domain in EMAIL_DOMAINS
    assert {lead["email"].split("@")[1] for lead in crowd if lead["email"]} == set(EMAIL_DOMAINS)


def test_only_households_share_an_address_or_a_number(crowd):
    for column in ("email", "phone"):
        shared = [
            value for value, count in Counter(lead[column] for lead in crowd if lead[column]).items() if count > 1
        ]
        assert 10 <= len(shared) <= 50
        assert max(Counter(lead[column] for lead in crowd if lead[column]).values()) <= 3
    sharing = Counter(lead["email"] for lead in crowd if lead["email"]) + Counter(
        lead["phone"] for lead in crowd if lead["phone"]
    )
    assert sum(count - 1 for count in sharing.values()) / CROWD == pytest.approx(0.003, rel=0.35)


def test_consents_are_never_older_than_the_lead_and_never_without_a_channel(crowd):
    for number, lead in enumerate(crowd):
        seen = BEGAN + timedelta(minutes=number)
        assert lead["signed_up_at"] == seen
        assert lead["email_consented_at"] == (seen if lead["email"] else None)
        assert lead["sms_consented_at"] in (None, seen)
        assert lead["phone"] or lead["sms_consented_at"] is None


def test_the_same_people_come_out_every_time_and_a_longer_log_leaves_them_as_they_were(crowd):
    assert rows_of(make_up_leads(people(CROWD))) == crowd
    assert rows_of(make_up_leads(people(500))) == crowd[:500]


def test_numbers_are_dealt_once_each_until_there_are_no_more():
    numbers = FictionalNumbers()
    assert numbers.size == len(area_codes()) * 100 > 30_000
    dealt = [numbers.deal() for _ in range(numbers.size)]
    assert len(set(dealt)) == numbers.size
    assert None not in dealt
    assert numbers.deal() is None
    assert numbers.deal("America/Denver") is None
    assert len({number[2:5] for number in dealt[:100]}) > 50  # scattered, not area code by area code


def test_numbers_of_one_zone_are_dealt_until_it_has_no_more():
    numbers = FictionalNumbers()
    in_hawaii = [numbers.deal("Pacific/Honolulu") for _ in range(101)]
    assert in_hawaii == [*dict.fromkeys(in_hawaii[:100]), None]
    assert {number[:5] for number in in_hawaii[:100]} == {"+1808"}
    rest = {numbers.deal() for _ in range(numbers.size - 100)}
    assert not rest & set(in_hawaii[:100])


def test_people_beyond_the_last_number_have_none(monkeypatch):
    monkeypatch.setattr(FictionalNumbers, "deal", lambda *_: None)
    assert {lead["phone"] for lead in rows_of(make_up_leads(people(50)))} == {None}


@given(st.lists(st.text(min_size=1, max_size=80), unique=True, min_size=2, max_size=20))
def test_every_id_gets_an_address_of_its_own(user_ids):
    addresses = [fictional_email(user_id) for user_id in user_ids]
    assert len({address.lower() for address in addresses}) == len(user_ids)
    for address in addresses:
        validate_email(address, check_deliverability=False)


@given(st.text())
def test_draws_are_fractions_and_do_not_repeat_each_other(user_id):
    one, other = Draws("a", user_id), Draws("b", user_id)
    numbers = [draws.fraction() for draws in (one, other) for _ in range(10)]
    assert all(0 <= number < 1 for number in numbers)
    assert len(set(numbers)) > 15


def leads_file(**columns):
    count = len(next(iter(columns.values())))
    return people(
        count,
        source_file=["leads.csv"] * count,
        source_row=list(range(2, count + 2)),
        **{
            name: pa.array(values, pa.timestamp("us") if name.endswith("_at") else pa.string())
            for name, values in columns.items()
        },
    )


def test_a_leads_file_is_completed_and_never_overwritten():
    given_columns = {
        "email": ["a@company.com", None],
        "phone": ["+442079460018", None],
        "signed_up_at": [datetime(2020, 1, 1), None],
    }
    one, other = rows_of(make_up_leads(leads_file(**given_columns), frozenset({"user_id", *given_columns})))
    assert (one["email"], one["phone"], one["signed_up_at"]) == ("a@company.com", "+442079460018", datetime(2020, 1, 1))
    assert (one["country"], one["time_zone"], one["locale"]) == ("GB", "Europe/London", None)
    assert one["email_consented_at"] == datetime(2020, 1, 1)
    # a blank cell of a column that is there says "none"
    assert (other["email"], other["phone"], other["signed_up_at"]) == (None, None, None)
    assert (other["email_consented_at"], other["sms_consented_at"]) == (None, None)
    assert one["is_made_up"] and other["is_made_up"]
    assert (one["source_file"], one["source_row"], other["source_row"]) == ("leads.csv", 2, 3)


def test_a_whole_leads_file_is_not_made_up():
    names = [
        name for name in LEADS_SCHEMA.names if name not in ("properties", "is_made_up", "source_file", "source_row")
    ]
    given_columns = {name: [None] for name in names if name != "user_id"} | {"email": ["a@company.com"]}
    (lead,) = rows_of(make_up_leads(leads_file(**given_columns), frozenset(names)))
    assert lead["is_made_up"] is False
    assert lead["email"] == "a@company.com"
    assert all(lead[name] is None for name in names if name not in ("user_id", "email"))


def test_a_made_up_number_lies_in_the_zone_the_file_tells():
    zones = ["Pacific/Honolulu", "America/Denver", "Europe/Berlin", None] * 50
    leads = rows_of(make_up_leads(leads_file(time_zone=zones), frozenset({"user_id", "time_zone"})))
    for lead, zone in zip(leads, zones, strict=True):
        assert lead["time_zone"] == zone
        if lead["phone"] and zone:
            assert timezone.time_zones_for_number(phonenumbers.parse(lead["phone"])) == (zone,)
    with_number = Counter(lead["time_zone"] for lead in leads if lead["phone"])
    assert with_number["Europe/Berlin"] == 0
    assert min(with_number[zone] for zone in ("Pacific/Honolulu", "America/Denver", None)) > 25


def test_a_lead_of_another_country_gets_no_american_number():
    leads = rows_of(make_up_leads(leads_file(country=["DE", "us"] * 40), frozenset({"user_id", "country"})))
    assert not any(lead["phone"] for lead in leads[::2])
    assert any(lead["phone"] for lead in leads[1::2])


def happened(count):
    return pa.table(
        {
            "event_id": [f"e{number}" for number in range(count)],
            "user_id": [str(number) for number in range(count)],
            "occurred_at": pa.array([BEGAN + timedelta(hours=number) for number in range(count)], pa.timestamp("us")),
        }
    ).to_batches(max_chunksize=300)


def test_a_ticket_follows_its_event_and_tells_nothing_of_later():
    until = BEGAN + timedelta(hours=1_000)
    tickets = rows_of(make_up_tickets(happened(1_000), until))
    assert 700 < len(tickets) < 1_000
    for ticket in tickets:
        event_at = BEGAN + timedelta(hours=int(ticket["user_id"]))
        assert event_at < ticket["opened_at"] <= event_at + timedelta(days=11)
        assert ticket["opened_at"] < until
        assert ticket["closed_at"] is None or ticket["opened_at"] < ticket["closed_at"] < until
        assert (ticket["satisfaction"] is None) == (ticket["closed_at"] is None)
        assert ticket["is_made_up"]
    assert {ticket["satisfaction"] for ticket in tickets} == {None, 1, 2, 3, 4, 5}
    assert len({ticket["ticket_id"] for ticket in tickets}) == len(tickets)
    assert 0.03 < share(tickets[:500], lambda ticket: ticket["closed_at"] is None) < 0.1
    # with half of the log, the tickets of that half are the same
    earlier = rows_of(make_up_tickets(happened(500), until))
    assert earlier == tickets[: len(earlier)]


def test_sql_picks_few_events():
    with duckdb.connect() as connection:
        ((picked,),) = connection.execute(
            f"select count(*) from (select 'e' || i as event_id from range(20000) as t (i)) where {FOLLOWED_BY_TICKET}"
        ).fetchall()
    assert 500 < picked < 820
