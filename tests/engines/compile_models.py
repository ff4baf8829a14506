"""Compiles the dbt project for an engine that is not there, and prints what dbt would send as JSON.

    REKINDLE_DBT_TARGET=… and the other settings, DBT_PROJECT_DIR, … python tests/engines/compile_models.py FILE

Every model with its hooks and every generic and singular test; an incremental model in each of its forms. What a model
asks the warehouse while it is compiled is answered here, and is listed too: it is SQL like the rest. Nothing is sent
anywhere.
"""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import agate
from dbt.adapters.base import BaseAdapter
from dbt.adapters.bigquery import BigQueryAdapter
from dbt.adapters.contracts.connection import AdapterResponse
from dbt.adapters.contracts.relation import RelationType
from dbt.adapters.snowflake import SnowflakeAdapter
from dbt.cli.main import dbtRunner
from dbt.clients.jinja import get_rendered
from dbt.context.providers import generate_runtime_model_context
from dbt.task.compile import CompileRunner
from dbt_common.clients import agate_helper

ADAPTERS: dict[str, type[BaseAdapter]] = {"bigquery": BigQueryAdapter, "snowflake": SnowflakeAdapter}
#: Its table is not there; is there and continues; is there, but by other rules.
FORMS = ("from nothing", "added to", "made anew")
ONE_AT_A_TIME = ("--threads", "1")  # so that it is known who asked
LAST_RUN = datetime(2026, 2, 28, 18)
NEW_DAYS = [date(2026, 2, 20), date(2026, 2, 21), date(2026, 2, 27)]
_COLUMN = re.compile(r"\bas (\w+)(?=,| from )")
_DIGEST = re.compile(r"(\d+) as kinds_digest")
_REVISIONS = ("first_revision", "revision", "days_revision")


class Pretended:
    """What the warehouse would answer."""

    def __init__(self) -> None:
        self.form = FORMS[0]
        self.digests: dict[str, int] = {}
        self.asked: list[str] = []
        self.sent: dict[str, dict[str, list[str]]] = {}

    def relation(self, adapter: BaseAdapter, database: str, schema: str, identifier: str) -> Any:
        there = self.form != "from nothing"
        return adapter.Relation.create(database, schema, identifier, type=RelationType.Table) if there else None

    def columns(self) -> list[Any]:
        """What an incremental table has that a run asks for."""
        return [SimpleNamespace(name=name) for name in ("arrivals", "revision", "days_revision", "kinds_digest")]

    def execute(self, sql: str) -> tuple[AdapterResponse, agate.Table]:
        """Rows by the names of the columns: the last run was a day ago, and three days have news."""
        self.asked.append(sql)
        columns = _COLUMN.findall(re.sub(r"\bas \w+\)", ")", sql))
        if columns[0] == "active_on":
            return AdapterResponse("pretended"), agate.Table([[day] for day in NEW_DAYS], ["active_on"])
        told = {"loaded_until": LAST_RUN, "known_as_of": LAST_RUN} | dict.fromkeys(_REVISIONS, 3)
        digests = [digest for table, digest in self.digests.items() if sql.rstrip(" `\n").endswith(table)]
        other_rules = self.form != "added to" or not digests
        row = [told.get(name, -1 if other_rules else digests[0]) for name in columns]
        return AdapterResponse("pretended"), agate.Table([row], columns)

    def compiled(self, runner: CompileRunner, manifest: Any, compile_node: Any) -> Any:
        """One node, and the hooks that its materialization would run."""
        self.asked = []
        node = compile_node(runner, manifest)
        hooks = []
        if node.resource_type == "model":
            context = generate_runtime_model_context(node, runner.config, manifest)
            hooks = [get_rendered(hook.sql, context) for hook in (*node.config.pre_hook, *node.config.post_hook)]
        said = [*self.asked, node.compiled_code, *(hook for hook in hooks if hook.strip())]
        self.sent.setdefault(node.unique_id, {})[self.form] = said
        for found in _DIGEST.findall(node.compiled_code):
            self.digests[node.name] = int(found)
        return node


def kinds_of_seed(adapter: Any, node: Any) -> dict[str, str]:
    """Column → type, as `dbt seed` makes the table."""
    told = {name: str(kind) for name, kind in node.config.column_types.items()}
    table = agate_helper.from_csv(Path(node.root_path) / node.original_file_path, text_columns=list(told))
    return {
        name: told.get(name) or str(adapter.convert_agate_type(table, place))
        for place, name in enumerate(table.column_names)
    }


def described(adapter: Any, manifest: Any, sent: dict[str, dict[str, list[str]]]) -> list[dict[str, Any]]:
    """What was compiled."""
    return [
        {
            "id": node.unique_id,
            "name": node.name,
            "kind": str(node.resource_type),
            "layer": Path(node.original_file_path).parent.name,
            "relation": f"{node.database}.{node.schema}.{node.alias}",
            "is_incremental": node.config.materialized == "incremental",
            "contract": {name: column.data_type for name, column in node.columns.items()}
            if node.resource_type == "model" and node.config.contract.enforced
            else {},
            "columns": kinds_of_seed(adapter, node) if node.resource_type == "seed" else {},
            "reads": [] if node.resource_type == "seed" else list(node.depends_on.nodes),
            "sent": forms,
        }
        for node, forms in ((manifest.nodes[unique_id], forms) for unique_id, forms in sent.items())
    ]


def main() -> None:
    """Compile in every form; the argument names the file to write."""
    adapter = ADAPTERS[os.environ["REKINDLE_DBT_TARGET"]]
    pretended = Pretended()
    compile_node = CompileRunner.compile
    CompileRunner.compile = lambda runner, manifest: pretended.compiled(runner, manifest, compile_node)  # type: ignore[method-assign]
    adapter.get_relation = lambda *names: pretended.relation(*names)  # type: ignore[method-assign]
    adapter.get_columns_in_relation = lambda *_: pretended.columns()  # type: ignore[method-assign]
    adapter.execute = lambda self, sql, *_, **__: pretended.execute(sql)  # type: ignore[method-assign]
    manifest = dbtRunner().invoke(["parse", "--quiet"]).result
    for form in FORMS:
        pretended.form = form
        chosen = [] if form == FORMS[0] else ["--select", "config.materialized:incremental"]
        outcome = dbtRunner(manifest=manifest).invoke(
            [
                "compile",
                "--no-populate-cache",
                "--quiet",
                *ONE_AT_A_TIME,
                *chosen,
                "--exclude",
                "resource_type:unit_test",
            ]
        )
        assert outcome.success, (form, outcome.exception, outcome.result)
    Path(sys.argv[1]).write_text(json.dumps(described(adapter, manifest, pretended.sent)))


if __name__ == "__main__":
    main()
