"""Generates docs/DAGs.md from the DAGs themselves: `python -m tests.dag_docs`; with `--check` it only says whether it
is stale.
"""

from __future__ import annotations

import argparse
import difflib
import inspect
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "DAGs.md"
#: Campaigns differ in their files, not in their DAGs: one stands for all.
CAMPAIGN = "campaign__"
EXAMPLE = "campaign__cold_lead_reengagement"
_HEAD = """# The DAGs

Generated from `dags/` by `make docs`; do not edit. `make check` fails when it is stale."""


def airflow_environment(home: Path, outer: Mapping[str, str]) -> dict[str, str]:
    """The environment to parse the DAGs in: this repository's folders and defaults, a throw-away Airflow home, and
    nothing of the caller's own Airflow or Rekindle.
    """
    inherited = {name: value for name, value in outer.items() if not name.startswith(("AIRFLOW", "REKINDLE"))}
    return inherited | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
    }


def use_airflow_environment(home: Path) -> None:
    """Put this process into `airflow_environment`. Call it before Airflow is imported: it reads its settings then."""
    assert "airflow" not in sys.modules, "Airflow was imported before its environment was set"
    environment = airflow_environment(home, os.environ)
    os.environ.clear()
    os.environ.update(environment)
    for folder in (str(ROOT / "plugins"), str(ROOT / "include")):
        if folder not in sys.path:
            sys.path.insert(0, folder)


def generate() -> str:
    """The whole document."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(ROOT / "dags")
    if bag.import_errors:
        raise SystemExit("\n".join(f"{path}: {error}" for path, error in sorted(bag.import_errors.items())))
    dags = _by_place_in_the_cycle(list(bag.dags.values()))
    told = [dag for dag in dags if not dag.dag_id.startswith(CAMPAIGN) or dag.dag_id == EXAMPLE]
    blocks = [_HEAD, *_overview(told)]
    for dag in told:
        others = [other for other in dags if other not in told] if dag.dag_id == EXAMPLE else []
        blocks += _chapter(dag, others)
    return "\n\n".join(blocks) + "\n"


def _by_place_in_the_cycle(dags: list[Any]) -> list[Any]:
    """What is started by hand, what the clock starts, then each DAG after those it waits for."""
    producers = {name: dag for dag in dags for name in _outlets_of(dag)}

    def place(dag: Any) -> int:
        if assets := _awaited_by(dag):
            return 1 + max(place(producers[asset.name]) for asset in assets)
        return 0 if dag.schedule is None else 1

    return sorted(dags, key=lambda dag: (place(dag), dag.dag_id))


def _awaited_by(dag: Any) -> list[Any]:
    """The assets that start a DAG, each of them or all together."""
    return list(dag.schedule if isinstance(dag.schedule, list) else getattr(dag.schedule, "objects", []))


def _schedule(dag: Any) -> str:
    if dag.schedule is None:
        return "by hand"
    if isinstance(dag.schedule, str):
        return f"`{dag.schedule}` UTC"
    if not _awaited_by(dag):  # a clock and assets, whichever is first
        clock = dag.schedule.timetable.expression
        return f"`{clock}` UTC, or when updated: `{dag.schedule.asset_condition.name}`"
    joint = ", " if isinstance(dag.schedule, list) else " or "
    return "when updated: " + joint.join(f"`{asset.name}`" for asset in _awaited_by(dag))


def _overview(dags: list[Any]) -> Iterator[str]:
    rows = ["| DAG | starts | tags | what it does |", "|---|---|---|---|"]
    for dag in dags:
        tags = ", ".join(f"`{tag}`" for tag in sorted(map(str, dag.tags)))
        rows.append(f"| [`{dag.dag_id}`](#{dag.dag_id}) | {_schedule(dag)} | {tags} | {_title(dag)} |")
    yield "\n".join(rows)
    graph = ["```mermaid", "graph LR"]
    for dag in dags:
        graph += [f"    {asset.name}([{asset.name}]) --> {dag.dag_id}" for asset in _awaited_by(dag)]
        graph += [f"    {dag.dag_id} --> {name}([{name}])" for name in _outlets_of(dag)]
    yield "\n".join([*graph, "```"])


def _outlets_of(dag: Any) -> list[str]:
    return sorted({asset.name for task in dag.tasks for asset in _argument(task, "outlets") or []})


def _title(dag: Any) -> str:
    """The heading of the DAG's own documentation."""
    return dag.doc_md.strip().splitlines()[0].lstrip("# ")


