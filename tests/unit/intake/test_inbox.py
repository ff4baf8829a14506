"""The hand-over folders: nothing is lost between them, nothing is there before it happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from rekindle.intake import validate_events, validate_leads, validate_tickets, write_inbox

FIRST = datetime(2024, 5, 10, 18, tzinfo=UTC)
STEPS = [FIRST + timedelta(days=day) for day in range(4)]


@pytest.fixture
def checked(workspace, write):
    """Seven events, four leads, three tickets and two rejects around the first steps."""
    as_of = datetime(2024, 5, 14, tzinfo=UTC)
    leads = validate_leads(
        write(
            "user_id,signed_up_at\n"
            "old,2024-01-01\n"
            "never seen,\n"
            "late,2024-05-12T00:00:00Z\n"  # but seen a day before
            "new,2024-05-13\n",
            "leads.csv",
        ),
        as_of=as_of,
        workspace=workspace,
    )
    events = validate_events(
        write(
            "event_id,user_id,event_type,occurred_at\n"
            "e1,old,a,2024-01-01\n"
            "e2,old,a,2024-05-10T17:59:59.999999Z\n"
            "e3,old,a,2024-05-10T18:00:00Z\n"  # not before the first instant
            "e4,late,a,2024-05-11T08:00:00Z\n"
            "e5,new,a,2024-05-13T17:00:00Z\n"
            "e6,new,a,2024-05-13T18:00:00Z\n"  # after the last step
            "e7,new,a,2024-05-14T00:00:00Z\n"
            "e8,new,a,2024-05-14T00:00:01Z\n"  # in the future
            "e9,who,a,2024-05-01\n"
        ),
        leads,
        as_of=as_of,
        workspace=workspace,
    )
    tickets = validate_tickets(
        write(
            "ticket_id,user_id,opened_at,closed_at\n"
            "t1,old,2024-02-01,2024-02-03\n"
            "t2,old,2024-05-01,2024-05-11T20:00:00Z\n"  # known when closed
            "t3,old,2024-05-11,\n",
            "tickets.csv",
        ),
        leads,
        as_of=as_of,
        workspace=workspace,
    )
    return events, leads, tickets


@pytest.fixture
def inbox(workspace, checked, tmp_path):
    events, leads, tickets = checked
    folder = tmp_path / "in[b]ox's"
    write_inbox(
        workspace,
        folder,
        events=events.rows,
        leads=leads.rows,
        tickets=tickets.rows,
        rejects=[each.rejects for each in checked],
        first_until=FIRST,
        step_instants=STEPS,
    )
    return folder


def folders(inbox, table, column):
    return {
        path.parent.name: pq.read_table(path, partitioning=None).column(column).to_pylist()
        for path in sorted((inbox / table).glob(f"until=*/{table}.parquet"))
    }


def test_each_folder_holds_what_existed_before_its_instant(inbox):
    assert folders(inbox, "events", "event_id") == {
        "until=2024-05-10T180000Z": ["e1", "e2"],
        "until=2024-05-11T180000Z": ["e3", "e4"],
        "until=2024-05-13T180000Z": ["e5"],
        "until=2024-05-15T000000Z": ["e6", "e7"],
    }
    assert folders(inbox, "users", "user_id") == {
        "until=2024-05-10T180000Z": ["never seen", "old"],
        "until=2024-05-11T180000Z": ["late"],
        "until=2024-05-13T180000Z": ["new"],
    }
    assert folders(inbox, "support_tickets", "ticket_id") == {
        "until=2024-05-10T180000Z": ["t1"],
        "until=2024-05-11T180000Z": ["t3"],
        "until=2024-05-12T180000Z": ["t2"],
    }
    assert folders(inbox, "rejects", "source_row") == {"until=2024-05-10T180000Z": [9, 10]}


def test_the_files_have_the_columns_of_the_raw_tables(inbox, checked):
    for table, relation in zip(("events", "users", "support_tickets"), (each.rows for each in checked), strict=True):
        path = next((inbox / table).glob("*/*.parquet"))
        assert pq.read_schema(path).names == relation.columns
    path = next((inbox / "rejects").glob("*/*.parquet"))
    assert pq.read_schema(path).names == checked[0].rejects.columns


def test_writing_again_gives_the_same_bytes_and_removes_what_is_gone(workspace, checked, inbox):
    events, leads, tickets = checked
    before = {path: path.read_bytes() for path in inbox.rglob("*.parquet")}
    stale = inbox / "events" / "until=1999-01-01T180000Z" / "events.parquet"
    stale.parent.mkdir()
    stale.write_bytes(b"stale")
    handed = write_inbox(
        workspace,
        inbox,
        events=events.rows,
        leads=leads.rows,
        tickets=tickets.rows,
        rejects=[each.rejects for each in checked],
        first_until=FIRST,
        step_instants=STEPS,
    )
    assert {path: path.read_bytes() for path in inbox.rglob("*.parquet")} == before
    assert {table: handed.total(table) for table in handed.rows} == {
        "events": 7,
        "users": 4,
        "support_tickets": 3,
        "rejects": 2,
    }
    assert handed.afterwards == datetime(2024, 5, 15, tzinfo=UTC)
    assert [path.name for path in sorted(inbox.iterdir())] == ["events", "rejects", "support_tickets", "users"]
