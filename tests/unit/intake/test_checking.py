"""Rows and cells that are not good, one table of faults per kind of file."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rekindle.errors import BadInputError
from rekindle.identity import stable_id
from rekindle.intake import Counts, RejectReason, Workspace, validate_events, validate_leads, validate_tickets
from rekindle.intake.vocabulary import REMEDIES


def faults(checked):
    """(row, column, value, reason) of every reject."""
    return checked.rejects.order("source_row, column_name").project("source_row, column_name, value, reason").fetchall()


@pytest.mark.parametrize(
    ("cell", "instant"),
    [
        # dates
        ("2024-05-31", datetime(2024, 5, 31)),
        ("20240531", datetime(2024, 5, 31)),
        # ISO 8601, without a zone and with one
        ("2024-05-31 18:30", datetime(2024, 5, 31, 18, 30)),
        ("2024-05-31T18:30:05", datetime(2024, 5, 31, 18, 30, 5)),
        ("2024-05-31T18:30:05.123456789", datetime(2024, 5, 31, 18, 30, 5, 123456)),
        ('"2024-05-31T18:30:05,5"', datetime(2024, 5, 31, 18, 30, 5, 500000)),
        ("2024-05-31T18:30:05Z", datetime(2024, 5, 31, 18, 30, 5)),
        ("2024-05-31t18:30:05z", datetime(2024, 5, 31, 18, 30, 5)),
        ("2024-05-31 18:30:05 UTC", datetime(2024, 5, 31, 18, 30, 5)),
        ("2024-05-31T18:30:05+02:00", datetime(2024, 5, 31, 16, 30, 5)),
        ("2024-05-31 18:30:05 -0530", datetime(2024, 6, 1, 0, 0, 5)),
        ("2024-05-31 18:30:05+00", datetime(2024, 5, 31, 18, 30, 5)),
        # the epoch
        ("1717180205", datetime(2024, 5, 31, 18, 30, 5)),
        ("1717180205.25", datetime(2024, 5, 31, 18, 30, 5, 250000)),
        ("1717180205123", datetime(2024, 5, 31, 18, 30, 5, 123000)),
        # not a time
        ("yesterday", None),
        ("31/05/2024", None),
        ("2024-02-30", None),
        ("20240230", None),
        ("2024-05-31T25:00", None),
        ("2024-5-1", None),
        ("0001-01-01 00:00:00", None),
        ("1969-12-31", None),
        ("19691231", None),
        ("infinity", None),
        ("epoch", None),
        ("5", None),
        ("-1717180205", None),
        ("99999999999999999999", None),
    ],
)
def test_a_time_is_read_as_utc_or_rejected(workspace, write, cell, instant):
    checked = validate_events(
        write(f"user_id,event_type,occurred_at\n1,a,{cell}\n"),
        as_of=datetime(2030, 1, 1, tzinfo=UTC),
        workspace=workspace,
    )
    assert checked.rows.project("occurred_at").fetchall() == ([(instant,)] if instant else [])
    assert faults(checked) == ([] if instant else [(2, "occurred_at", cell.strip('"'), "unparsable_time")])


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("u1,log_in,2024-05-01,e1,", None),
        ("Zoë 李,log_in,2024-05-01,e1,", None),
        # blank where something must be
        (" ,log_in,2024-05-01,e1,", ("user_id", None, "empty_value")),
        ("u1,,2024-05-01,e1,", ("event_type", None, "empty_value")),
        ("u1,log_in,,e1,", ("occurred_at", None, "empty_value")),
        # the wrong value
        ("u1,log_in,soon,e1,", ("occurred_at", "soon", "unparsable_time")),
        ("u1,log_in,2024-06-01T12:00:00.000001Z,e1,", ("occurred_at", "2024-06-01T12:00:00.000001Z", "in_the_future")),
        ("u1,log_in,2024-06-01T14:00:00+02:00,e1,", None),
        ("u9,log_in,2024-05-01,e1,", ("user_id", "u9", "unknown_user_id")),
        ("u1,log_in,2024-05-01,e0,", ("event_id", "e0", "duplicate_id")),
        # the first of several faults is told
        (",,,e0,", ("user_id", None, "empty_value")),
    ],
)
def test_a_bad_event_is_rejected(workspace, write, noon, row, fault):
    path = write(f"user_id,event_type,occurred_at,event_id,properties\nu1,signed_up,2024-01-01,e0,\n{row}\n")
    checked = validate_events(path, ["u1", "Zoë 李"], as_of=noon, workspace=workspace)
    assert faults(checked) == ([(3, *fault)] if fault else [])
    assert checked.counts.rows_kept == (1 if fault else 2)
    assert checked.counts.cells_emptied == 0


def test_a_reject_tells_everything_needed_to_mend_it(workspace, write, noon):
    path = write('user_id,event_type,occurred_at,note\nu1,log_in,soon,"it\'s ""odd"""\n', "log.csv")
    (reject,) = validate_events(path, as_of=noon, workspace=workspace).rejects.to_dicts()
    assert json.loads(reject.pop("record")) == {
        "user_id": "u1",
        "event_type": "log_in",
        "occurred_at": "soon",
        "note": 'it\'s "odd"',
    }
    assert reject == {
        "source_table": "events",
        "source_file": "log.csv",
        "source_row": 2,
        "column_name": "occurred_at",
        "value": "soon",
        "reason": "unparsable_time",
        "remedy": REMEDIES[RejectReason.UNPARSABLE_TIME],
    }