def _chapter(dag: Any, others: list[Any]) -> Iterator[str]:
    yield f"## {dag.dag_id}"
    if dag.description:
        yield f"> {' '.join(dag.description.split())}"
    yield dag.doc_md.strip()
    if others:
        yield f"The same tasks, one DAG for each file of `include/campaigns/`: {_named(others)}."
    if sooner := [other for other in others if len(_awaited_by(other)) > len(_awaited_by(dag))]:
        yield f"Started {_schedule(sooner[0])}: {_named(sooner)}."
    yield f"Defined in `{Path(dag.fileloc).relative_to(ROOT).as_posix()}`; starts {_schedule(dag)}."
    rows = ["| task | what it does | pool | retries | starts | updates |", "|---|---|---|---|---|---|"]
    for task in dag.topological_sort():
        updated = ", ".join(f"`{asset.name}`" for asset in _argument(task, "outlets") or [])
        kind = " (mapped)" if task.is_mapped else ""
        cells = [f"`{task.task_id}`{kind}", _effect(task), f"`{task.pool}`", str(task.retries), _rule(task), updated]
        rows.append(f"| {' | '.join(cells)} |")
    yield "\n".join(rows)
    graph = ["```mermaid", "graph LR"]
    for task in dag.topological_sort():
        graph.append(f"    {task.task_id}" + (f"[[{task.task_id}]]" if task.is_mapped else ""))
    for task in dag.topological_sort():
        graph += [f"    {task.task_id} --> {other}" for other in sorted(task.downstream_task_ids)]
    yield "\n".join([*graph, "```"])


def _named(dags: list[Any]) -> str:
    return ", ".join(f"`{dag.dag_id}`" for dag in dags)


def _argument(task: Any, name: str) -> Any:
    """An argument of a task, which a mapped task keeps for later."""
    return task.partial_kwargs.get(name) if task.is_mapped else getattr(task, name, None)


def _rule(task: Any) -> str:
    rules = {
        "all_success": "when all before it succeeded",
        "all_done": "when all before it ended, however",
        "one_failed": "when one before it failed",
        "none_failed_min_one_success": "when none before it failed and one succeeded",
    }
    return rules.get(task.trigger_rule.value, f"`{task.trigger_rule.value}`") if task.upstream_task_ids else "first"


def _effect(task: Any) -> str:
    """The first sentences of whatever the task runs."""
    if hasattr(task, "select"):
        return f"dbt build of `{' '.join(task.select)}`, data tests included."
    first, *_ = (inspect.getdoc(getattr(task, "python_callable", type(task))) or "").split("\n\n")
    return " ".join(first.split()).replace("|", "\\|")


def main(arguments: list[str] | None = None) -> int:
    """Write the document, or with `--check` compare it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.dag_docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 with a diff when it is stale")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="the file to write or compare")
    wanted = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="rekindle-dag-docs-") as home:
        use_airflow_environment(Path(home))
        fresh = generate()
    stale = wanted.document.read_text(encoding="utf-8") if wanted.document.exists() else ""
    if not wanted.check:
        wanted.document.write_text(fresh, encoding="utf-8")
        return 0
    diff = difflib.unified_diff(
        stale.splitlines(keepends=True), fresh.splitlines(keepends=True), str(wanted.document), "as the DAGs are now"
    )
    sys.stdout.writelines(diff)
    if stale != fresh:
        print(f"{wanted.document} is stale; run `make docs`", file=sys.stderr)
    return int(stale != fresh)


if __name__ == "__main__":
    sys.exit(main())
