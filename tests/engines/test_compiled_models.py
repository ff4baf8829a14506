"""dbt's compiled SQL as BigQuery and Snowflake would read it: every model in each of its forms, and every test."""

from __future__ import annotations

import graphlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from rekindle.backtest.models import dbt_environment

PROJECT = Path(__file__).parents[2] / "dbt_project"
MODELS = sorted(path.stem for path in (PROJECT / "models").rglob("*.sql"))
LAYERS = sorted({path.parent.name for path in (PROJECT / "models").rglob("*.sql")} | {"of tests"})
#: Where nothing listens: what dbt would send is read, not sent.
NOBODY = {
    "bigquery": {
        "REKINDLE_BIGQUERY_PROJECT": "rekindle-test",
        "REKINDLE_BIGQUERY_API_ENDPOINT": "http://127.0.0.1:1",
        "REKINDLE_BIGQUERY_TOKEN": "of-nobody",
    },
    "snowflake": {
        "REKINDLE_SNOWFLAKE_ACCOUNT": "nobody",
        "REKINDLE_SNOWFLAKE_HOST": "127.0.0.1",
        "REKINDLE_SNOWFLAKE_PORT": "1",
        "REKINDLE_SNOWFLAKE_PROTOCOL": "http",
        "REKINDLE_SNOWFLAKE_USER": "nobody",
        "REKINDLE_SNOWFLAKE_PASSWORD": "of-nobody",
        "REKINDLE_SNOWFLAKE_DATABASE": "REKINDLE",
        "REKINDLE_SNOWFLAKE_WAREHOUSE": "REKINDLE",
        "REKINDLE_SNOWFLAKE_ROLE": "REKINDLE",
    },
}


