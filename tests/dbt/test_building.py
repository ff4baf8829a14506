"""The project as a whole: it builds on nothing, its views are current, its columns are the contract."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "dbt_project"

#: What the DAGs read. A change here is a change of the contract with them.
ACTIVATION_COLUMNS = {
    "sync_cold_leads": [
        ("lead_id", "VARCHAR"),
        ("person_id", "VARCHAR"),
        ("cold_score", "DOUBLE"),
        ("score_contributions", "VARCHAR"),
        ("crossed_cold_on", "DATE"),
        ("segment", "VARCHAR"),
        ("scored_as_of", "TIMESTAMP"),
    ],
    "sync_lead_contacts": [
        ("lead_id", "VARCHAR"),
        ("person_id", "VARCHAR"),
        ("email", "VARCHAR"),
        ("phone", "VARCHAR"),
        ("email_hash", "VARCHAR"),
        ("phone_hash", "VARCHAR"),
        ("first_name", "VARCHAR"),
        ("time_zone", "VARCHAR"),
        ("country", "VARCHAR"),
        ("state", "VARCHAR"),
        ("postal_code", "VARCHAR"),
        ("locale", "VARCHAR"),
        ("plan", "VARCHAR"),
        ("is_made_up", "BOOLEAN"),
        ("last_key_action_on", "DATE"),
    ],
    "sync_life_signs": [
        ("lead_id", "VARCHAR"),
        ("event_id", "VARCHAR"),
        ("event_type", "VARCHAR"),
        ("kind", "VARCHAR"),
        ("occurred_at", "TIMESTAMP"),
    ],
    "sync_reactivation_events": [
        ("event_id", "VARCHAR"),
        ("lead_id", "VARCHAR"),
        ("campaign_id", "VARCHAR"),
        ("step_id", "VARCHAR"),
        ("entry_id", "VARCHAR"),
        ("message_id", "VARCHAR"),
        ("variant", "VARCHAR"),
        ("channel", "VARCHAR"),
        ("event_type", "VARCHAR"),
        ("kind", "VARCHAR"),
        ("days_after_touch", "DOUBLE"),
        ("is_first_of_entry", "BOOLEAN"),
        ("touched_at", "TIMESTAMP"),
        ("event_at", "TIMESTAMP"),
    ],
}


def test_builds_on_a_warehouse_with_only_the_migrations_applied_and_every_unit_test_holds(warehouse, day, world_module):
    [outcome, _] = warehouse.build(
        (day(0), ["build"]),
        (None, ["set", "DBT_WRITE_JSON", "true"]),
        (day(0), ["docs", "generate"]),
    )
    assert outcome.named("warn") == {"tell_a_day_without_a_cohort"}
    assert len(outcome.named("pass")) > 50
    for model in ("rekindle_marts.reactivation_by_campaign", "rekindle_activation.sync_cold_leads"):
        assert warehouse.rows(f"select count(*) from {model}") == [(0,)]
    # and the tables that stand in for the relations where there is no dbt have their columns
    for model, columns in world_module.activation_columns().items():
        assert warehouse.rows(
            "select column_name, lower(data_type) from information_schema.columns"
            " where table_schema = 'rekindle_activation' and table_name = ? order by ordinal_position",
            model,
        ) == list(columns.items()), model
    # `dbt docs` describes what there is: every table that was built, every column of it and no other
    catalog = json.loads((warehouse.dbt_target / "catalog.json").read_text())
    told = json.loads((warehouse.dbt_target / "manifest.json").read_text())
    for kind in ("nodes", "sources"):
        described = {
            key: {name.lower() for name in node["columns"]}
            for key, node in told[kind].items()
            if node["resource_type"] in ("model", "seed", "source")
        }
        there = {key: {name.lower() for name in node["columns"]} for key, node in catalog[kind].items()}
        assert described == there and len(there) > 10


def test_activation_columns_are_the_contract_and_views_are_current_without_another_run(warehouse, day, daily_score):
    warehouse.insert("rekindle_raw.users", [{"user_id": "ann", "email": "ann@example.com"}])
    [outcome] = warehouse.build((day(0), daily_score))
    # the daily selection leaves the unit tests and the measuring out
    assert "only_what_happened_before_as_of_counts" not in outcome.statuses
    assert "reactivation_by_campaign" not in outcome.statuses
    for model, columns in ACTIVATION_COLUMNS.items():
        described = warehouse.rows(
            "select column_name, data_type from information_schema.columns "
            "where table_schema = 'rekindle_activation' and table_name = ? order by ordinal_position",
            model,
        )
        assert described == columns

    # Given an address that changed, a lead that is new and an event after the last run
    later = day(0) + timedelta(hours=1)
    warehouse.insert(
        "rekindle_raw.users",
        [
            {"user_id": "ann", "email": " New@Example.com", "loaded_at": later},
            {"user_id": "new", "phone": "+15550100009", "loaded_at": later},
        ],
    )
    warehouse.see(("ann", "Session_Started", later))
    warehouse.see(("ann", "page_viewed", later))

    # Then the views know them
    assert warehouse.rows(
        "select lead_id, person_id, email, phone from rekindle_activation.sync_lead_contacts order by lead_id"
    ) == [("ann", "ann", "new@example.com", None), ("new", "new", None, "+15550100009")]
    assert warehouse.rows("select lead_id, kind, event_type, occurred_at from rekindle_activation.sync_life_signs") == [
        ("ann", "log_in", "Session_Started", later)
    ]


def test_environment_says_what_logging_in_is_and_what_is_not_life(new_warehouse, day, daily_score):
    warehouse = new_warehouse(
        REKINDLE_LOGIN_EVENTS="badge scanned, opened_app",
        REKINDLE_KEY_ACTION_EVENTS="it's done",
        REKINDLE_PASSIVE_EVENTS="badge_earned,page_viewed",
    )
    for event_type in ("Badge Scanned", "opened_app", "it's done", "login", "purchase", "badge_earned", "page_viewed"):
        warehouse.see(("ann", event_type, day(-1)))
    warehouse.build((day(0), daily_score))
    assert dict(warehouse.rows("select event_type, event_kind from rekindle_staging.base_app__event_arrivals")) == {
        "Badge Scanned": "log_in",
        "opened_app": "log_in",
        "it's done": "key_action",
        # the project's own list is replaced, not extended
        "login": "seen",
        "purchase": "seen",
        "badge_earned": "passive",
        "page_viewed": "passive",
    }


def test_as_of_is_a_var_too_and_its_zone_counts(warehouse, day):
    warehouse.see(("before", "login", day(0) - timedelta(seconds=1)))
    warehouse.see(("at", "login", day(0)))
    six_pm_utc = "as_of: 2026-03-01T19:00:00+01:00"
    warehouse.build(
        (
            None,
            [
                "build",
                "--exclude",
                "resource_type:test",
                "resource_type:unit_test",
                "--select",
                "+int_lead_activity_aggregated",
                "--vars",
                six_pm_utc,
            ],
        )
    )
    assert warehouse.rows("select lead_id from rekindle_intermediate.int_lead_activity_aggregated") == [("before",)]


def test_without_as_of_dbt_says_how_to_set_it(warehouse):
    [outcome] = warehouse.run(
        (
            None,
            [
                "build",
                "--exclude",
                "resource_type:test",
                "resource_type:unit_test",
                "--select",
                "+int_lead_history",
            ],
        )
    )
    assert "int_lead_history" in outcome.trouble
    assert "set REKINDLE_AS_OF" in outcome.messages["int_lead_history"]
