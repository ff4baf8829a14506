"""The shape of the dbt project: dbt-project-evaluator's rules, with its exceptions, and rules of our own."""

from __future__ import annotations

import copy
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rekindle.backtest.models import dbt_command, dbt_environment

PROJECT = Path(__file__).parents[2] / "dbt_project"
LAYERS = ("staging", "intermediate", "engagement", "marts", "activation", "library")
OURS = ("rekindle_raw", "rekindle_state")
STATE_MODEL = PROJECT.parent / "docs" / "state_model.md"


def _evaluator():
    """The module beside this one: `tests` is no package."""
    spec = importlib.util.spec_from_file_location("rekindle_test_evaluator", Path(__file__).with_name("evaluator.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


EVALUATOR = _evaluator()
EXCEPTIONS = EVALUATOR.exceptions()


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """The parsed project."""
    target = tmp_path_factory.mktemp("structure")
    subprocess.run(
        [dbt_command(), "parse", "--quiet"],
        env=dbt_environment(PROJECT, target, target / "w.duckdb"),
        check=True,
        capture_output=True,
    )
    return json.loads((target / "manifest.json").read_text())


@pytest.fixture(scope="module")
def evaluation(manifest):
    return EVALUATOR.Evaluation(manifest, EVALUATOR.settings())


@pytest.fixture(scope="module")
def models(manifest):
    return {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}


def layer(node):
    return node["fqn"][1]


def parents(node, kind):
    return [name for name in node["depends_on"]["nodes"] if name.startswith(f"{kind}.")]


@pytest.mark.parametrize("rule", EVALUATOR.RULES)
def test_what_breaks_a_rule_of_the_evaluator_is_a_reviewed_exception(rule, evaluation):
    mine = [exception for exception in EXCEPTIONS if exception["fct_name"] == rule]
    broken = EVALUATOR.RULES[rule](evaluation)
    assert [row for row in broken if not any(EVALUATOR.is_excepted(row, each) for each in mine)] == []


@pytest.mark.parametrize("exception", EXCEPTIONS, ids=lambda row: f"{row['fct_name']}-{row['id_to_exclude']}")
def test_every_exception_has_a_reason_and_something_to_let_off(exception, evaluation):
    assert exception["comment"].strip() and exception["id_to_exclude"] != "%"
    rows = EVALUATOR.RULES[exception["fct_name"]](evaluation)
    assert any(EVALUATOR.is_excepted(row, exception) for row in rows), f"unused: {exception}"


def _tests_of(manifest, model):
    tests = [each for each in manifest["nodes"].values() if each["resource_type"] == "test"]
    return [each for each in tests if each["depends_on"]["nodes"][-1:] == [f"model.rekindle.{model}"]]


def _untested(manifest):
    for node in manifest["nodes"].values():
        if node["resource_type"] == "test":
            node["depends_on"]["nodes"] = []


def _undescribed(manifest):
    _node(manifest, "fct_messages")["description"] = " "


def _node(manifest, name, kind="model"):
    return manifest["nodes"][f"{kind}.rekindle.{name}"]


def _reads(manifest, child, parent):
    _node(manifest, child)["depends_on"]["nodes"].append(
        parent if parent.startswith("source.") else f"model.rekindle.{parent}"
    )


def _source(manifest, name):
    return manifest["sources"][f"source.rekindle.{name}"]


def _copied(manifest, name, *names):
    for copied in names:
        node = {**copy.deepcopy(_node(manifest, name)), "name": copied, "unique_id": f"model.rekindle.{copied}"}
        manifest["nodes"][node["unique_id"]] = node


#: Rule → what a careless hand would do, and what a row then says in one of its columns.
MUTANTS = {
    "fct_direct_join_to_source": (
        lambda m: _reads(m, "int_lead_contacts", "source.rekindle.company_log.events"),
        "company_log.events",
    ),
    "fct_marts_or_intermediate_dependent_on_source": (
        lambda m: _reads(m, "fct_cold_scores", "source.rekindle.company_leads.users"),
        "fct_cold_scores",
    ),
    "fct_duplicate_sources": (
        lambda m: _source(m, "rekindle_state.messages").update(identifier="consents"),
        "rekindle_state.consents, rekindle_state.messages",
    ),
    "fct_hard_coded_references": (
        lambda m: _node(m, "fct_messages").update(raw_code="select * from rekindle_state.messages"),
        "rekindle_state.messages",
    ),
    "fct_model_fanout": (
        lambda m: _copied(m, "fct_exits_by_day", "fct_one", "fct_two", "fct_three"),
        "fct_one, fct_three, fct_two",
    ),
    "fct_multiple_sources_joined": (
        lambda m: _reads(m, "stg_app__support_tickets", "source.rekindle.company_leads.users"),
        "stg_app__support_tickets",
    ),
    "fct_rejoining_of_upstream_concepts": (
        lambda m: (_copied(m, "fct_exits_by_day", "fct_between"), _reads(m, "fct_exits_by_day", "fct_between")),
        "fct_between",
    ),
    "fct_root_models": (lambda m: _node(m, "fct_messages")["depends_on"].update(nodes=[]), "fct_messages"),
    "fct_source_fanout": (
        lambda m: _reads(m, "stg_app__leads", "source.rekindle.company_log.events"),
        "company_log.events",
    ),
    "fct_staging_dependent_on_marts_or_intermediate": (
        lambda m: _reads(m, "stg_app__leads", "fct_messages"),
        "stg_app__leads",
    ),
    "fct_staging_dependent_on_staging": (lambda m: _reads(m, "stg_app__leads", "stg_app__events"), "stg_app__leads"),
    "fct_unused_sources": (
        lambda m: m["sources"].update(
            {"source.rekindle.company_log.x": {**_source(m, "company_log.events"), "name": "x"}}
        ),
        "company_log.x",
    ),
    "fct_too_many_joins": (
        lambda m: [_reads(m, "int_lead_contacts", name) for name in ("fct_messages", "a", "b", "c", "d")],
        "int_lead_contacts",
    ),
    "fct_missing_primary_key_tests": (
        lambda m: _tests_of(m, "int_lead_history")[0]["depends_on"].update(macros=["macro.rekindle.test_is_true"]),
        "int_lead_history",
    ),
    "fct_sources_without_freshness": (
        lambda m: _source(m, "company_log.events").update(freshness=None),
        "company_log.events",
    ),
    "fct_test_coverage": (_untested, "0.00"),
    "fct_undocumented_models": (_undescribed, "fct_messages"),
    "fct_documentation_coverage": (_undescribed, "97.92"),
    "fct_undocumented_source_tables": (
        lambda m: _source(m, "company_log.events").update(description=""),
        "company_log.events",
    ),
    "fct_undocumented_sources": (
        lambda m: _source(m, "company_log.events").update(source_description=""),
        "company_log",
    ),
    "fct_test_directories": (
        lambda m: _node(m, "fct_messages").update(original_file_path="models/marts/fct_messages.sql"),
        "fct_messages",
    ),
    "fct_model_naming_conventions": (lambda m: _copied(m, "fct_messages", "messages_all"), "messages_all"),
    "fct_source_directories": (
        lambda m: m["sources"].update(
            {"source.rekindle.crm.x": {**_source(m, "company_log.events"), "source_name": "crm", "name": "x"}}
        ),
        "crm.x",
    ),
    "fct_model_directories": (
        lambda m: _node(m, "fct_messages").update(original_file_path="models/intermediate/fct_messages.sql"),
        "fct_messages",
    ),
    "fct_chained_views_dependencies": (
        lambda m: [node["config"].update(materialized="view") for node in m["nodes"].values()],
        "base_app__event_arrivals",
    ),
    "fct_exposure_parents_materializations": (
        lambda m: _node(m, "fct_messages")["config"].update(materialized="view"),
        "fct_messages",
    ),
    "fct_public_models_without_contract": (
        lambda m: _node(m, "fct_messages")["config"]["contract"].update(enforced=False),
        "fct_messages",
    ),
    "fct_exposures_dependent_on_private_models": (
        lambda m: _node(m, "fct_messages").update(access="protected"),
        "fct_messages",
    ),
    "fct_undocumented_public_models": (
        lambda m: _node(m, "fct_messages")["columns"]["message_id"].update(description=""),
        "fct_messages",
    ),
}


@pytest.mark.parametrize("rule", EVALUATOR.RULES)
def test_each_rule_sees_who_breaks_it(rule, manifest):
    spoil, shown = MUTANTS[rule]
    spoiled = copy.deepcopy({kind: manifest[kind] for kind in ("nodes", "sources", "exposures")})
    spoil(spoiled)
    rows = EVALUATOR.RULES[rule](EVALUATOR.Evaluation(spoiled, EVALUATOR.settings()))
    mine = [exception for exception in EXCEPTIONS if exception["fct_name"] == rule]
    left = [row for row in rows if not any(EVALUATOR.is_excepted(row, each) for each in mine)]
    assert any(shown in row.values() for row in left), rows


def test_every_rule_has_its_variables_and_every_layer_a_prefix(models):
    settings = EVALUATOR.settings()
    assert {"models_fanout_threshold", "too_many_joins_threshold", "chained_views_threshold"} <= settings.keys()
    assert all(settings[f"{each}_prefixes"] for each in settings["model_types"])
    tests = {path.stem for path in (PROJECT / "macros" / "generic_tests").glob("*.sql")}
    assert {macro.removeprefix("rekindle.test_") for (macro,) in settings["primary_key_test_macros"]} <= tests
    for node in models.values():
        assert layer(node) in LAYERS, node["name"]


def test_nobody_is_left_hanging(models, manifest):
    used = {parent for node in manifest["nodes"].values() for parent in node["depends_on"].get("nodes", [])}
    used |= {parent for each in manifest["exposures"].values() for parent in each["depends_on"]["nodes"]}
    for key in models:
        assert key in used, f"nobody reads {key}"
    assert manifest["sources"].keys() <= used


def test_layers_are_read_in_one_direction(models):
    for node in models.values():
        below = {layer(models[parent]) for parent in parents(node, "model")}
        if layer(node) == "staging":
            assert all(models[parent]["name"].startswith("base_") for parent in parents(node, "model")), node["name"]
            assert len(parents(node, "source")) + len(parents(node, "model")) == 1, node["name"]
        if layer(node) == "intermediate":
            assert not below & {"marts", "activation", "library"}, node["name"]
        if layer(node) == "marts":
            assert not below & {"activation", "library"}, node["name"]


def test_a_source_of_the_company_is_read_by_one_staging_model_and_nothing_else(models, manifest):
    company = {key for key, source in manifest["sources"].items() if source["source_name"] not in OURS}
    assert len(company) >= 4
    for key in company:
        readers = [node for node in models.values() if key in parents(node, "source")]
        assert [layer(node) for node in readers] == ["staging"], key


def test_what_others_read_is_public_and_under_contract_with_a_type_for_each_column(models):
    for key, node in models.items():
        if node["schema"] in ("rekindle_marts", "rekindle_activation"):
            assert node["access"] == "public" and node["config"]["contract"]["enforced"], key
            assert all(column["data_type"] for column in node["columns"].values()), key
        else:
            assert node["access"] == "protected", key


def test_every_activation_model_and_mart_has_a_reader_outside(models, manifest):
    exposed = {parent for each in manifest["exposures"].values() for parent in each["depends_on"]["nodes"]}
    for key, node in models.items():
        if node["schema"] in ("rekindle_marts", "rekindle_activation"):
            assert key in exposed, f"no exposure names {key}"


def test_every_dag_and_every_table_of_the_bi_contract_has_an_exposure(manifest):
    exposures = {exposure["name"]: exposure for exposure in manifest["exposures"].values()}
    for path in (PROJECT.parent / "dags").glob("*.py"):
        name = "campaign_dags" if path.stem == "campaigns" else f"{path.stem}_dag"
        assert exposures[name]["depends_on"]["nodes"], name
    promised = re.findall(r"^## (\w+)$", (PROJECT.parent / "docs" / "bi_contract.md").read_text(), re.MULTILINE)
    tools = [each for each in exposures.values() if each["type"] in ("dashboard", "analysis")]
    shown = {parent.split(".")[-1] for each in tools for parent in each["depends_on"]["nodes"]}
    assert len(promised) >= 10 and set(promised) <= shown


def test_every_company_source_says_how_fresh_it_has_to_be(manifest):
    for key, source in manifest["sources"].items():
        if source["source_name"] in OURS:
            continue
        freshness = source["freshness"] or {}
        stops = (freshness.get("error_after") or {}).get("count")
        # tickets and feedback are handed over by few companies
        assert bool(stops) == (source["name"] in ("events", "users")), key


def test_what_stops_is_an_error_and_what_tells_a_warning(manifest):
    for node in manifest["nodes"].values():
        if node["resource_type"] == "test":
            tells = node["name"].startswith("tell_")
            assert node["config"]["severity"].lower() == ("warn" if tells else "error"), node["name"]
            if not node.get("test_metadata"):
                assert {"daily_score", "measure", "hourly"} & set(node["tags"]), f"no DAG runs {node['name']}"


def test_files_are_where_they_belong(models, manifest):
    for node in models.values():
        folder = Path(node["original_file_path"]).parts[1]
        assert folder == layer(node), node["name"]
        described = Path(node["patch_path"].split("://")[1])
        assert described.parts[1] == folder, f"{node['name']} is described in {described}"
    for source in manifest["sources"].values():
        assert Path(source["original_file_path"]).parts[1] == "staging", source["name"]


def test_everything_that_dbt_docs_shows_is_described(manifest):
    shown = [
        *(each for each in manifest["nodes"].values() if each["resource_type"] in ("model", "seed")),
        *manifest["sources"].values(),
        *manifest["exposures"].values(),
        *(each for each in manifest["macros"].values() if each["package_name"] == "rekindle"),
    ]
    assert len(shown) > 100
    assert [each["unique_id"] for each in shown if not each["description"].strip()] == []
    for each in shown:
        columns = each.get("columns", {})
        assert columns or each["resource_type"] in ("macro", "exposure"), each["unique_id"]
        undescribed = [name for name, column in columns.items() if not column["description"].strip()]
        assert undescribed == [], each["unique_id"]
    for each in manifest["exposures"].values():
        assert each["label"] and each["owner"]["email"], each["name"]


def test_seeds_and_the_columns_of_sources_are_described_as_they_are(manifest):
    for key, node in manifest["nodes"].items():
        if node["resource_type"] == "seed":
            header = (PROJECT / node["original_file_path"]).read_text().splitlines()[0].split(",")
            assert set(header) == set(node["columns"]), key
    for key, source in manifest["sources"].items():
        told = STATE_MODEL.read_text().split(f".{source['name']}\n", 1)[1].split("\n##", 1)[0]
        assert source["columns"].keys() == set(re.findall(r"^\| `(\w+)` \|", told, re.MULTILINE)), key