@pytest.fixture(scope="session")
def compiled_for(once, tmp_path_factory):
    """What dbt would send to an engine, node by node."""

    def compiled(engine):
        folder = tmp_path_factory.mktemp("compiled")
        finished = subprocess.run(
            [sys.executable, str(Path(__file__).parent / "compile_models.py"), str(folder / "compiled.json")],
            env={
                **dbt_environment(PROJECT, folder, folder / "no.duckdb"),
                **NOBODY[engine],
                "REKINDLE_DBT_TARGET": engine,
                "REKINDLE_AS_OF": "2026-03-01T18:00:00+00:00",
            },
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert finished.returncode == 0, finished.stdout[-2000:] + finished.stderr[-4000:]
        return json.loads((folder / "compiled.json").read_text())

    return lambda engine: once(f"compiled-{engine}", lambda: compiled(engine))


def in_any_form(relations):
    """In a project, tables are also known without its name."""
    return relations | {name.partition(".")[2]: columns for name, columns in relations.items()}


@pytest.fixture(scope="session")
def google_sql_of_models(googlesql, relations, compiled_for):
    """The analyzer with every table and model, and what it had against a model or a model's contract on the way."""
    known = {
        f"rekindle-test.{name}": columns
        for name, columns in relations.for_bigquery().items()
        if name.startswith(("rekindle_raw.", "rekindle_state."))
    }
    nodes = {node["id"]: node for node in compiled_for("bigquery") if node["kind"] != "test"}
    for node in nodes.values():
        node["contract"] = {column: googlesql.plain_type(kind) for column, kind in node["contract"].items()}
        known |= {node["relation"]: node["contract"] or node["columns"]}
    gate = googlesql.GoogleSql(in_any_form({name: columns for name, columns in known.items() if columns}))
    order = graphlib.TopologicalSorter(
        {name: [other for other in node["reads"] if other in nodes] for name, node in nodes.items()}
    )
    order.prepare()
    refused = {}
    while order.is_active():
        made = {}
        for name in (ready := order.get_ready()):
            node = nodes[name]
            if node["kind"] == "model":
                (sql,) = node["sent"]["from nothing"]
                returned = None
                if told := gate.refusal(sql):
                    refused[node["name"]] = told
                else:
                    returned = gate.columns_of(sql)
                if not node["contract"]:
                    made[node["relation"]] = returned or {}
                elif returned and returned != node["contract"]:
                    refused[node["name"]] = {"promised": node["contract"], "returned": returned}
        if made:
            gate.add(in_any_form(made))
        order.done(*ready)
    return gate, refused


@pytest.fixture(scope="session")
def model_of(compiled_for):
    """The compiled SQL of a model as built from nothing."""
    return lambda engine, name: next(
        node["sent"]["from nothing"][-1] for node in compiled_for(engine) if node["name"] == name
    )


@pytest.mark.parametrize("engine", ["bigquery", "snowflake"])
def test_every_model_is_there_in_each_of_its_forms(engine, compiled_for):
    nodes = compiled_for(engine)
    assert sorted(node["name"] for node in nodes if node["kind"] == "model") == MODELS
    assert sum(node["kind"] == "test" for node in nodes) > 50
    incremental = {node["name"]: node["sent"] for node in nodes if node["is_incremental"]}
    assert len(incremental) >= 3
    for name, sent in incremental.items():
        # adding reads otherwise than building from nothing, and first asks what is there or takes some of it away
        assert set(sent) == {"from nothing", "added to", "made anew"}, name
        assert sent["from nothing"] != sent["added to"] and len(sent["added to"]) > 1, name


def test_googlesql_accepts_every_model_and_returns_what_its_contract_promises(google_sql_of_models):
    assert google_sql_of_models[1] == {}


def test_googlesql_accepts_every_form_of_a_model_and_every_test(google_sql_of_models, compiled_for):
    gate, _ = google_sql_of_models
    refused = {
        (node["name"], form): told
        for node in compiled_for("bigquery")
        if node["kind"] == "test" or node["is_incremental"]
        for form, statements in node["sent"].items()
        for sql in statements
        if (told := gate.refusal(sql))
    }
    assert refused == {}


@pytest.mark.parametrize("layer", LAYERS)
def test_snowflake_parses_every_model_and_test_and_has_their_functions(layer, snowflake_sql, compiled_for):
    refused = {}
    for node in compiled_for("snowflake"):
        if layer == ("of tests" if node["kind"] == "test" else node["layer"]) and node["kind"] != "seed":
            for form, statements in node["sent"].items():
                for sql in statements:
                    if told := snowflake_sql.refusal(sql):
                        refused[(node["name"], form)] = told
    assert refused == {}


#: A model, what stands in it on the engine, and what a careless hand would write there: DuckDB runs each of them.
MUTANTS = {
    "bigquery": [
        ("int_last_rule_events", "json_value(", "json_extract_string("),
        ("int_lead_days", "cast(occurred_at as date) as active_on", "occurred_at::date as active_on"),
        ("int_engagements_scored", "coalesce(max(", "coalesce(median("),
        ("suppressed_addresses", "where lifted_at is null", "where reason ilike 'a%'"),
        ("suppressed_addresses", "where lifted_at is null", "where lifted_on is null"),
        ("fct_messages", "where planned_at <=", "where status <="),
    ],
    "snowflake": [
        ("int_last_rule_events", "json_extract_path_text(", "json_extract_string("),
        ("int_lead_days", "cast(occurred_at as date)", "epoch_ms(occurred_at)"),
        ("fct_messages", "min(case", "list_min(case"),
        ("suppressed_addresses", "row_number() over", "row_number() filter (where true) over"),
    ],
}


@pytest.mark.parametrize("mutant", MUTANTS["bigquery"], ids=lambda mutant: mutant[2])
def test_the_gate_for_bigquery_refuses_a_model_that_only_duckdb_runs(mutant, google_sql_of_models, model_of):
    name, right, wrong = mutant
    sql = model_of("bigquery", name)
    assert right in sql and google_sql_of_models[0].refusal(sql) is None
    assert google_sql_of_models[0].refusal(sql.replace(right, wrong, 1))


@pytest.mark.parametrize("mutant", MUTANTS["snowflake"], ids=lambda mutant: mutant[2])
def test_the_gate_for_snowflake_refuses_a_model_that_only_duckdb_runs(mutant, snowflake_sql, model_of):
    name, right, wrong = mutant
    sql = model_of("snowflake", name)
    assert right in sql and snowflake_sql.refusal(sql) is None
    assert snowflake_sql.refusal(sql.replace(right, wrong, 1))
