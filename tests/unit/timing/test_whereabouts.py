"""The ladder of evidence, quiet hours by place, weekdays and dates: never outside in any zone she may be in."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rekindle.campaigns.definition import SendWindowDefinition
from rekindle.contacts.checks import check_phone
from rekindle.errors import ConfigurationError
from rekindle.timing.holidays import easter
from rekindle.timing.quiet_hours import lint_quiet_hours, quiet_hours, read_quiet_holidays, read_quiet_hours
from rekindle.timing.regions import _PROVINCES, _STATES, regions_of_postal_code, regions_of_state
from rekindle.timing.send_window import SendWindow, next_window, zones_to_respect
from rekindle.timing.zones import proper_zone, whereabouts
from rekindle.vocabulary import Channel

DEFAULT = SendWindowDefinition().as_window()
ALL_DAY = SendWindowDefinition.model_validate(
    {"hours": ["00:00-24:00"], "weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}
).as_window()

TODAY = date(2026, 3, 2)
SEED_FOLDER = Path(__file__).parents[3] / "dbt_project" / "seeds"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("known", "zones", "evidence"),
    [
        # each rung, with weaker evidence that says something else
        (("Europe/Paris", ["America/Chicago"], "US", "TX", "96801"), {"Europe/Paris"}, "profile"),
        ((None, ["America/Chicago"], "US", "TX", "96801"), {"Pacific/Honolulu"}, "postal_code"),
        ((None, ["America/New_York"], "US", "TX", None), {"America/Chicago", "America/Denver"}, "state"),
        ((None, ["America/New_York"], "US", None, None), {"America/New_York"}, "number"),
        ((None, [], "GB", "Kent", "ME1 1AA"), {"Europe/London"}, "country"),
        ((None, [], "US", None, None), set(), None),
        # states: codes, names, codes with their country, the other spelling of it, and what names none
        ((None, [], "usa", " california ", None), {"America/Los_Angeles"}, "state"),
        ((None, [], None, "US-HI", None), {"Pacific/Honolulu"}, "state"),
        ((None, [], "CA", "on", None), {"America/Atikokan", "America/Toronto", "America/Winnipeg"}, "state"),
        ((None, [], None, "CA", None), set(), None),
        # postal codes: whole, with four more, three characters, Canadian, of the armed forces, nonsense
        ((None, [], "US", None, "99501-1234"), None, "postal_code"),
        ((None, [], "US", None, "850"), {"America/Denver", "America/Phoenix"}, "postal_code"),
        ((None, [], "CA", None, "a1c 5s7"), {"America/Goose_Bay", "America/St_Johns"}, "postal_code"),
        ((None, [], "US", "FL", "34012"), {"America/Chicago", "America/New_York"}, "state"),
        ((None, [], "US", None, "09012"), set(), None),
        ((None, [], "US", None, "0000"), set(), None),
    ],
)
def test_the_first_rung_with_usable_evidence_decides(known, zones, evidence):
    found = whereabouts(*known)
    assert found.evidence == evidence
    if zones is not None:
        assert set(found.zones) == zones


def test_every_region_has_real_zones_and_every_prefix_one_place():
    for _, name, _, zones in (*_STATES, *_PROVINCES):
        assert zones and all(proper_zone(zone) == zone for zone in zones), name
    counted = [len(regions_of_postal_code("US", f"{number:03}")) for number in range(1_000)]
    assert counted[63] == 2 and sum(count > 1 for count in counted) == 1  # Fishers Island, New York, in Connecticut's
    assert sum(count > 0 for count in counted) > 850
    assert regions_of_state("US", "") == ()


@pytest.mark.parametrize(
    ("number", "must_suit"),
    [
        ("+12195550100", {"America/Chicago", "America/New_York"}),  # north-west Indiana
        ("+12705550100", {"America/Chicago", "America/New_York"}),  # Kentucky's west
        ("+18505550100", {"America/Chicago", "America/New_York"}),  # Florida's Panhandle
        ("+19285550100", {"America/Phoenix"}),
        ("+18085550100", {"Pacific/Honolulu"}),
        ("+19075550100", {"America/Anchorage"}),
        ("+17095550100", {"America/St_Johns"}),
        ("+919812345678", {"Asia/Calcutta"}),
    ],
)
def test_a_number_may_be_in_every_zone_of_its_area(number, must_suit):
    zones = whereabouts(None, (check_phone(number, None, None).time_zones or "").split(","), None).zones
    assert must_suit & set(zones) == must_suit


KNOWN = st.sampled_from(
    [
        *((zone, [], None, None, None) for zone in ("Asia/Kolkata", "Australia/Adelaide", "America/St_Johns")),
        *((None, [], "US", state, None) for state in ("HI", "AK", "AZ", "TX", "FL", "ND")),
        (None, ["America/New_York", "America/Chicago"], "US", None, None),
        (None, [], "CA", None, "V1C"),
        (None, [], "US", None, None),
        (None, [], None, None, None),
    ]
)
#: New York, Lord Howe and London change their clocks around these.
INSTANTS = st.one_of(
    st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),
    st.builds(
        lambda change, minutes: change + timedelta(minutes=minutes),
        st.sampled_from(
            [utc("2026-03-08T07:00"), utc("2026-11-01T06:00"), utc("2026-10-03T16:30"), utc("2026-04-04T16:30")]
        ),
        st.integers(-4_000, 4_000),
    ),
)


@settings(max_examples=150, deadline=None)
@given(
    now=INSTANTS, known=KNOWN, rule=st.sampled_from(["hold", "intersection"]), channel=st.sampled_from(list(Channel))
)
def test_never_outside_a_window_in_any_zone_whatever_is_known(now, known, rule, channel):
    window = SendWindowDefinition.model_validate(
        {
            "unknown_time_zone": rule,
            "hours": ["09:00-20:30"],
            "by_weekday": {"mon": ["13:00-14:00"], "sun": ["12:30-13:00"]},
        }
        | {"blackout_dates": ["2026-03-09/2026-03-11", "2027-01-01"]}
    ).as_window()
    limited = quiet_hours().limit(window, channel, *known[2:], on=now.date())
    zones = zones_to_respect(limited, whereabouts(*known).zones, known[2])
    interval = next_window(limited, zones, now)
    if not zones:
        assert interval is None
        return
    if interval is None:
        return
    assert interval.closes_at > now
    last = interval.closes_at - timedelta(seconds=1)
    for instant in (max(interval.opens_at, now), last, interval.opens_at + (last - interval.opens_at) / 2):
        for zone in zones:
            local = instant.astimezone(ZoneInfo(zone))
            minute = local.hour * 60 + local.minute
            assert not date(2026, 3, 9) <= local.date() <= date(2026, 3, 11) and local.date() != date(2027, 1, 1)
            first, until = {0: (780, 840), 6: (750, 780)}.get(local.weekday(), (540, 1230))
            assert local.weekday() != 5  # not a day of the window
            assert first <= minute < until, (zone, local)
            assert limited.contains(local)


def test_the_default_is_not_on_monday_morning_nor_in_the_evening_nor_at_the_weekend():
    spelled = [[str(hours) for hours in day] for day in DEFAULT.week]
    usual = ["10:00-11:00", "13:00-14:00"]
    assert spelled == [["13:00-14:00"], usual, usual, usual, usual, [], []]
    # what the author says is all there is, also after it was stored and restored
    said = SendWindowDefinition.model_validate({"weekdays": ["wed"]})
    assert [bool(day) for day in said.as_window().week] == [False, False, True, False, False, False, False]
    assert SendWindowDefinition.model_validate(SendWindowDefinition().model_dump(mode="json")).as_window() == DEFAULT
    assert SendWindowDefinition.model_validate(said.model_dump(mode="json")) == said


@pytest.mark.parametrize(
    ("place", "weekday", "hours"),
    [
        (("US", "TX", None), 6, ["12:00-21:00"]),
        (("US", None, "75001"), 6, ["12:00-21:00"]),
        (("US", "TX", None), 0, ["09:00-21:00"]),
        (("US", "AL", None), 6, []),
        (("US", "KY", "40201"), 2, ["10:00-21:00"]),
        (("US", "FL", "10001"), 2, ["08:00-20:00"]),  # she may be in either: the narrower of both
        (("US", None, None), 6, ["08:00-21:00"]),
        (("FR", None, None), 6, []),
        (("DE", None, None), 6, ["08:00-21:00"]),  # no rule of its own: what holds for every text
        ((None, None, None), 6, ["08:00-21:00"]),
    ],
)
def test_texts_keep_to_the_quiet_hours_of_the_place_and_mail_does_not(place, weekday, hours):
    assert [str(each) for each in quiet_hours().limit(ALL_DAY, Channel.SMS, *place, on=TODAY).week[weekday]] == hours
    assert [str(each) for each in quiet_hours().limit(ALL_DAY, Channel.EMAIL, *place, on=TODAY).week[weekday]] == [
        "00:00-24:00"
    ]


@pytest.mark.parametrize(
    ("known", "sunday"),
    [
        # where the number or the profile says, whatever the country column lacks or says
        ((None, "+33612345678", None), []),
        (("Europe/Paris", None, "US"), []),
        (("America/Toronto", None, None), ["10:00-18:00"]),
        (("America/Chicago", None, None), ["08:00-21:00"]),
        ((None, None, None), ["08:00-21:00"]),
    ],
)
def test_the_countries_of_the_zones_she_may_be_in_have_their_say(known, sunday):
    profile, phone, country = known
    numbers = (check_phone(phone, None, None).time_zones or "").split(",") if phone else []
    zones = whereabouts(profile, numbers, country).zones
    limited = quiet_hours().limit(ALL_DAY, Channel.SMS, country, zones=zones, on=TODAY)
    assert [str(each) for each in limited.week[6]] == sunday


def test_quiet_hours_are_the_companys_to_change_and_a_bad_row_is_named(tmp_path):
    table = tmp_path / "quiet_hours.csv"
    head = "jurisdiction,channel,weekdays,may_write_from,may_write_until,source\n"
    table.write_text(head + "DE,email,mon tue,09:00,12:00,ours\n")
    week = read_quiet_hours(table).limit(ALL_DAY, Channel.EMAIL, "de", on=TODAY).week
    assert [[str(each) for each in day] for day in week] == [["09:00-12:00"]] * 2 + [[]] * 5
    for bad in ("DE,fax,mon,09:00,12:00,", "DE,sms,monday,09:00,12:00,", "DE,sms,mon,12:00,09:00,", "DE,sms"):
        table.write_text(head + "US,sms,mon,09:00,12:00,\n" + bad + "\n")
        with pytest.raises(ConfigurationError, match=r"quiet_hours\.csv:3: "):
            read_quiet_hours(table)


@pytest.mark.parametrize(
    ("place", "channel", "days_off"),
    [
        # on a Saturday, so the Friday too; Thanksgiving; no holiday of this state; Easter 2026 is on 5 April
        (("US", "UT", None), "sms", {"2026-07-03", "2026-07-04", "2026-07-24", "2026-11-26"}),
        (("US", None, "36101"), "sms", {"2026-02-17", "2026-04-27", "2026-07-03", "2026-07-04", "2026-11-26"}),
        (
            ("US", "PA", None),
            "sms",
            {"2026-04-03", "2026-07-03", "2026-07-04", "2026-11-03", "2026-11-26", "2026-11-27"},
        ),
        (("FR", None, None), "sms", {"2026-04-06", "2026-05-14"}),
        # where no rule forbids holidays, and by mail
        (("US", "CA", None), "sms", set()),
        (("FR", None, None), "email", set()),
    ],
)
def test_no_text_leaves_on_a_holiday_of_a_place_whose_rules_say_so(place, channel, days_off):
    asked = ("02-17", "04-03", "04-06", "04-27", "05-14", "07-03", "07-04", "07-24", "11-03", "11-26", "11-27")
    limited = quiet_hours().limit(ALL_DAY, Channel(channel), *place, on=TODAY)
    shut = {f"2026-{day}" for day in asked if not limited.contains(datetime.fromisoformat(f"2026-{day}T15:00"))}
    assert shut == days_off


def test_the_window_after_a_holiday_is_the_next_day_and_the_dates_of_the_author_stay():
    window = SendWindowDefinition.model_validate({"blackout_dates": ["2026-12-28"]}).as_window()
    limited = quiet_hours().limit(window, Channel.SMS, "US", "AL", on=date(2026, 12, 24))
    # Christmas is a Friday, at the weekend nothing leaves anyway, and the Monday is the author's
    interval = next_window(limited, ["America/Chicago"], utc("2026-12-24T20:30"))
    assert interval is not None and interval.opens_at == utc("2026-12-29T16:00")
    # a year is not over with the calendar's
    later = next_window(limited, ["America/Chicago"], utc("2026-12-31T20:30"))
    assert later is not None and later.opens_at == utc("2027-01-04T19:00")


@given(st.integers(1970, 2199))
def test_easter_is_the_first_sunday_after_the_churchs_full_moon(year):
    """By the tables of the Book of Common Prayer, which are good until 2199: another way to the same day."""
    golden = year % 19 + 1
    century = year // 100 + 1
    correction = 3 * century // 4 - 12, (8 * century + 5) // 25 - 5
    epact = (11 * golden + 20 + correction[1] - correction[0]) % 30
    epact += (epact == 25 and golden > 11) or epact == 24
    moon = 44 - epact + (30 if 44 - epact < 21 else 0)
    sunday = moon + 7 - (5 * year // 4 - correction[0] - 10 + moon) % 7
    assert easter(year) == date(year, 3, 1) + timedelta(days=sunday - 1)


def test_lint_names_what_is_wrong_in_either_table(tmp_path):
    seeds = tmp_path / "dbt_project" / "seeds"
    seeds.mkdir(parents=True)
    for table in ("quiet_hours.csv", "quiet_holidays.csv"):
        (seeds / table).write_text((SEED_FOLDER / table).read_text())
    assert lint_quiet_hours(seeds) == []
    with (seeds / "quiet_holidays.csv").open("a") as table:
        table.write("US-TX,sms,03-33,,,\n")
    [complaint] = lint_quiet_hours(seeds)
    assert complaint.startswith(
        "dbt_project/seeds/quiet_holidays.csv:32: error: day is out of range for month; a row is"
    )


def test_holidays_are_the_companys_to_change_and_a_bad_row_is_named(tmp_path):
    table = tmp_path / "quiet_holidays.csv"
    head = "jurisdictions,channel,occurs,observed,holiday,source\n"
    table.write_text(head + "de AT,email,last fri 11-1,,the day before Black Friday,ours\n")
    found = read_quiet_holidays(table)
    assert set(found) == {("DE", Channel.EMAIL), ("AT", Channel.EMAIL)}
    assert found["AT", Channel.EMAIL][0].dates(2026) == (date(2026, 11, 26),)
    for bad in (
        "DE,fax,12-25,,,",
        "DE,sms,13-01,,,",
        "DE,sms,5 mon 01,,,",
        "DE,sms,1 day 01,,,",
        "DE,sms,12-25,no,,",
        "DE",
    ):
        table.write_text(head + "US,sms,02-29,yes,,\n" + bad + "\n")
        with pytest.raises(ConfigurationError, match=r"quiet_holidays\.csv:3: "):
            read_quiet_holidays(table)


@pytest.mark.parametrize(
    ("dates", "complaint"),
    [
        (["2026-13-01"], "is no date"),
        (["2026-12-26/2026-12-24"], "no stretch of days"),
        (["2026-01-01/2028-01-01"], "no stretch of days"),
    ],
)
def test_blackout_dates_are_dates(dates, complaint):
    with pytest.raises(ValueError, match=complaint):
        SendWindowDefinition.model_validate({"blackout_dates": dates})


def test_a_blackout_is_the_leads_own_date():
    window = SendWindow(ALL_DAY.hours, ALL_DAY.weekdays, blackouts=((date(2026, 12, 24), date(2026, 12, 26)),))
    interval = next_window(window, ("Asia/Kolkata", "America/St_Johns"), utc("2026-12-23T12:00"))
    assert interval is not None
    assert interval.closes_at == utc("2026-12-23T18:30")  # midnight in Kolkata
    interval = next_window(window, ("Asia/Kolkata", "America/St_Johns"), interval.closes_at)
    assert interval is not None
    assert interval.opens_at == utc("2026-12-27T03:30")  # midnight in St. John's
