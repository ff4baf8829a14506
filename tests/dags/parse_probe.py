"""Looks at what parsing the DAGs, or loading the plugins, does to a fresh interpreter; prints one line of JSON.

`parse_probe.py parse` and `parse_probe.py plugins`. The environment is the caller's to set.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

#: What a DAG file may not do while it is parsed, by the interpreter's own audit events.
FORBIDDEN = {
    "socket.connect",
    "socket.getaddrinfo",
    "socket.sendto",
    "sqlite3.connect",
    "subprocess.Popen",
    "os.system",
}


def parse() -> dict[str, Any]:
    """Parse every DAG file; what was touched, what was imported, what it cost beyond importing Airflow and Cosmos."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk import BaseHook, Connection, Variable

    touched: list[str] = []
    before = set(sys.modules)

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event in FORBIDDEN:
            touched.append(f"{event} {arguments!r:.200}")

    def refuse(name: str) -> Any:
        def tell(*_: object, **__: object) -> Any:
            touched.append(name)
            raise AssertionError(f"{name} while parsing")

        return tell

    sys.addaudithook(watch)
    with (
        patch.object(Connection, "get", refuse("Connection.get")),
        patch.object(BaseHook, "get_connection", refuse("BaseHook.get_connection")),
        patch.object(Variable, "get", refuse("Variable.get")),
        patch("duckdb.connect", refuse("duckdb.connect")) if "duckdb" in before else patch.dict({}),
    ):
        began = time.process_time()
        bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
        seconds = time.process_time() - began
    return {
        "dag_ids": sorted(bag.dags),
        "import_errors": bag.import_errors,
        "touched": touched,
        "imported": sorted(set(sys.modules) - before),
        "seconds": seconds,
    }


def plugins() -> dict[str, Any]:
    """Load the plugins folder as Airflow does; which modules come from it, and under which names."""
    from airflow import plugins_manager

    loaded, errors = plugins_manager._get_plugins()
    import rekindle_airflow.run_context  # noqa: F401 - the package must stay importable by its full name

    folder = Path(os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"]).resolve()
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and Path(file).resolve().is_relative_to(folder):
            found[name] = Path(file).resolve().relative_to(folder).as_posix()
    return {"plugins": [plugin.name for plugin in loaded], "errors": errors, "modules": found}


if __name__ == "__main__":
    print(json.dumps({"parse": parse, "plugins": plugins}[sys.argv[1]]()))