def test_every_reason_has_a_remedy():
    assert set(REMEDIES) == set(RejectReason)


def test_the_first_good_row_of_an_id_is_kept(workspace, write, noon):
    text = "event_id,user_id,event_type,occurred_at\ne1,u1,a,never\ne1,u1,b,2024-01-01\ne1,u1,c,2024-01-01\n"
    checked = validate_events(write(text), as_of=noon, workspace=workspace)
    assert checked.rows.project("event_type").fetchall() == [("b",)]
    assert faults(checked) == [(2, "occurred_at", "never", "unparsable_time"), (4, "event_id", "e1", "duplicate_id")]


def test_identical_rows_without_ids_are_different_events(workspace, write, noon):
    """Two purchases of one customer on one day look the same in a log of days."""
    text = "user_id,event_type,occurred_at,event_id\n" + "".join(
        f"1,purchase,2024-05-01,{key}\n" for key in ("", "", "e1")
    )
    checked = validate_events(write(text), as_of=noon, workspace=workspace)
    told = "2024-05-01T00:00:00.000000Z"
    assert checked.rows.order("source_row").project("event_id").fetchall() == [
        (stable_id("1", "purchase", told, "1"),),
        (stable_id("1", "purchase", told, "2"),),
        ("e1",),
    ]


def test_a_separator_inside_a_value_does_not_merge_two_events(workspace, write, noon):
    text = "user_id,event_type,occurred_at\na|b,c,2024-05-01\na,b|c,2024-05-01\n"
    checked = validate_events(write(text), as_of=noon, workspace=workspace)
    assert checked.counts.rows_kept == 2
    assert len(checked.rows.project("event_id").distinct()) == 2


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=30))
def test_sql_and_python_mint_the_same_ids(workspace, text):
    ((minted,),) = workspace.connection.execute("select stable_id(?)", [text]).fetchall()
    assert minted == stable_id(text)


def test_other_columns_join_the_properties(workspace, write, noon):
    text = (
        "user_id,event_type,occurred_at,properties,device\n"
        '1,a,2024-05-01,"{""plan"": ""pro""}",ios\n'
        "2,a,2024-05-01,,ios\n"
        '3,a,2024-05-01,"{""plan"": null}",\n'
        "4,a,2024-05-01,[1],\n"
        "5,a,2024-05-01,{,web\n"
    )
    checked = validate_events(write(text), as_of=noon, workspace=workspace)
    kept = dict(checked.rows.project("user_id, properties").fetchall())
    assert {user: value and json.loads(value) for user, value in kept.items()} == {
        "1": {"plan": "pro", "device": "ios"},
        "2": {"device": "ios"},
        "3": {"plan": None},
        "4": None,
        "5": {"device": "web"},
    }
    assert faults(checked) == [(5, "properties", "[1]", "malformed_json"), (6, "properties", "{", "malformed_json")]
    assert (checked.counts.rows_rejected, checked.counts.cells_emptied) == (0, 2)


