"""What `rekindle preview` shows is what would be sent, when it would be sent."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from rekindle.campaigns.loader import load_campaign, restore_campaign
from rekindle.preview import preview_sequence, sample_lead
from rekindle.preview.page import preview_page
from rekindle.rendering.context import Company
from rekindle.tokens import TokenSigner

INCLUDE = Path(__file__).parents[3] / "include"
CAMPAIGN = load_campaign(INCLUDE / "campaigns" / "cold_lead_reengagement.yaml", INCLUDE / "templates")
COMPANY = Company("Example Records", "1 Example Street, Springfield, IL 62701, USA")
BASE = "https://links.example.com"
#: A Saturday evening in New York.
SATURDAY = datetime(2026, 11, 22, 3, tzinfo=UTC)


def sequence(now=SATURDAY, **changes):
    return preview_sequence(CAMPAIGN, sample_lead() | changes, COMPANY, now, BASE)


def test_the_whole_sequence_in_order_with_its_dates():
    probe, listen, nudge, listen_again, archive = sequence()
    monday = datetime(2026, 11, 23, 8, tzinfo=ZoneInfo("America/New_York"))
    assert (probe.from_, probe.until) == (monday, monday.replace(hour=20))
    assert listen.from_ == nudge.from_ == monday + timedelta(days=3)
    assert listen_again.from_ == archive.from_ == monday + timedelta(days=10)
    assert [step.kind for step in (probe, listen, nudge, listen_again, archive)] == [
        *("email", "wait", "sms", "wait", "end"),
    ]
    assert probe.message.subject == "Did we get in your way?"
    assert "Hi Ada," in probe.message.text
    assert archive.what == "ends as archived"


def test_a_text_is_counted_with_a_link_as_long_as_a_signed_one():
    signed = f"{BASE}/c/{TokenSigner(['key']).click('15111eb1-3433-548a-a699-fe31d6e1eb89', 'https://app.example')}"
    nudge = sequence()[2]
    (link,) = [word for word in nudge.message.text.split() if word.startswith(BASE)]
    assert len(link) >= len(signed)
    assert nudge.message.segments == 2


def test_who_has_no_address_for_a_step_moves_on_at_once():
    probe, listen, nudge, *_ = sequence(email=None)
    assert probe.from_ is None
    assert "no email address" in probe.what
    assert listen.from_ == SATURDAY + timedelta(days=3)
    assert nudge.from_ is not None


def test_an_unknown_time_zone_holds():
    probe, *_ = sequence(time_zone=None, country=None)
    assert (probe.from_, probe.what) == (None, "held, the time zone is not known")


@pytest.mark.parametrize(
    ("place", "zone"),
    [
        ({"country": "US", "state": "HI"}, "Pacific/Honolulu"),
        ({"country": "US", "postal_code": "60601"}, "America/Chicago"),
    ],
)
def test_state_and_postal_code_say_where_as_they_do_in_a_real_run(place, zone):
    probe, *_ = sequence(time_zone=None, phone_time_zones=None, **place)
    assert CAMPAIGN.send_window.contains(probe.from_.astimezone(ZoneInfo(zone)))
    assert probe.from_ == sequence(time_zone=zone)[0].from_


def test_a_text_is_shown_within_the_hours_and_beside_the_holidays_of_the_state():
    lead = {"time_zone": "America/Denver", "country": "US", "state": "UT"}
    friday = datetime(2026, 7, 24, 18, tzinfo=UTC)  # Pioneer Day
    weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    stored = json.loads(CAMPAIGN.definition_json)
    stored["definition"]["send_window"] = {"hours": ["08:00-21:00"], "weekdays": weekdays}
    stored["definition"]["steps"] = [step for step in stored["definition"]["steps"] if "email" not in step]
    campaign = restore_campaign("texts", json.dumps(stored))
    day_before, holiday = (
        next(
            step.from_
            for step in preview_sequence(campaign, sample_lead() | lead, COMPANY, at, BASE)
            if step.kind == "sms"
        )
        for at in (friday - timedelta(days=4), friday - timedelta(days=3))
    )
    assert (day_before, holiday) == (friday - timedelta(days=1), datetime(2026, 7, 25, 14, tzinfo=UTC))


def test_a_held_message_says_which_field_is_missing():
    shorter = tuple(replace(step, max_segments=1) if step.kind == "sms" else step for step in CAMPAIGN.steps)
    campaign = replace(CAMPAIGN, steps=shorter)
    nudge = preview_sequence(campaign, sample_lead(), COMPANY, SATURDAY, BASE)[2]
    assert nudge.message.text == ""
    assert "2 segments in GSM-7, but max_segments is 1" in nudge.message.problem


@settings(max_examples=60, deadline=None)
@given(
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),
    zone=st.sampled_from(["America/New_York", "Pacific/Honolulu", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_no_message_is_shown_outside_the_window(now, zone):
    for step in sequence(now, time_zone=zone):
        if step.message:
            local = step.from_.astimezone(ZoneInfo(zone))
            assert step.from_ >= now
            assert CAMPAIGN.window_for(step.kind).contains(local)
            assert step.from_ < step.until


@pytest.mark.parametrize(("with_fields", "greeting"), [(True, "Hi Ada,"), (False, "Hi there,")])
def test_the_page_shows_the_words_the_price_and_the_local_time(with_fields, greeting):
    console = Console(file=io.StringIO(), width=120)
    lead = sample_lead(with_fields=with_fields)
    steps = preview_sequence(CAMPAIGN, lead, COMPANY, SATURDAY, BASE)
    console.print(preview_page(CAMPAIGN, steps, "America/New_York", 0.01))
    page = console.file.getvalue()
    assert greeting in page
    assert "1. probe (email), Mon 23 Nov 08:00 to Mon 23 Nov 20:00" in page
    assert "2, 0.0200 at 0.01 a segment" in page


@pytest.mark.parametrize("name", sorted(path.stem for path in (INCLUDE / "campaigns").glob("*.yaml")))
def test_a_narrow_page_cuts_nothing_off(name):
    campaign = load_campaign(INCLUDE / "campaigns" / f"{name}.yaml", INCLUDE / "templates")
    steps = preview_sequence(campaign, sample_lead(), COMPANY, SATURDAY, BASE)
    console = Console(file=io.StringIO(), width=60)
    console.print(preview_page(campaign, steps, "America/New_York", None))
    page = " ".join(console.file.getvalue().replace("│", " ").split())
    assert "…" not in page.replace("/c/…", "")
    assert [step.step_id for step in steps if f"{step.step_id}" not in page] == []
    assert all(step.offer in page for step in steps if step.offer)
    # an offer ends in the lead's own time
    ends = [step.offer_ends_at.astimezone(ZoneInfo("America/New_York")) for step in steps if step.offer_ends_at]
    assert all(f"until {end:%a %d %b %H:%M} if it leaves at once" in page for end in ends)
