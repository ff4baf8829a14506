"""What other tools sent: from their export into the table that the caps count."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rekindle.identity import address_hash
from rekindle.ingest.inbox import load_inbox
from rekindle.intake import validate_events, validate_external_messages, validate_leads, write_inbox
from rekindle.run import Run
from rekindle.simulate.warehouse import build_warehouse
from rekindle.warehouse.duckdb import DuckDbWarehouse

DOCS = Path(__file__).parents[3] / "docs" / "input_files.md"
HEADER = "message_id,tool,channel,sent_at,user_id,email,phone\n"


def faults(checked):
    return checked.rejects.order("source_row, column_name").project("column_name, value, reason").fetchall()


@pytest.mark.parametrize(
    ("row", "kept", "found"),
    [
        # whose it was: by the id, by the address of the channel, by the other one
        ("m1,crm,email,2024-05-01,7,,", ("7", None, "email"), []),
        ("m1,crm,E-mail,2024-05-01,7,,", None, [("channel", "E-mail", "unknown_channel")]),
        ("m1,crm,Email,2024-05-01,,Jane@Example.com,", (None, "jane@example.com", "email"), []),
        ("m1,crm,sms,2024-05-01,,jane@example.com,+12125550100", (None, "+12125550100", "sms"), []),
        ("m1,crm,sms,2024-05-01,,jane@example.com,", (None, "jane@example.com", "sms"), []),
        # nobody's, and why
        ("m1,crm,email,2024-05-01,,,", None, [("user_id", None, "empty_value")]),
        ("m1,crm,email,2024-05-01,,jane,", None, [("email", "jane", "malformed_email")]),
        ("m1,crm,sms,2024-05-01,,,12", None, [("phone", "12", "malformed_phone")]),
        # a bad address beside an id
        ("m1,crm,email,2024-05-01,7,jane,", ("7", None, "email"), [("email", "jane", "malformed_email")]),
        # the rest
        ("m1,crm,push,2024-05-01,7,,", None, [("channel", "push", "unknown_channel")]),
        ("m1,crm,,2024-05-01,7,,", None, [("channel", None, "empty_value")]),
        ("m1,,email,2024-05-01,7,,", None, [("tool", None, "empty_value")]),
        ("m1,crm,email,soon,7,,", None, [("sent_at", "soon", "unparsable_time")]),
        ("m1,crm,email,2024-06-02,7,,", None, [("sent_at", "2024-06-02", "in_the_future")]),
    ],
)
def test_each_row_is_somebodys_message_or_told(workspace, write, noon, row, kept, found):
    checked = validate_external_messages(write(f"{HEADER}{row}\n"), as_of=noon, workspace=workspace)
    expected = [(kept[0], kept[1] and address_hash(kept[1]), kept[2])] if kept else []
    assert checked.rows.project("lead_id, address_hash, channel").fetchall() == expected
    assert faults(checked) == found


def test_the_same_export_twice_gives_the_same_ids(workspace, write, noon):
    text = "tool,channel,sent_at,email\ncrm,email,2024-05-01,a@example.com\ncrm,email,2024-05-01,a@example.com\n"
    first, second = (
        validate_external_messages(write(text), as_of=noon, workspace=workspace)
        .rows.project("external_message_id")
        .fetchall()
        for _ in range(2)
    )
    assert first == second and len(set(first)) == 2


def test_the_sample_of_the_manual_reaches_the_table_that_the_caps_count(workspace, write, noon, tmp_path):
    (sample,) = re.findall(r"```csv\n(message_id,tool.*?)```", DOCS.read_text(), re.DOTALL)
    external = validate_external_messages(write(sample, "newsletter.csv"), as_of=noon, workspace=workspace)
    leads = validate_leads(write("user_id\n7\n", "leads.csv"), as_of=noon, workspace=workspace)
    events = validate_events(write("user_id,event_type,occurred_at\n7,a,2024-05-01\n"), as_of=noon, workspace=workspace)
    handed = write_inbox(
        workspace,
        tmp_path / "inbox",
        events=events.rows,
        leads=leads.rows,
        tickets=None,
        external_messages=external.rows,
        rejects=[external.rejects],
        first_until=noon,
        step_instants=[],
    )
    assert handed.total("external_messages") == external.counts.rows_kept == 3
    build_warehouse(tmp_path / "warehouse.duckdb", noon)
    warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    run = Run(noon, "manual", noon)
    assert load_inbox(warehouse, tmp_path / "inbox", run)["external_messages"] == 3
    assert load_inbox(warehouse, tmp_path / "inbox", run)["external_messages"] == 0  # each file once
    with warehouse.transaction() as transaction:
        rows = transaction.query("select * from rekindle_raw.external_messages order by sent_at")
    assert [(row["lead_id"], row["address_hash"], row["channel"], row["tool"]) for row in rows] == [
        ("u1", address_hash("jane@example.com"), "email", "newsletter"),
        ("u2", None, "email", "newsletter"),
        (None, address_hash("+12125550100"), "sms", "help_desk"),
    ]
    assert rows[0]["sent_at"] == datetime(2024, 5, 29, 9, 30, tzinfo=UTC) and not rows[0]["is_made_up"]
    assert (rows[0]["source_file"], rows[2]["source_row"]) == ("newsletter.csv", 4)
