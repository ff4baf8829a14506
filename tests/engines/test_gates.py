"""Every statement and migration as BigQuery and Snowflake would read it: what no stand-in server is strict about."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from rekindle.run import Run
from rekindle.warehouse.dialect import BIGQUERY, SNOWFLAKE, kind_of
from rekindle.warehouse.statements import statement, unbound_statement

QUERIES = Path(__file__).parents[2] / "sql" / "queries"
AREAS = sorted(path.name for path in QUERIES.iterdir() if any(path.glob("*.sql")))


@pytest.fixture(scope="session")
def rendered(every_step, world_module):
    """Every statement that takes words, in the forms that campaigns make of it, with the values they bind."""
    run = Run(as_of=world_module.START, run_id="gates", recorded_at=world_module.START)
    return every_step.rendered_statements(world_module.World.campaign_with, run)


@pytest.fixture(scope="session")
def asked_of(relations, rendered):
    """Area → statement (with its words, if it takes any) → the values bound to it, where they are known."""
    with_words = {name.partition("?")[0] for name in rendered if "?" in name}
    every = {name: rendered.get(name, {}) for name in relations.STATEMENTS if name not in with_words} | rendered
    return lambda area: {name: values for name, values in every.items() if name.startswith(f"{area}/")}


def typed_nulls(sql, kinds, values):
    """Each `$name` as a null of the kind that its name or its value says."""
    return re.sub(
        r"\$([a-z_][a-z0-9_]*)",
        lambda found: f"cast(null as {kinds[kind_of(found[1], values.get(found[1]))]})",
        sql,
    )


def test_every_statement_that_takes_words_is_read_as_campaigns_render_it(rendered):
    told = {
        name
        for path in (QUERIES.parents[1] / "include" / "rekindle").rglob("*.py")
        for name in re.findall(r"with_words\(\s*\"([a-z_/]+)\"", path.read_text())
    }
    assert {name.partition("?")[0] for name in rendered if "?" in name} == told
    conditions = "".join(rendered)
    assert all(f".{word}" in conditions for word in ("not_one_of", "unknown", "reply", "variant", "below", "above"))


@pytest.mark.parametrize("area", AREAS)
def test_googlesql_accepts_every_statement(area, google_sql, relations, asked_of):
    kinds = relations.types(BIGQUERY)
    refused = {}
    for name, values in asked_of(area).items():
        sql = statement(BIGQUERY, name)
        parameters = {
            found: kinds[kind_of(found, values.get(found))] for found in re.findall(r"@([a-z_][a-z0-9_]*)", sql)
        }
        if told := google_sql.refusal(sql, parameters):
            refused[name] = told
    assert refused == {}


@pytest.mark.parametrize("area", AREAS)
def test_snowflake_parses_every_statement_and_has_its_functions(area, snowflake_sql, relations, asked_of):
    kinds = relations.types(SNOWFLAKE)
    refused = {}
    for name, values in asked_of(area).items():
        if told := snowflake_sql.refusal(typed_nulls(unbound_statement(SNOWFLAKE, name), kinds, values)):
            refused[name] = told
    assert refused == {}


def test_no_comment_names_a_bound_value(relations):
    # Snowflake's values are bound by their place, and it does not count what stands in a comment
    named = {
        name: found
        for name in relations.STATEMENTS
        if (found := re.findall(r"--.*\$[a-z].*", (QUERIES / f"{name}.sql").read_text()))
    }
    assert named == {}


def test_googlesql_accepts_every_migration(google_sql, relations):
    refused = {
        (name, one[:60]): told
        for name, script in relations.scripts(BIGQUERY)
        for one in relations.statements_of(script)
        if (told := google_sql.refusal(one))
    }
    assert refused == {}


def test_snowflake_parses_every_migration(snowflake_sql, relations):
    refused = {name: told for name, script in relations.scripts(SNOWFLAKE) if (told := snowflake_sql.refusal(script))}
    assert refused == {}


#: What the stand-ins run and the warehouse refuses: the reason for the gates.
NOT_GOOGLESQL = [
    "select status from rekindle_state.messages where status ilike 'a%'",
    "select cost::float64 from rekindle_state.messages",
    "select count(*) filter (where cost > 1) as n from rekindle_state.messages",
    "select median(cost) as middle from rekindle_state.messages",
    "select strptime(status, '%Y') as then from rekindle_state.messages",
    "delete from rekindle_state.messages",
    "select no_such_column from rekindle_state.messages",
    "select message_id from rekindle_state.messages where planned_at > status",
    "select 1 as one where true",
]


@pytest.mark.parametrize("sql", NOT_GOOGLESQL)
def test_the_gate_for_bigquery_refuses(google_sql, sql):
    assert google_sql.refusal(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select strptime(status, '%Y') as year from rekindle_state.messages",
        "select json_extract_string(time_zones, 'a') as zone from rekindle_state.messages",
        "select * exclude status messages",
        "select list_first(x) as y from t",
    ],
)
def test_the_gate_for_snowflake_refuses(snowflake_sql, sql):
    assert snowflake_sql.refusal(sql)


def test_a_parameter_says_by_its_name_what_it_is():
    told = {name: kind_of(name).name for name in ("as_of", "valid_since", "planned_at", "cohort_date", "reason")}
    assert told == {
        "as_of": "INSTANT",
        "valid_since": "INSTANT",
        "planned_at": "INSTANT",
        "cohort_date": "DATE",
        "reason": "TEXT",
    }
    assert kind_of("holdout_share").name == "NUMBER"
    assert kind_of("maximum_cohort_size").name == "INTEGER"
    assert kind_of("any_activity").name == "BOOLEAN"
    assert kind_of("may_re_enter_on").name == "DATE"
    # what a campaign's file compares with has no name: its value says it, unless the name does
    values = {"text": "TEXT", 1: "INTEGER", 60.5: "NUMBER", date(2026, 1, 1): "DATE", None: "TEXT"}
    assert {value: kind_of("case_0_0", value).name for value in values} == values
    assert kind_of("audience_0_0_number", 60).name == "NUMBER"
    assert kind_of("holdout_share", 0).name == "NUMBER"


def test_the_scripts_of_rights_are_in_each_engines_language(google_sql, snowflake_sql):
    folder = QUERIES.parent / "grants"
    for one in re.sub(r"--[^\n]*", "", (folder / "bigquery.sql").read_text()).split(";"):
        assert not one.strip() or google_sql.refusal(one) is None
    assert snowflake_sql.refusal((folder / "snowflake.sql").read_text()) is None
