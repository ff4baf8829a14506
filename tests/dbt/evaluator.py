"""The rules of dbt-project-evaluator 1.x, read off a manifest: the package is on dbt's hub only, its rules are not.

https://dbt-labs.github.io/dbt-project-evaluator/latest/rules/. Every rule is a function named as the package's table of
what breaks it, and returns that table's rows; the variables and exceptions are in the package's own form, in the folder
`evaluator`.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

SETTINGS = Path(__file__).parent / "evaluator" / "dbt_project.yml"
EXCEPTIONS = Path(__file__).parent / "evaluator" / "seeds" / "dbt_project_evaluator_exceptions.csv"

Row = dict[str, str]

_NAME = r"""[`"'\[]?\w+[`"'\]]?"""
#: After `from` or `join`: a dotted name, a quoted one, a variable.
_HARD_CODED = re.compile(
    rf"""(?<!distinct\s)\b(?:from|join)\s+({_NAME}(?:\.{_NAME}){{1,2}}(?=\s|$)|[`"'\[]\w+[`"'\]](?=\s|$)|{{{{\s*var\s*\()""",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Resource:
    """A node of dbt's graph, as the rules look at it."""

    id: str
    name: str
    kind: str
    path: Path
    layer: str | None  # the package's model type
    layer_of_folder: str | None
    node: dict[str, Any] = field(repr=False, compare=False)

    @property
    def prefix(self) -> str:
        return self.node["name"].split("_")[0] + "_"

    @property
    def is_view(self) -> bool:
        return self.node.get("config", {}).get("materialized") in ("view", "ephemeral")

    @property
    def is_described(self) -> bool:
        return bool(self.node["description"].strip())

    @property
    def access(self) -> str:
        return str(self.node.get("access") or "")


class Evaluation:
    """A project's resources, who reads whom, and what breaks a rule."""

    def __init__(self, manifest: dict[str, Any], settings: dict[str, Any]) -> None:
        self._settings = settings
        told = {**manifest["nodes"], **manifest["sources"], **manifest["exposures"]}
        self.resources = {key: self._resource(key, node) for key, node in told.items()}
        self.models = [each for each in self.resources.values() if each.kind == "model"]
        self.sources = [each for each in self.resources.values() if each.kind == "source"]

    def _resource(self, key: str, node: dict[str, Any]) -> Resource:
        kind, path = node["resource_type"], Path(node["original_file_path"])
        layer = folder = None
        if kind not in ("test", "source", "exposure", "seed"):
            prefix = node["name"].split("_")[0] + "_"
            layers = self._settings["model_types"]
            of_prefix = [each for each in layers if prefix in self._settings.get(f"{each}_prefixes", [])]
            named = {self._settings.get(f"{each}_folder_name", ""): each for each in layers}
            # the folder nearest to the file
            folder = next((named[part] for part in reversed(path.parent.parts[1:]) if part in named), None)
            layer = of_prefix[0] if of_prefix else folder or "other"
        name = f"{node['source_name']}.{node['name']}" if kind == "source" else node["name"]
        return Resource(key, name, kind, path, layer, folder, node)

    @cached_property
    def parents(self) -> dict[str, list[str]]:
        """Direct ones, tests left out."""
        return {
            key: list(dict.fromkeys(each.node.get("depends_on", {}).get("nodes", [])))
            for key, each in self.resources.items()
            if each.kind != "test"
        }

    @cached_property
    def children(self) -> dict[str, list[str]]:
        found = defaultdict(list)
        for key, parents in self.parents.items():
            for parent in parents:
                found[parent].append(key)
        return found

    def edges(
        self, parent_kind: str | None = None, child_kind: str | None = None
    ) -> Iterator[tuple[Resource, Resource]]:
        """Every direct parent and child of these kinds."""
        for key, parents in self.parents.items():
            for parent in (self.resources[each] for each in parents):
                child = self.resources[key]
                if parent_kind in (None, parent.kind) and child_kind in (None, child.kind):
                    yield parent, child

    @cached_property
    def tests(self) -> dict[str, list[dict[str, Any]]]:
        """By what they test: the last that they depend on."""
        found = defaultdict(list)
        for each in self.resources.values():
            if each.kind == "test" and each.node["depends_on"]["nodes"]:
                found[each.node["depends_on"]["nodes"][-1]].append(each.node)
        return found

    # Modeling

    def fct_direct_join_to_source(self) -> list[Row]:
        def kinds(child: Resource) -> set[str]:
            return {self.resources[parent].kind for parent in self.parents[child.id]}

        return [
            {"parent": parent.name, "parent_resource_type": parent.kind, "child": child.name}
            for parent, child in self.edges(child_kind="model")
            if {"model", "source"} <= kinds(child)
        ]

    def fct_marts_or_intermediate_dependent_on_source(self) -> list[Row]:
        return [
            {"parent": parent.name, "child": child.name, "child_model_type": str(child.layer)}
            for parent, child in self.edges("source")
            if child.layer in ("marts", "intermediate")
        ]

    def fct_duplicate_sources(self) -> list[Row]:
        places = defaultdict(list)
        for each in self.sources:
            places[".".join(str(each.node[part]) for part in ("database", "schema", "identifier"))].append(each.name)
        return [
            {"source_db_location": place, "source_names": ", ".join(sorted(names))}
            for place, names in places.items()
            if len(names) > 1
        ]

    def fct_hard_coded_references(self) -> list[Row]:
        return [
            {"model": each.name, "hard_coded_references": ", ".join(found)}
            for each in self.models
            if (found := sorted(set(_HARD_CODED.findall(each.node["raw_code"]))))
        ]

    def fct_model_fanout(self) -> list[Row]:
        rows = []
        for each in self.models:
            children = [self.resources[key] for key in self.children[each.id]]
            leaves = sorted(child.name for child in children if child.kind == "model" and not self.children[child.id])
            if len(leaves) >= self._settings["models_fanout_threshold"]:
                rows.append({"parent": each.name, "leaf_children": ", ".join(leaves)})
        return rows

    def fct_multiple_sources_joined(self) -> list[Row]:
        sources = defaultdict(list)
        for parent, child in self.edges("source"):
            sources[child.name].append(parent.name)
        return [
            {"child": child, "source_parents": ", ".join(sorted(parents))}
            for child, parents in sources.items()
            if len(parents) > 1
        ]

    def fct_rejoining_of_upstream_concepts(self) -> list[Row]:
        rows = []
        for parent, between in self.edges():
            below = [child for key in self.children[between.id] if (child := self.resources[key]).kind != "exposure"]
            if len(below) == 1 and parent.id in self.parents[below[0].id]:
                rows.append({"parent": parent.name, "child": below[0].name, "parent_and_child": between.name})
        return rows

    def fct_root_models(self) -> list[Row]:
        return [{"child": each.name} for each in self.models if not self.parents[each.id]]

    def fct_source_fanout(self) -> list[Row]:
        models = defaultdict(list)
        for parent, child in self.edges("source", "model"):
            models[parent.name].append(child.name)
        return [
            {"parent": parent, "model_children": ", ".join(sorted(children))}
            for parent, children in models.items()
            if len(children) > 1
        ]

    def fct_staging_dependent_on_marts_or_intermediate(self) -> list[Row]:
        return [
            {"parent": parent.name, "child": child.name}
            for parent, child in self.edges("model", "model")
            if child.layer == "staging" and parent.layer in ("marts", "intermediate")
        ]

    def fct_staging_dependent_on_staging(self) -> list[Row]:
        return [
            {"parent": parent.name, "child": child.name}
            for parent, child in self.edges("model", "model")
            if child.layer == parent.layer == "staging"
        ]

    def fct_unused_sources(self) -> list[Row]:
        return [{"parent": each.name} for each in self.sources if not self.children[each.id]]

    def fct_too_many_joins(self) -> list[Row]:
        return [
            {"resource_name": each.name, "join_count": str(len(self.parents[each.id]))}
            for each in self.models
            if len(self.parents[each.id]) >= self._settings["too_many_joins_threshold"]
        ]

    # Testing

    def fct_missing_primary_key_tests(self) -> list[Row]:
        def is_key(model: Resource, column: str | None, tests: list[dict[str, Any]]) -> bool:
            used = {macro.removeprefix("macro.") for test in tests for macro in test["depends_on"]["macros"]}
            if any(used.issuperset(macros) for macros in self._settings["primary_key_test_macros"]):
                return True
            constraints = model.node["columns"].get(column, {}).get("constraints", []) if column else []
            return "dbt.test_unique" in used and any(each["type"] == "not_null" for each in constraints)

        rows = []
        for each in self.models:
            by_column = defaultdict(list)
            for test in self.tests[each.id]:
                by_column[test.get("column_name")].append(test)
            if not any(is_key(each, column, tests) for column, tests in by_column.items()):
                rows.append({"resource_name": each.name, "number_of_tests_on_model": str(len(self.tests[each.id]))})
        return rows

    def fct_sources_without_freshness(self) -> list[Row]:
        def is_watched(source: Resource) -> bool:
            freshness = source.node["freshness"] or {}
            return any((freshness.get(limit) or {}).get("count") for limit in ("warn_after", "error_after"))

        return [{"resource_name": each.name} for each in self.sources if not is_watched(each)]

    def fct_test_coverage(self) -> list[Row]:
        return self._coverage([each for each in self.models if self.tests[each.id]], "test_coverage")

    # Documentation

    def fct_undocumented_models(self) -> list[Row]:
        return [{"resource_name": each.name} for each in self.models if not each.is_described]

    def fct_documentation_coverage(self) -> list[Row]:
        return self._coverage([each for each in self.models if each.is_described], "documentation_coverage")

    def _coverage(self, covered: list[Resource], what: str) -> list[Row]:
        """A row if it is short of its target: no exception can be made of a share."""
        share = 100 * len(covered) / len(self.models)
        return [{f"{what}_pct": f"{share:.2f}"}] if share < self._settings[f"{what}_target"] else []

    def fct_undocumented_source_tables(self) -> list[Row]:
        return [{"resource_name": each.name} for each in self.sources if not each.is_described]

    def fct_undocumented_sources(self) -> list[Row]:
        names = {each.node["source_name"] for each in self.sources if not each.node["source_description"].strip()}
        return [{"source_name": name} for name in sorted(names)]

    # Structure

    def fct_test_directories(self) -> list[Row]:
        return [
            {"test_name": test["name"], "model_name": each.name, "current_test_directory": str(home)}
            for each in self.models
            for test in self.tests[each.id]
            if test.get("test_metadata") and (home := Path(test["original_file_path"]).parent) != each.path.parent
        ]

    def fct_model_naming_conventions(self) -> list[Row]:
        return [
            {"resource_name": each.name, "prefix": each.prefix, "model_type": str(each.layer)}
            for each in self.models
            if each.prefix not in self._settings.get(f"{each.layer}_prefixes", [])
        ]

    def fct_source_directories(self) -> list[Row]:
        return [
            {"resource_name": each.name, "current_file_path": str(each.path)}
            for each in self.sources
            if each.node["source_name"] not in f"{each.path.parent}/"
        ]

    def fct_model_directories(self) -> list[Row]:
        rows = [
            {"resource_name": each.name, "model_type": str(each.layer), "current_file_path": str(each.path)}
            for each in self.models
            if each.layer_of_folder and each.layer != each.layer_of_folder
        ]
        for each in self.models:
            if each.layer == "staging":
                above = {self.resources[key].node["source_name"] for key in self._sources_above(each.id)}
                rows += [
                    {"resource_name": each.name, "model_type": "staging", "current_file_path": str(each.path)}
                    for name in sorted(above)
                    if name not in f"{each.path.parent}/"
                ]
        return rows

    def _sources_above(self, key: str) -> set[str]:
        if self.resources[key].kind == "source":
            return {key}
        return set().union(*(self._sources_above(parent) for parent in self.parents.get(key, [])))

    # Performance

    def fct_chained_views_dependencies(self) -> list[Row]:
        def chains(key: str, upwards: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
            for parent in self.parents[key]:
                if self.resources[parent].is_view:
                    yield (parent, *upwards)
                    yield from chains(parent, (parent, *upwards))

        return [
            {"parent": self.resources[chain[0]].name, "child": each.name, "distance": str(len(chain))}
            for each in self.models
            for chain in chains(each.id, ())
            if len(chain) > self._settings["chained_views_threshold"]
        ]

    def fct_exposure_parents_materializations(self) -> list[Row]:
        return [
            {"parent_resource_type": parent.kind, "parent_resource_name": parent.name, "exposure_name": child.name}
            for parent, child in self.edges(child_kind="exposure")
            if parent.kind == "source" or (parent.kind == "model" and parent.is_view)
        ]

    # Governance

    def fct_public_models_without_contract(self) -> list[Row]:
        return [
            {"resource_name": each.name}
            for each in self.models
            if each.access == "public" and not each.node["config"]["contract"]["enforced"]
        ]

    def fct_exposures_dependent_on_private_models(self) -> list[Row]:
        return [
            {"exposure_name": child.name, "parent_resource_name": parent.name, "parent_access": parent.access}
            for parent, child in self.edges(child_kind="exposure")
            if parent.kind != "model" or parent.access != "public"
        ]

    def fct_undocumented_public_models(self) -> list[Row]:
        def is_told(model: Resource) -> bool:
            columns = model.node["columns"].values()
            return model.is_described and bool(columns) and all(each["description"] for each in columns)

        return [{"resource_name": each.name} for each in self.models if each.access == "public" and not is_told(each)]


#: Table → the rule that fills it.
RULES: dict[str, Callable[[Evaluation], list[Row]]] = {
    name: rule for name, rule in vars(Evaluation).items() if name.startswith("fct_")
}


def settings() -> dict[str, Any]:
    """The package's variables."""
    return dict(yaml.safe_load(SETTINGS.read_text())["vars"]["dbt_project_evaluator"])


def exceptions() -> list[Row]:
    """The rows of the seed."""
    with EXCEPTIONS.open(newline="") as file:
        return list(csv.DictReader(file))


def is_excepted(row: Row, exception: Row) -> bool:
    """Whether a row is let off; `%` and `_` stand for what they do in SQL's LIKE."""
    pattern = re.escape(exception["id_to_exclude"]).replace("%", ".*").replace("_", ".")
    return re.fullmatch(pattern, row[exception["column_name"]], re.DOTALL) is not None