@pytest.mark.parametrize(
    ("column", "cell", "kept", "reason"),
    [
        ("email", "Jane.Doe@EXAMPLE.com", "Jane.Doe@example.com", None),
        ("email", "jane@mail.test", "jane@mail.test", None),
        ("email", "jürgen@exämple.org", "jürgen@exämple.org", None),
        ("email", "jane.example.com", None, "malformed_email"),
        ("email", "jane@@example.com", None, "malformed_email"),
        ("email", "jane@example..com", None, "malformed_email"),
        ("email", "jane@localhost", None, "malformed_email"),
        ("phone", "+12125550100", "+12125550100", None),
        ("phone", "+1 (212) 555-0100", "+12125550100", None),
        ("phone", "+44 20 7946 0018", "+442079460018", None),
        ("phone", "(212) 555-0100", None, "malformed_phone"),
        ("phone", "+1 212 555 010", None, "malformed_phone"),
        ("phone", "+1 999 555 0100", None, "malformed_phone"),
        ("phone", "call me", None, "malformed_phone"),
        ("time_zone", "America/New_York", "America/New_York", None),
        ("time_zone", "america/new_york", "America/New_York", None),
        ("time_zone", "Mars/Olympus", None, "unknown_time_zone"),
        ("signed_up_at", "2024-05-01", datetime(2024, 5, 1), None),
        ("signed_up_at", "once", None, "unparsable_time"),
        ("email_consented_at", "2024-06-02", None, "in_the_future"),
        ("sms_consented_at", "1717180205", datetime(2024, 5, 31, 18, 30, 5), None),
    ],
)
def test_a_bad_cell_is_emptied_and_the_lead_kept(workspace, write, noon, column, cell, kept, reason):
    checked = validate_leads(write(f"user_id,{column}\nu1,{cell}\nu2,\n"), as_of=noon, workspace=workspace)
    assert checked.rows.order("source_row").project(f"user_id, {column}").fetchall() == [("u1", kept), ("u2", None)]
    assert faults(checked) == ([(2, column, cell, reason)] if reason else [])
    assert (checked.counts.rows_rejected, checked.counts.cells_emptied) == (0, 1 if reason else 0)
    assert checked.columns_given == {"user_id", column}


def test_a_number_without_country_code_is_read_with_the_country_of_its_lead(workspace, write, noon):
    text = "user_id,phone,country\n1,(212) 555-0100,US\n2,020 7946 0018,gb\n3,020 7946 0018,US\n4,020 7946 0018,\n"
    checked = validate_leads(write(text), as_of=noon, workspace=workspace)
    assert dict(checked.rows.project("user_id, phone").fetchall()) == {
        "1": "+12125550100",
        "2": "+442079460018",
        "3": None,
        "4": None,
    }


def test_a_lead_is_taken_once_and_must_have_an_id(workspace, write, noon):
    checked = validate_leads(
        write("user_id,plan\n1,free\n1,pro\n,pro\n1 ,pro\n2,pro\n"), as_of=noon, workspace=workspace
    )
    assert checked.rows.order("user_id").project("user_id, plan").fetchall() == [("1", "free"), ("2", "pro")]
    assert faults(checked) == [
        (3, "user_id", "1", "duplicate_id"),
        (4, "user_id", None, "empty_value"),
        (5, "user_id", "1", "duplicate_id"),
    ]


def test_events_are_matched_with_the_leads_that_were_kept(workspace, write, noon):
    leads = validate_leads(
        write("user_id,email\n7,nobody\n8,a@example.com\n", "leads.csv"), as_of=noon, workspace=workspace
    )
    text = "user_id,event_type,occurred_at\n7,a,2024-05-01\n08,a,2024-05-01\n"
    checked = validate_events(write(text), leads, as_of=noon, workspace=workspace)
    assert faults(checked) == [(3, "user_id", "08", "unknown_user_id")]


@pytest.mark.parametrize(
    ("row", "kept", "found"),
    [
        ("t1,1,2024-05-01,2024-05-02,billing,5", ("billing", datetime(2024, 5, 2), 5), []),
        ("t1,1,2024-05-01,,,", (None, None, None), []),
        ("t1,1,2024-05-01,2024-04-30,,3", (None, None, 3), [("closed_at", "2024-04-30", "ends_before_it_begins")]),
        ("t1,1,2024-05-01,2025-01-01,,", (None, None, None), [("closed_at", "2025-01-01", "in_the_future")]),
        ("t1,1,2024-05-01,later,,", (None, None, None), [("closed_at", "later", "unparsable_time")]),
        ("t1,1,2024-05-01,,,6", (None, None, None), [("satisfaction", "6", "out_of_range")]),
        ("t1,1,2024-05-01,,,good", (None, None, None), [("satisfaction", "good", "out_of_range")]),
        ("t1,1,,,,", None, [("opened_at", None, "empty_value")]),
        ("t1,2,2024-05-01,,,", None, [("user_id", "2", "unknown_user_id")]),
    ],
)
def test_support_tickets(workspace, write, noon, row, kept, found):
    path = write(f"ticket_id,user_id,opened_at,closed_at,category,satisfaction\n{row}\n", "tickets.csv")
    checked = validate_tickets(path, ["1"], as_of=noon, workspace=workspace)
    assert checked.rows.project("category, closed_at, satisfaction").fetchall() == ([kept] if kept else [])
    assert faults(checked) == [(2, *fault) for fault in found]


