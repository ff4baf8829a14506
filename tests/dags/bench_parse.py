"""What parsing all DAG files costs, beyond importing Airflow: `python tests/dags/bench_parse.py`; exit 1 above the bar.

A benchmark and not a test: a busy machine must not fail a change. CPU seconds, each in a fresh interpreter.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
BAR = 3.0  # CPU seconds for all files together
ROUNDS = 5


def measure() -> float:
    """CPU seconds of one cold parse: imports of ours, of Cosmos and of what they pull in included."""
    with tempfile.TemporaryDirectory(prefix="rekindle-bench-") as home:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "REKINDLE"))}
        inherited.pop("PYTHONDONTWRITEBYTECODE", None)  # a scheduler keeps its bytecode
        settings = {
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "include"), str(ROOT / "plugins")]),
        }
        probe = [sys.executable, str(Path(__file__).with_name("parse_probe.py")), "parse"]
        done = subprocess.run(probe, env=inherited | settings, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["import_errors"] == {}, found["import_errors"]
    return float(found["seconds"])


def main() -> int:
    """Print the figure; returns the exit code."""
    measure()  # the first one compiles bytecode
    rounds = [measure() for _ in range(ROUNDS)]
    middle = statistics.median(rounds)
    files = len(list((ROOT / "dags").glob("*.py")))
    print(
        f"parsing {files} DAG files: {middle:.2f} s CPU beyond importing Airflow"
        f" (median of {ROUNDS}, {min(rounds):.2f} to {max(rounds):.2f}; bar {BAR:.0f} s)"
    )
    return int(middle > BAR)


if __name__ == "__main__":
    sys.exit(main())
