"""The rules of dbt-project-evaluator, read off the manifest: the package is on dbt's hub only, its rules are not.

https://dbt-labs.github.io/dbt-project-evaluator/latest/rules/. Left out on purpose: the state tables
(`rekindle_state`) and landing tables are already in our own words and grain; models read these sources as they are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2] / "dbt_project"
PREFIXES = {"staging": ("stg_", "base_"), "intermediate": ("int_",), "activation": ("sync_",)}
LAYERS = ("staging", "intermediate", "engagement", "marts", "activation", "library")
OURS = ("rekindle_raw", "rekindle_state")


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