def test_the_rows_have_the_columns_of_the_raw_tables(workspace, write, noon):
    """As in the migration that makes the raw tables, `loaded_at` left out."""
    events = validate_events(write("user_id,event_type,occurred_at\n1,a,2024-05-01\n"), as_of=noon, workspace=workspace)
    leads = validate_leads(write("user_id\n1\n"), as_of=noon, workspace=workspace)
    tickets = validate_tickets(write("user_id,opened_at\n1,2024-05-01\n"), as_of=noon, workspace=workspace)
    from_file = ["is_made_up", "source_file", "source_row"]
    assert events.rows.columns == ["event_id", "user_id", "event_type", "occurred_at", "properties", *from_file]
    assert [str(kind) for kind in events.rows.types] == ["VARCHAR"] * 3 + [
        "TIMESTAMP",
        "VARCHAR",
        "BOOLEAN",
        "VARCHAR",
        "BIGINT",
    ]
    assert leads.rows.columns == [
        "user_id", "email", "phone", "first_name", "time_zone", "country", "locale", "plan",
        "signed_up_at", "email_consented_at", "sms_consented_at", "email_consent_expires_at", "sms_consent_expires_at",
        "properties", *from_file,
    ]  # fmt: skip
    assert tickets.rows.columns == [
        "ticket_id", "user_id", "opened_at", "closed_at", "category", "satisfaction", *from_file
    ]  # fmt: skip
    assert events.rejects.columns == [
        "source_table", "source_file", "source_row", "column_name", "value", "reason", "remedy", "record"
    ]  # fmt: skip
    assert events.rejects.columns == leads.rejects.columns == tickets.rejects.columns


def test_counts_that_do_not_add_up_are_refused():
    with pytest.raises(AssertionError, match="went missing"):
        Counts("events", "log.csv", rows_read=3, rows_kept=1, rows_rejected=1, cells_emptied=0)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    head=st.sampled_from(["", "user_id,event_type,occurred_at\n", "user_id,event_type,occurred_at,event_id\n"]),
    body=st.one_of(
        st.binary(max_size=200),
        st.text(st.sampled_from('u1,;"\n\r\t\\2024-05-01T:Z é\u2028{}'), max_size=300).map(str.encode),
        st.lists(
            st.tuples(
                st.sampled_from(["1", "2", "", " "]),
                st.sampled_from(["a", "", '"b"']),
                st.sampled_from(["2024-05-01", "never", "2099-01-01", "1717180205"]),
                st.sampled_from(["e1", "e2", ""]),
            ),
            max_size=12,
        ).map(lambda rows: "\n".join(map(",".join, rows)).encode()),
    ),
)
def test_whatever_the_file_holds_every_row_is_kept_or_rejected(tmp_path, noon, head, body):
    path = tmp_path / "any.csv"
    path.write_bytes(head.encode() + body)
    with Workspace(tmp_path) as scratch:
        try:
            checked = validate_events(path, ["1"], as_of=noon, workspace=scratch)
        except BadInputError as error:
            assert str(path) in str(error)
            return
        counts = checked.counts
        assert counts.rows_read == counts.rows_kept + counts.rows_rejected
        assert counts.rows_kept == len(checked.rows) == len(checked.rows.project("event_id").distinct())
        assert counts.rows_rejected + counts.cells_emptied == len(checked.rejects) == sum(counts.by_reason.values())
        rows = [row for (row,) in checked.rows.project("source_row").fetchall()]
        lines = path.read_text("utf-8-sig").split("\n")
        assert len(set(rows)) == len(rows)
        assert all(lines[row - 1].strip() for row in rows)


def test_the_same_file_gives_the_same_rows(tmp_path, write, noon):
    path = write("user_id,event_type,occurred_at\n" + "".join(f"{n % 7},a,2024-05-0{1 + n % 3}\n" for n in range(500)))
    seen = []
    for _ in range(2):
        with Workspace(tmp_path) as scratch:
            seen.append(validate_events(path, as_of=noon, workspace=scratch).rows.order("source_row").fetchall())
    assert seen[0] == seen[1]
    assert len({row[0] for row in seen[0]}) == 500
