"""The rules of dbt-project-evaluator, read off the manifest: the package is on dbt's hub only, its rules are not.

https://dbt-labs.github.io/dbt-project-evaluator/latest/rules/. All are here but for these, on purpose:

- Direct joins to sources, several sources joined, source fan-out, marts and intermediate models that read sources: for
  the state tables (`rekindle_state`) and landing tables, which are already in our own words and grain: a staging model
  of each would say nothing. For the company's tables they hold.
- Parents of exposures that are views: the activation models are views so that whoever reads them sees an opt-out or a
  purchase of the minute before; what is dear to compute is a table below them.
- Model fan-out: activation models and marts are read by DAGs and tools, not by one mart that joins them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2] / "dbt_project"
PREFIXES = {"staging": ("stg_", "base_"), "intermediate": ("int_",), "activation": ("sync_",)}
LAYERS = ("staging", "intermediate", "engagement", "marts", "activation", "library")
OURS = ("rekindle_raw", "rekindle_state")
#: A union of everything that can come in, a branch per kind: six tables, none of them joined to the others.
UNIONS = {"sync_inbound_signals"}
#: Relations of one row, an instant; the later of two is read beside the model that has one of them.
INSTANTS = {"int_last_look", "int_last_refresh", "int_last_scoring"}
#: Scores beside the memory of who was cold, which is made from them; finished days beside what the log has of today.
BESIDE_ITS_MEMORY = {"fct_cold_scores", "int_lead_history"}
STATE_MODEL = PROJECT.parent / "docs" / "state_model.md"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """The parsed project."""
    target = tmp_path_factory.mktemp("structure")
    subprocess.run(
        [str(Path(sys.executable).with_name("dbt")), "parse", "--quiet"],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith(("REKINDLE_", "DBT_"))},
            "REKINDLE_WAREHOUSE_PATH": str(target / "w.duckdb"),
            "DBT_PROJECT_DIR": str(PROJECT),
            "DBT_PROFILES_DIR": str(PROJECT),
            "DBT_TARGET_PATH": str(target),
            "DBT_LOG_PATH": str(target),
        },
        check=True,
        capture_output=True,
    )
    return json.loads((target / "manifest.json").read_text())


@pytest.fixture(scope="module")
def models(manifest):
    return {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}


def layer(node):
    return node["fqn"][1]


def parents(node, kind):
    return [name for name in node["depends_on"]["nodes"] if name.startswith(f"{kind}.")]


def test_names_say_the_layer(models):
    for node in models.values():
        assert layer(node) in LAYERS
        assert node["name"].startswith(PREFIXES.get(layer(node), ("fct_", "dim_", "int_", "sync_", "re", "supp"))), (
            node["name"]
        )


def test_no_model_is_without_a_parent_and_none_is_left_hanging(models, manifest):
    used = {parent for node in manifest["nodes"].values() for parent in node["depends_on"].get("nodes", [])}
    used |= {parent for each in manifest["exposures"].values() for parent in each["depends_on"]["nodes"]}
    for key, node in models.items():
        assert parents(node, "model") or parents(node, "source") or parents(node, "seed"), f"{key} has no parent"
        assert key in used, f"nobody reads {key}"


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


def test_everything_is_described_and_every_table_has_its_key_tested(models, manifest):
    tested = {
        parent
        for test in manifest["nodes"].values()
        if test["resource_type"] in ("test",)
        for parent in test["depends_on"]["nodes"]
    }
    for key, node in models.items():
        assert node["description"].strip(), key
        assert node["columns"] and all(column["description"].strip() for column in node["columns"].values()), key
        if layer(node) in ("marts", "activation", "library") and node["name"].startswith(("fct_", "re", "supp")):
            assert key in tested, f"no test of {key}"
        if node["schema"] in ("rekindle_marts", "rekindle_activation"):
            assert node["config"]["contract"]["enforced"], key
            assert all(column["data_type"] for column in node["columns"].values()), key
    for key, source in manifest["sources"].items():
        assert source["description"].strip() and source["source_description"].strip(), key


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
    for name, exposure in exposures.items():
        assert exposure["description"].strip() and exposure["label"] and exposure["owner"]["email"], name


def test_no_model_reads_too_much_or_by_a_name_of_its_own(models):
    for node in models.values():
        joined = {name for name in node["depends_on"]["nodes"] if name.split(".")[-1] not in INSTANTS}
        assert len(joined) < 7 or node["name"] in UNIONS, f"{node['name']}: too many joins"
        # a relation is named by ref and source only
        code = re.sub(r"\{#.*?#\}", "", node["raw_code"], flags=re.DOTALL)
        assert not re.search(r"\b(from|join)\s+[\w.]*rekindle_\w+", code, re.IGNORECASE), node["name"]


def test_no_concept_is_joined_again_below_a_model_that_nobody_else_reads(models):
    children = {key: {name for name, node in models.items() if key in parents(node, "model")} for key in models}
    for key in models:
        for between in children[key]:
            if models[between]["config"]["materialized"] == "view" or len(children[between]) != 1:
                continue
            again = (
                {models[child]["name"] for child in children[between] & children[key]} - INSTANTS - BESIDE_ITS_MEMORY
            )
            assert not again, f"{again}: {key} is read through {between} and beside it"


def test_no_staging_model_reads_a_later_layer_and_every_source_is_used_once(models, manifest):
    read = {parent for node in manifest["nodes"].values() for parent in node["depends_on"].get("nodes", [])}
    read |= {parent for each in manifest["exposures"].values() for parent in each["depends_on"]["nodes"]}
    assert manifest["sources"].keys() <= read
    names = [(each["database"], each["schema"], each["identifier"]) for each in manifest["sources"].values()]
    assert len(names) == len(set(names))
    for node in models.values():
        if layer(node) == "staging":
            assert {layer(models[parent]) for parent in parents(node, "model")} <= {"staging"}, node["name"]


def test_views_are_not_stacked_high(models):
    def height(key):
        if models[key]["config"]["materialized"] not in ("view", "ephemeral"):
            return 0
        return 1 + max((height(parent) for parent in parents(models[key], "model")), default=0)

    assert max(map(height, models)) <= 4


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
    for test in manifest["nodes"].values():
        if test["resource_type"] == "test" and test.get("attached_node", "") in models:
            home = Path(models[test["attached_node"]]["original_file_path"]).parts[1]
            assert Path(test["original_file_path"]).parts[1] == home, test["name"]
    for source in manifest["sources"].values():
        assert Path(source["original_file_path"]).parts[1] == "staging", source["name"]


def test_governance(models, manifest):
    for node in models.values():
        if node["access"] == "public":
            assert node["config"]["contract"]["enforced"] and node["description"], node["name"]
    for each in manifest["exposures"].values():
        for parent in each["depends_on"]["nodes"]:
            assert models.get(parent, {}).get("access") != "private", each["name"]


def test_seeds_and_the_columns_of_sources_are_described(manifest):
    for key, node in manifest["nodes"].items():
        if node["resource_type"] == "seed":
            header = (PROJECT / node["original_file_path"]).read_text().splitlines()[0].split(",")
            assert node["description"].strip(), key
            assert [name for name in header if not node["columns"].get(name, {}).get("description")] == [], key
    for key, source in manifest["sources"].items():
        undescribed = [name for name, column in source["columns"].items() if not column["description"].strip()]
        assert source["columns"] and undescribed == [], key
        told = STATE_MODEL.read_text().split(f".{source['name']}\n", 1)[1].split("\n##", 1)[0]
        assert source["columns"].keys() == set(re.findall(r"^\| `(\w+)` \|", told, re.MULTILINE)), key
