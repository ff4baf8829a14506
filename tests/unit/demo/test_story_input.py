"""The demonstration's input: the built-in log, a log of somebody else, a leads file."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from rekindle.demo.story_input import classify_events, logical_calendar, prepare_story
from rekindle.errors import BadInputError

TODAY = date(2026, 7, 31)
CROSS_VALIDATED = Path(__file__).parents[3].parent / "shared" / "data" / "cross_validated_events.parquet"


def table_of(story, table, until=None):
    paths = sorted((story.inbox / table).glob("until=*/*.parquet"))
    chosen = [path for path in paths if until is None or path.parent.name <= f"until={until:%Y-%m-%dT%H%M%S}Z"]
    return pa.concat_tables([pq.read_table(path, partitioning=None) for path in chosen])


@pytest.fixture(scope="module")
def cdnow_story(tmp_path_factory):
    return prepare_story(None, None, None, tmp_path_factory.mktemp("story") / "inbox", TODAY)


def test_the_built_in_log_ends_just_before_today(cdnow_story):
    story = cdnow_story
    assert story.as_of == date(2026, 7, 28)
    assert story.instants[0] == datetime(2026, 6, 7, 20, tzinfo=UTC)
    assert story.instants[-1] == datetime(2026, 7, 28, 20, tzinfo=UTC)
    assert (len(story.daily_instants), len(story.follow_up_instants)) == (22, 5)
    assert story.log_last.date() == story.as_of
    assert story.events_by_type == {"purchase": 69_659}
    assert story.key_action_events == ("purchase",)
    assert story.lead_count == 23_570
    assert story.warnings == ()
    assert story.headline == "69,659 events of 23,570 leads"
    assert any("moved by 1,465 weeks" in label for label in story.made_up)


def test_the_built_in_log_is_handed_over_without_loss(cdnow_story):
    story = cdnow_story
    events = table_of(story, "events")
    assert events.num_rows == story.handed.total("events") == 69_659
    assert len(set(events.column("event_id").to_pylist())) == 69_659
    assert set(events.column("source_file").to_pylist()) == {"CDNOW_master.csv"}
    assert set(events.column("source_row").to_pylist()) == set(range(2, 69_661))
    first = table_of(story, "events", story.instants[0])
    assert max(first.column("occurred_at").to_pylist()) < datetime(2026, 6, 7, 20)
    leads = table_of(story, "users")
    assert set(leads.column("user_id").to_pylist()) == set(events.column("user_id").to_pylist())
    numbers = [number for number in leads.column("phone").to_pylist() if number]
    assert len(numbers) - len(set(numbers)) < 60
    tickets = table_of(story, "support_tickets")
    assert 0.06 < len(set(tickets.column("user_id").to_pylist())) / 23_570 < 0.1


def test_the_same_day_gives_the_same_inbox(cdnow_story, tmp_path):
    again = prepare_story(None, None, None, tmp_path / "inbox", TODAY)
    for path in cdnow_story.inbox.rglob("*.parquet"):
        assert pq.read_table(path).equals(pq.read_table(again.inbox / path.relative_to(cdnow_story.inbox))), path


@pytest.mark.skipif(not CROSS_VALIDATED.exists(), reason=f"{CROSS_VALIDATED} is not there")
def test_somebody_elses_log(tmp_path):
    story = prepare_story(CROSS_VALIDATED, None, date(2014, 6, 30), tmp_path / "inbox", TODAY)
    assert story.instants[0] == datetime(2014, 5, 10, 20, tzinfo=UTC)
    assert story.instants[-1] == datetime(2014, 6, 30, 20, tzinfo=UTC)
    assert story.key_action_events == ("answer_posted", "question_posted")
    assert story.sign_up_events == ("signed_up",)
    assert story.passive_events == ("badge_earned",)
    counts = story.counts[0]
    assert (counts.rows_read, counts.by_reason) == (209_463, {"in_the_future": counts.rows_rejected})
    assert story.log_last < datetime(2014, 7, 1, tzinfo=UTC)
    assert table_of(story, "events").num_rows == counts.rows_kept == 209_463 - counts.rows_rejected
    assert table_of(story, "rejects").num_rows == counts.rows_rejected
    # people appear when they are first seen, not before
    known = table_of(story, "users", story.instants[0])
    everybody = table_of(story, "users")
    assert known.num_rows < everybody.num_rows == story.lead_count
    seen = set(table_of(story, "events", story.instants[0]).column("user_id").to_pylist())
    assert set(known.column("user_id").to_pylist()) == seen


def small_log(folder, days=400, last=date(2024, 6, 1)):
    path = folder / "log.csv"
    rows = [f"u{day % 5},project_created,{last - timedelta(days=day)}T20:00:00Z" for day in range(days)]
    path.write_text("\n".join(["user_id,event_type,occurred_at", *rows, "u1,log_in,2024-05-01"]) + "\n")
    return path


def test_without_as_of_the_story_ends_on_the_last_day_of_the_log(tmp_path):
    story = prepare_story(small_log(tmp_path), None, None, tmp_path / "inbox", TODAY)
    assert story.as_of == date(2024, 6, 1)
    assert story.instants[-1] == datetime(2024, 6, 1, 20, tzinfo=UTC)
    # what happened that evening is handed over, but to no step
    assert story.handed.afterwards == datetime(2024, 6, 2, tzinfo=UTC)
    assert story.handed.rows["events"][story.handed.afterwards] == 1
    assert story.counts[0].rows_rejected == 0


def test_one_event_of_the_far_future_does_not_move_the_calendar(tmp_path):
    log = small_log(tmp_path)
    log.write_text(log.read_text() + "u1,log_in,2099-01-01\n")
    story = prepare_story(log, None, None, tmp_path / "inbox", TODAY)
    assert story.as_of == date(2024, 6, 1)
    assert story.counts[0].by_reason == {"in_the_future": 1}


def test_a_leads_file_decides_who_there_is(tmp_path):
    leads = tmp_path / "leads.csv"
    leads.write_text(
        "user_id,email,phone,signed_up_at\n"
        "u0,zero@company.com,+12125550100,2020-01-01\n"
        "u1,not an address,,\n"
        "silent,silent@company.com,,2024-05-20T12:00:00Z\n"
        "nothing known,,,\n"
    )
    story = prepare_story(small_log(tmp_path), leads, date(2024, 6, 1), tmp_path / "inbox", TODAY)
    log_counts, lead_counts = story.counts
    assert log_counts.by_reason == {"unknown_user_id": 240}
    assert lead_counts.by_reason == {"malformed_email": 1}
    users = {row["user_id"]: row for row in table_of(story, "users").to_pylist()}
    assert set(users) == {"u0", "u1", "silent", "nothing known"}
    assert (users["u0"]["email"], users["u0"]["phone"]) == ("zero@company.com", "+12125550100")
    assert (users["u0"]["time_zone"], users["u0"]["is_made_up"]) in {("America/New_York", True), (None, True)}
    assert users["u1"]["email"] is None
    assert users["u0"]["source_file"] == "leads.csv"
    assert not any("e-mail addresses" in label or "telephone" in label for label in story.made_up)
    history = {row["user_id"] for row in table_of(story, "users", story.instants[0]).to_pylist()}
    assert history == {"u0", "u1", "nothing known"}
    assert {row["reason"] for row in table_of(story, "rejects", story.instants[0]).to_pylist()} == {
        "unknown_user_id",
        "malformed_email",
    }


def test_a_tickets_file_is_taken_in(tmp_path):
    tickets = tmp_path / "tickets.csv"
    tickets.write_text("ticket_id,user_id,opened_at\nt1,u1,2024-05-01\nt2,u1,soon\n")
    story = prepare_story(small_log(tmp_path), None, None, tmp_path / "inbox", TODAY, tickets=tickets)
    assert table_of(story, "support_tickets").column("ticket_id").to_pylist() == ["t1"]
    assert "support tickets" not in story.made_up


def test_a_log_without_one_usable_row_says_why(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("user_id,event_type,occurred_at\n1,a,never\n,a,2024-01-01\n2,a,never\n")
    with pytest.raises(BadInputError, match=r"none of the 3 rows can be used \(2 × unparsable_time, 1 × empty_value\)"):
        prepare_story(log, None, None, tmp_path / "inbox", TODAY)
    assert not (tmp_path / "inbox").exists()


@pytest.mark.parametrize(
    ("log", "as_of", "key_actions", "says"),
    [
        ({"days": 100}, None, None, "less than 90 days before the first logical day"),
        ({}, date(2025, 6, 1), None, "nobody can come back"),
        ({}, None, [], "the log has no key action"),
        ({}, None, ["project_made"], "key actions that never happen in the log: project_made"),
        ({}, None, None, None),
    ],
)
def test_what_will_make_a_poor_story_is_told(tmp_path, log, as_of, key_actions, says):
    story = prepare_story(
        small_log(tmp_path, **log), None, as_of, tmp_path / "inbox", TODAY, key_action_events=key_actions
    )
    assert (says is None and story.warnings == ()) or (len(story.warnings) == 1 and says in story.warnings[0])


def test_the_summary_tells_what_is_real_and_what_is_not(tmp_path):
    story = prepare_story(small_log(tmp_path), None, None, tmp_path / "inbox", TODAY)
    console = Console(file=io.StringIO(), width=300)
    console.print(story.summary())
    text = console.file.getvalue()
    for words in (
        "project_created 400",
        "log_in",
        "22 daily, 2024-04-11 to 2024-05-02",
        "555-0100 to 555-0199",
        "log.csv",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("daily_steps", "follow_up_days", "follow_up_every", "days"),
    [
        (21, 30, 7, [*range(22), 28, 35, 42, 49, 51]),
        (21, 28, 7, [*range(22), 26, 33, 40, 49]),  # Sundays, so the Fridays before
        (2, 0, 7, [0, 1, 2]),
        (0, 3, 1, [0, 1, 3]),  # Thursday, Friday, the Saturday's Friday again, Sunday as asked
        (5, 3, 7, [0, 1, 2, 3, 4, 5, 8]),
    ],
)
def test_the_calendar_ends_on_the_day_asked_for(daily_steps, follow_up_days, follow_up_every, days):
    daily, follow_up = logical_calendar(date(2024, 6, 30), daily_steps, follow_up_days, follow_up_every)
    last = datetime(2024, 6, 30, 20, tzinfo=UTC)
    assert [(instant - daily[0]).days for instant in daily + follow_up] == days
    assert (daily + follow_up)[-1] == last
    assert len(daily) == daily_steps + 1


@pytest.mark.parametrize(
    ("event_type", "kind"),
    [
        ("signed_up", "sign_ups"),
        ("Sign Up", "sign_ups"),
        ("signUp", "sign_ups"),
        ("account_created", "sign_ups"),
        ("registered", "sign_ups"),
        ("login", "log_ins"),
        ("Logged In", "log_ins"),
        ("session_start", "log_ins"),
        ("badge_earned", "passive"),
        ("email_opened", "passive"),
        ("Email Clicked", "passive"),
        ("notification_sent", "passive"),
        ("purchase", "key_actions"),
        ("project_created", "key_actions"),
        ("signed_contract", "key_actions"),
        ("emailed_colleague", "key_actions"),
    ],
)
def test_event_types_are_told_apart_by_their_names(event_type, kind):
    kinds = classify_events([event_type])
    assert {name: getattr(kinds, name) for name in ("key_actions", "log_ins", "sign_ups", "passive")} == {
        **dict.fromkeys(("key_actions", "log_ins", "sign_ups", "passive"), ()),
        kind: (event_type,),
    }
