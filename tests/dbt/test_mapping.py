"""Warehouses that other tools fill, read without editing a model."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb

MAPPINGS = Path(__file__).parents[2] / "dbt_project" / "mappings"
SELECTED = ("run", "--select", "base_app__event_arrivals", "base_app__lead_arrivals", "stg_app__leads")
EVENTS = (
    "select lead_id, event_type, event_kind, occurred_at, loaded_at, event_id "
    "from rekindle_staging.base_app__event_arrivals order by occurred_at"
)

SHAPES = """
create schema segment;
create table segment.tracks (
    id varchar, user_id varchar, anonymous_id varchar, event varchar, event_text varchar, received_at timestamp,
    sent_at timestamp, "timestamp" timestamp, uuid_ts timestamp
);
insert into segment.tracks values
    ('s1', 'ann', 'x', 'login', 'Login', '2026-02-01', '2026-02-01', '2026-02-01 10:00', '2026-02-01 12:00'),
    ('s2', null, 'x', 'purchase', 'Purchase', '2026-02-02', '2026-02-02', '2026-02-02 10:00', '2026-02-02 12:00');
create table segment.users (
    id varchar, email varchar, phone varchar, first_name varchar, plan varchar, created_at timestamp,
    received_at timestamp, uuid_ts timestamp
);
insert into segment.users values
    ('ann', ' Ann@Example.com', null, 'Ann', 'pro', '2026-01-01', '2026-01-02', '2026-01-02');
create schema rudderstack;
create table rudderstack.tracks (
    id varchar, user_id varchar, event varchar, event_text varchar, original_timestamp timestamp,
    "timestamp" timestamp, received_at timestamp, uuid_ts timestamp
);
insert into rudderstack.tracks values
    ('r1', 'bob', 'project_created', 'Project', '2026-02-01', '2026-02-03 10:00', '2026-02-03', '2026-02-03 11:00');
create table rudderstack.users (
    id varchar, email varchar, phone varchar, firstname varchar, plan varchar, created_at timestamp,
    received_at timestamp, uuid_ts timestamp
);
insert into rudderstack.users values
    ('bob', 'bob@example.com', '+15550100001', 'Bob', null, '2026-01-01', '2026-01-02', '2026-01-02');
create schema atomic;
create table atomic.events (
    app_id varchar, event_id varchar, event_name varchar, user_id varchar, domain_userid varchar,
    derived_tstamp timestamp, collector_tstamp timestamp, load_tstamp timestamp
);
insert into atomic.events values
    ('web', 'p1', 'page_view', 'cat', 'd', '2026-02-04 10:00', '2026-02-04 10:01', '2026-02-04 11:00'),
    ('web', 'p2', 'page_view', null, 'd', '2026-02-04 10:00', '2026-02-04 10:01', '2026-02-04 11:00');
create schema analytics_123456789;
create table analytics_123456789."events_*" (
    event_date varchar, event_timestamp bigint, event_name varchar, user_id varchar, user_pseudo_id varchar
);
insert into analytics_123456789."events_*" values
    ('20260205', 1770285600000001, 'purchase', 'dan', '1.2'), ('20260205', 1770285600000001, 'purchase', null, '1.2');
"""


def test_the_tables_of_four_tools_are_read_as_they_are(warehouse):
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute(SHAPES)
    found = {}
    for tool in ("segment", "rudderstack", "snowplow", "ga4"):
        warehouse.build((None, [*SELECTED, "--vars", (MAPPINGS / f"{tool}.yml").read_text()]))
        found[tool] = warehouse.rows(EVENTS)
        if tool in ("segment", "rudderstack"):
            leads = warehouse.rows(
                "select lead_id, email, phone, first_name, plan, signed_up_at, is_made_up "
                "from rekindle_staging.stg_app__leads"
            )
            begun = datetime(2026, 1, 1)
            assert (
                leads
                == {
                    "segment": [("ann", "ann@example.com", None, "Ann", "pro", begun, False)],
                    "rudderstack": [("bob", "bob@example.com", "+15550100001", "Bob", None, begun, False)],
                }[tool]
            )

    at = datetime(2026, 2, 1, 10)
    assert found["segment"] == [("ann", "login", "log_in", at, datetime(2026, 2, 1, 12), "s1")]
    at = datetime(2026, 2, 3, 10)
    assert found["rudderstack"] == [("bob", "project_created", "key_action", at, datetime(2026, 2, 3, 11), "r1")]
    at = datetime(2026, 2, 4, 10)
    assert found["snowplow"] == [("cat", "page_view", "seen", at, datetime(2026, 2, 4, 11), "p1")]
    # GA4 gives its events neither an id nor a time of loading
    at = datetime(2026, 2, 5, 10, 0, 0, 1)
    assert [row[:5] for row in found["ga4"]] == [("dan", "purchase", "key_action", at, at)]
    assert len(found["ga4"][0][5]) == 64


def test_a_mapping_that_names_what_is_not_there_stops_the_build_and_names_the_row(warehouse):
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute(SHAPES)
    wrong = (MAPPINGS / "segment.yml").read_text().replace("event_type: event", "event_type: evnt")
    # with its unit tests: those are about our own names and may not be what fails
    [outcome] = warehouse.run((None, ["build", "--select", "base_app__event_arrivals", "--vars", wrong]))
    assert outcome.trouble == {"base_app__event_arrivals"}
    told = outcome.messages["base_app__event_arrivals"]
    assert "rekindle__mapping.events.columns.event_type" in told and "has no column evnt" in told
