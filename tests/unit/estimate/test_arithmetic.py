"""Every figure worked out by hand, from a day of three statements and a project of five nodes.

10 MB, the least that BigQuery bills for a table, is 10,485,760 bytes; a TiB is 1,099,511,627,776.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from rekindle.estimate import Builds, MeasuredDay, Workload, estimate
from rekindle.estimate.builds import builds_of
from rekindle.estimate.cost import Cost, Sizes
from rekindle.estimate.prices import Price, Standing
from rekindle.estimate.recording import Statement, Verb
from rekindle.vocabulary import Channel

LEAST, TEBIBYTE = 10_485_760, 1_099_511_627_776
PRICES = {
    item: Price(item, unit, amount, "USD", Standing.OFFICIAL, date(2026, 11, 1), "made up")
    for item, unit, amount in (
        ("bigquery_on_demand", "TiB processed", 6.25),
        ("bigquery_standard_slot", "slot-hour", 0.04),
        ("bigquery_enterprise_slot", "slot-hour", 0.06),
        ("snowflake_standard_credit", "credit", 2.0),
        ("snowflake_enterprise_credit", "credit", 3.0),
        ("sendgrid_email", "e-mail", 0.001),
        ("twilio_segment", "segment", 0.008),
        ("twilio_carrier_fee", "segment", 0.003),
        ("twilio_lookup", "number", 0.01),
    )
}
#: 1,000,000 leads with 40 events each; 10,000 e-mails a day for 100 days.
WORKLOAD = Workload(
    leads=1_000_000,
    emails=10_000,
    texts=0,
    events_per_lead=40,
    days_kept=100,
    listens_a_day=0,
    arrivals_a_day=0,
    statement_seconds=2,
    build_seconds=30,
)
READ = Statement.of_text("read", "select status from rekindle_state.messages where batch_id = $batch_id")
MARK = Statement.of_text("mark", "update rekindle_state.messages set status = 'sent' where message_id = $message_id")
OFFERED = Statement.of_text("offered", "select lead_id from rekindle_activation.sync_cold_leads")
HANDED_OVER = Statement.of_rows("rekindle_state.attempt_chunks")
LISTEN = Statement.of_text("listen", "select landing_file from rekindle_raw.landing_files")
DAY = MeasuredDay(
    fixed=Counter({READ: 1, OFFERED: 1}),
    per_batch={channel: Counter({READ: 1}) for channel in Channel},  # 10,000 e-mails are 2 batches
    per_chunk={channel: Counter({MARK: 1, HANDED_OVER: 1}) for channel in Channel},  # and 10 chunks
    listening=Counter({LISTEN: 4}),
    quiet=Counter({LISTEN: 1}),
    rows_per_message={"rekindle_state.messages": 1},
    # 60 bytes a row, of which 40 are the three columns that READ and MARK name
    column_bytes={"rekindle_state.messages": {"message_id": 20, "status": 10, "batch_id": 10, "body_hash": 20}},
)


def column(kind: str | None) -> dict[str, Any]:
    return {"data_type": kind}


def node(kind: str, name: str, materialized: str | None, *parents: str, **columns: str | None) -> Mapping[str, Any]:
    schema = {"stg_leads": "rekindle_staging", "sync_cold_leads": "rekindle_activation"}.get(name, "rekindle_marts")
    return {
        "resource_type": kind,
        "name": name,
        "schema": schema,
        "config": {"materialized": materialized},
        "depends_on": {"nodes": list(parents)},
        "columns": {column_name: column(data_type) for column_name, data_type in columns.items()},
    }


PROJECT: Mapping[str, Any] = {
    "nodes": {
        "leads": node("model", "stg_leads", "view", "users"),
        "moves": node("model", "fct_cold_transitions", "incremental", "leads", lead_id="string", scored_on="date"),
        "scores": node("model", "fct_cold_scores", "table", "leads", "moves", lead_id="string", is_cold="boolean"),
        "offered": node("model", "sync_cold_leads", "view", "scores"),
        "once": node("test", "assert_once", None, "offered"),
        "library": node("model", "sync_lapsed", "view", "scores"),
    },
    "sources": {
        # the company's own table, wherever the mapping finds it
        "users": {
            "resource_type": "source",
            "source_name": "company_leads",
            "schema": "segment",
            "name": "users",
            "columns": {"user_id": column(None), "created_at": column("timestamp"), "visits": column("int64")},
        }
    },
}
BUILDS = builds_of(PROJECT, ["leads", "moves", "scores", "offered", "once"])


@pytest.fixture
def sizes() -> Sizes:
    return Sizes(WORKLOAD, DAY, BUILDS)


def costs(workload: Workload, builds: Builds = BUILDS) -> dict[str, Cost]:
    found = estimate(workload, DAY, builds, PRICES)
    return {cost.what: cost for cost in (*found.warehouse, *found.messages)}


def test_what_dbt_sends_is_read_from_its_manifest() -> None:
    """A view is defined; a table is filled; an incremental model is read for and merged; a test reads."""
    marts = "rekindle_marts."
    assert {(s.name, s.verb, s.target, s.tables) for s in BUILDS.statements} == {
        ("dbt stg_leads", Verb.DEFINE, "rekindle_staging.stg_leads", frozenset()),
        (
            "dbt fct_cold_transitions: what is new",
            Verb.INSERT,
            f"{marts}fct_cold_transitions__new",
            frozenset({"rekindle_raw.users"}),
        ),
        (
            "dbt fct_cold_transitions",
            Verb.MERGE,
            f"{marts}fct_cold_transitions",
            frozenset({f"{marts}fct_cold_transitions", f"{marts}fct_cold_transitions__new"}),
        ),
        (
            "dbt fct_cold_scores",
            Verb.INSERT,
            f"{marts}fct_cold_scores",
            frozenset({"rekindle_raw.users", f"{marts}fct_cold_transitions"}),
        ),
        ("dbt sync_cold_leads", Verb.DEFINE, "rekindle_activation.sync_cold_leads", frozenset()),
        ("dbt assert_once", Verb.SELECT, None, frozenset({f"{marts}fct_cold_scores"})),
    }


def test_bytes_of_a_statement_that_reads(sizes: Sizes) -> None:
    # status and batch_id, 20 bytes, of 10,000 × 100 rows: more than the minimum
    assert (sizes.least_bytes(READ), sizes.most_bytes(READ)) == (LEAST, 20_000_000)
    small = Sizes(replace(WORKLOAD, days_kept=1), DAY, BUILDS)
    assert small.most_bytes(READ) == LEAST


def test_bytes_of_an_update_are_what_it_reads_and_the_whole_table(sizes: Sizes) -> None:
    # message_id and status, 30 bytes, and all four columns, 60 bytes, of 1,000,000 rows
    assert (sizes.least_bytes(MARK), sizes.most_bytes(MARK)) == (LEAST, 90_000_000)


def test_rows_handed_over_read_nothing(sizes: Sizes) -> None:
    assert (sizes.least_bytes(HANDED_OVER), sizes.most_bytes(HANDED_OVER)) == (0, LEAST)


def test_a_view_costs_what_lies_under_it(sizes: Sizes) -> None:
    # a text of 18 bytes and a boolean of 1, of 1,000,000 leads, though the statement names one column of a view
    assert sizes.most_bytes(OFFERED) == 19_000_000
    assert sizes.least_bytes(OFFERED) == LEAST


def test_bytes_of_dbts_statements(sizes: Sizes) -> None:
    least = {statement.name: sizes.least_bytes(statement) for statement in BUILDS.statements}
    most = {statement.name: sizes.most_bytes(statement) for statement in BUILDS.statements}
    assert least["dbt stg_leads"] == most["dbt stg_leads"] == 0  # defining a view processes nothing
    users = (18 + 8 + 8) * 1_000_000
    moves = (18 + 8) * 1_000_000
    assert most["dbt fct_cold_transitions: what is new"] == users
    # the new rows are few: the minimum; the table is read and rewritten
    assert most["dbt fct_cold_transitions"] == LEAST + moves + moves
    assert least["dbt fct_cold_transitions"] == 2 * LEAST
    assert most["dbt fct_cold_scores"] == users + moves
    assert most["dbt assert_once"] == 19_000_000


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("rekindle_raw.events", 40_000_000),  # 40 a lead
        ("rekindle_raw.users", 1_000_000),
        ("rekindle_state.messages", 1_000_000),  # 10,000 a day for 100 days
        ("rekindle_marts.fct_messages", 1_000_000),
        ("rekindle_state.message_events", 3_000_000),  # three webhooks each
        ("rekindle_raw.webhook_elements", 3_000_000),
        ("rekindle_marts.reactivation_by_campaign", 0),
        ("rekindle_seeds.score_weights", 0),
    ],
)
def test_rows_of_a_table(sizes: Sizes, table: str, rows: int) -> None:
    assert sizes.rows(table) == rows


def test_a_tick_on_demand() -> None:
    # statements: READ 1 + 1 batch, OFFERED 1, MARK and HANDED_OVER 4 chunks each; dbt: 1 + 2 + 2 + 1 tables
    least = (2 + 1 + 4) * LEAST + 6 * LEAST
    most = 2 * 20_000_000 + 19_000_000 + 4 * (90_000_000 + LEAST)
    most += 34_000_000 + (LEAST + 52_000_000) + (34_000_000 + 26_000_000) + 19_000_000
    found = costs(WORKLOAD)
    assert found["BigQuery on demand, at least"].tick == pytest.approx(least / TEBIBYTE)
    assert found["BigQuery on demand, at most"].tick == pytest.approx(most / TEBIBYTE)
    assert found["BigQuery on demand, at most"].money == pytest.approx(most / TEBIBYTE * 30 * 6.25)


def test_a_tick_on_slots_and_on_a_warehouse() -> None:
    # 11 statements of 2 s; 4 of dbt's 6 take the warehouse, 30 s each; 10,000 e-mails leave in 5 s: 147 s
    found = costs(WORKLOAD)
    assert found["BigQuery Standard edition"].tick == pytest.approx(50 * 147 / 3600)
    assert found["BigQuery Standard edition"].money == pytest.approx(50 * 147 / 3600 * 30 * 0.04)
    # and 60 s until it suspends
    assert found["Snowflake Standard, XSMALL"].tick == pytest.approx(207 / 3600)
    assert found["Snowflake Enterprise, XSMALL"].money == pytest.approx(207 / 3600 * 30 * 3)
    medium = costs(replace(WORKLOAD, warehouse_size="MEDIUM"))
    assert medium["Snowflake Standard, MEDIUM"].tick == pytest.approx(4 * 207 / 3600)


def test_what_is_sent_slowly_keeps_the_warehouse_awake() -> None:
    # 36,000 texts of 2 segments at 100 a second are 720 s; 36 batches of one and 360 chunks
    texting = replace(WORKLOAD, emails=0, texts=36_000)
    statements = (2 + 36 + 2 * 360) * 2
    assert texting.sending_seconds == 720
    assert costs(texting)["Snowflake Standard, XSMALL"].tick == pytest.approx((statements + 120 + 720 + 60) / 3600)


def test_a_day_has_no_more_than_its_hours() -> None:
    """10,000,000 texts take longer than a day at 100 segments a second: the account's rate is the limit, not money."""
    endless = replace(WORKLOAD, emails=0, texts=10_000_000, listens_a_day=288)
    found = costs(endless)["Snowflake Standard, XSMALL"]
    assert (found.tick, found.between) == (24, 0)


def test_listening_is_billed_a_minute_each_time() -> None:
    # 100 times nothing comes: 2 s and 60 s of idling; 20 times four statements: 8 s and 60 s
    listening = replace(WORKLOAD, listens_a_day=120, arrivals_a_day=20)
    found = costs(listening)
    assert found["Snowflake Standard, XSMALL"].between == pytest.approx((100 * 62 + 20 * 68) / 3600)
    # the autoscaler keeps 50 slots for a minute
    assert found["BigQuery Standard edition"].between == pytest.approx(50 * 120 * 60 / 3600)
    assert found["BigQuery on demand, at least"].between == pytest.approx((100 + 20 * 4) * LEAST / TEBIBYTE)


def test_messages() -> None:
    found = costs(replace(WORKLOAD, emails=1_000, texts=100, segments_per_text=3))
    assert {what: cost.money for what, cost in found.items() if "BigQuery" not in what and "Snow" not in what} == {
        "e-mails": pytest.approx(30.0),
        "text segments": pytest.approx(72.0),
        "carrier fees": pytest.approx(27.0),
        "line type checks, each number once": pytest.approx(30.0),
    }
