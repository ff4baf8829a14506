"""What dbt builds in a day, read from the manifest that dbt itself writes of the project.

The DAGs `score` and `measure` build what is tagged `daily_score` and `measure`, data tests included
(`BuildModelsOperator`). dbt says which nodes those are and what each one reads; nothing is built.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rekindle.backtest.models import PARSED, dbt_command, dbt_environment, last_words, remembered_parse
from rekindle.errors import RekindleError
from rekindle.estimate.recording import Statement, Verb
from rekindle.project import project_root

TAGS = ("daily_score", "measure")
_LIMIT = 120  # seconds; a first parse takes five
#: Bytes of a value in BigQuery, by the first word of its type; of a text nobody measured, 2 and 16 letters
#: (cloud.google.com/bigquery/docs/reference/standard-sql/data-types#data_type_sizes).
_WIDTHS = {"boolean": 1.0, "date": 8.0, "timestamp": 8.0, "bigint": 8.0, "int64": 8.0, "double": 8.0}
_TEXT = 18.0

Node = Mapping[str, Any]


@dataclass(frozen=True)
class Builds:
    """dbt's nodes, of which `selected` are built daily."""

    nodes: Mapping[str, Node]  # models, seeds, tests and sources by their unique id
    selected: frozenset[str]

    @cached_property
    def statements(self) -> Counter[Statement]:
        """Every statement that dbt sends in a day: an incremental model is two, what is new and what it goes into."""
        return Counter(statement for key in sorted(self.selected) for statement in self._statements_of(self.nodes[key]))

    @cached_property
    def tables(self) -> Mapping[str, frozenset[str]]:
        """Every relation that dbt knows → the tables it consists of: itself, or what lies under a view."""
        return {
            _name(node): self._tables_of(key) for key, node in self.nodes.items() if node["resource_type"] != "test"
        }

    @cached_property
    def column_bytes(self) -> Mapping[str, Mapping[str, float]]:
        """Relation → column → bytes a row, by the documented type, else as a short text."""
        return {
            _name(node): {name: _width(column.get("data_type")) for name, column in node["columns"].items()}
            for node in self.nodes.values()
            if node["resource_type"] != "test"
        }

    def _statements_of(self, node: Node) -> Iterable[Statement]:
        name = f"dbt {node['name']}"
        below = frozenset[str]().union(*(self._tables_of(parent) for parent in node["depends_on"]["nodes"]))
        if node["resource_type"] == "test":
            yield Statement(name, Verb.SELECT, None, below, None)
            return
        match _materialized(node):
            case "view":
                yield Statement(name, Verb.DEFINE, _name(node), frozenset(), None)
            case "incremental":
                yield Statement(f"{name}: what is new", Verb.INSERT, f"{_name(node)}__new", below, None)
                yield Statement(name, Verb.MERGE, _name(node), frozenset({_name(node), f"{_name(node)}__new"}), None)
            case _:
                yield Statement(name, Verb.INSERT, _name(node), below, None)

    def _tables_of(self, key: str) -> frozenset[str]:
        node = self.nodes[key]
        if _materialized(node) != "view":
            return frozenset({_name(node)})
        return frozenset[str]().union(*(self._tables_of(parent) for parent in node["depends_on"]["nodes"]))


def _materialized(node: Node) -> str | None:
    found: str | None = node.get("config", {}).get("materialized")
    return found


def _name(node: Node) -> str:
    # a company's own table counts as ours of that name, wherever the mapping finds it
    if node["resource_type"] == "source" and node["source_name"].startswith("company_"):
        return f"rekindle_raw.{node['name']}"
    return f"{node['schema']}.{node['name']}"


def _width(data_type: str | None) -> float:
    if data_type is None:
        return _TEXT
    return 8.0 if "float64" in data_type else _WIDTHS.get(data_type.lower().split("(")[0], _TEXT)


def read_builds(project: Path | None = None, remembered: Path | None = None) -> Builds:
    """Ask dbt what the daily DAGs build: some seconds, to parse. Raises `RekindleError` with what dbt said."""
    project = project or project_root() / "dbt_project"
    remembered = remembered or remembered_parse()
    with TemporaryDirectory(prefix="rekindle-estimate-dbt-") as name:
        target = Path(name)
        if (remembered / PARSED).exists():  # dbt itself checks whether it is still true
            shutil.copyfile(remembered / PARSED, target / PARSED)
        asked = ["ls", "--select", *(f"tag:{tag}" for tag in TAGS), "--exclude", "test_type:unit"]
        told = ["--output", "json", "--output-keys", "unique_id", "--quiet"]
        finished = subprocess.run(  # noqa: S603 - our own command and arguments
            [dbt_command(), *asked, *told],
            env=dbt_environment(project, target, target / "nothing.duckdb"),
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
        if finished.returncode:
            raise RekindleError(f"dbt could not say what it builds in {project}:\n{last_words(finished)}")
        manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    selected = {json.loads(line)["unique_id"] for line in finished.stdout.splitlines() if line.startswith("{")}
    return builds_of(manifest, selected)


def builds_of(manifest: Mapping[str, Any], selected: Iterable[str]) -> Builds:
    """What a manifest says of the nodes that are selected."""
    return Builds({**manifest["nodes"], **manifest["sources"]}, frozenset(selected))
