"""What campaigns cost: linting a hundred files, parsing them as DAGs, and living each of the library through 60 days.

`python tests/bench/bench_campaigns.py [--only CAMPAIGN]`; exit 1 when a bar is missed or an invariant is broken. CPU
seconds, because a busy machine must not decide; the simulations also in wall seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from rekindle.campaigns.lint import lint_campaigns
from rekindle.campaigns.loader import load_campaigns
from rekindle.simulate.people import SYNTHETIC, gather_people
from rekindle.simulate.play import FIRST_DAY, simulate

ROOT = Path(__file__).parents[2]
INCLUDE = ROOT / "include"
FILES = 100
LINT_BAR = 2.0  # CPU seconds after import
PARSE_BAR = 5.0  # CPU seconds
SIMULATION_BAR = 60.0  # wall seconds
DAYS, PEOPLE = 60, 5_000


def hundred_campaigns(folder: Path) -> Path:
    """A project folder with a hundred campaigns: the library again and again under other names."""
    include = folder / "include"
    (include / "campaigns").mkdir(parents=True)
    library = sorted((INCLUDE / "campaigns").glob("*.yaml"))
    for number in range(FILES):
        original = library[number % len(library)]
        name = f"{original.stem}_{number:03}"
        shutil.copy(original, include / "campaigns" / f"{name}.yaml")
        shutil.copytree(INCLUDE / "templates" / original.stem, include / "templates" / name)
    for shared in ("sql", "dbt_project"):
        (folder / shared).symlink_to(ROOT / shared)
    return folder


def lint_seconds(project: Path) -> float:
    """CPU seconds of linting all files once, with nothing remembered from before."""
    began = time.process_time()
    findings = lint_campaigns(project / "include" / "campaigns", project / "include" / "templates")
    assert not findings, findings[0]
    return time.process_time() - began


def parse_seconds(project: Path) -> tuple[float, int]:
    """CPU seconds of parsing all DAG files in a fresh interpreter, and how many campaign DAGs there are."""
    home = project / "airflow"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "REKINDLE"))}
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "REKINDLE_PROJECT_ROOT": str(project),
        "PYTHONPATH": os.pathsep.join([str(INCLUDE), str(ROOT / "plugins")]),
    }
    probe = [sys.executable, str(ROOT / "tests" / "dags" / "parse_probe.py"), "parse"]
    for _ in range(2):  # the first one compiles bytecode
        done = subprocess.run(probe, env=inherited | settings, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["import_errors"] == {}, found["import_errors"]
    return float(found["seconds"]), sum(name.startswith("campaign__") for name in found["dag_ids"])


def main() -> int:
    """Print the tables; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="simulate this campaign alone")
    wanted = parser.parse_args()
    console = Console()
    kept = True
    with tempfile.TemporaryDirectory(prefix="rekindle-bench-") as folder:
        project = hundred_campaigns(Path(folder))
        linting = lint_seconds(project)
        console.print(f"linting {FILES} campaign files: {linting:.2f} s CPU (bar {LINT_BAR:.0f} s)")
        parsing, dags = parse_seconds(project)
        console.print(f"parsing {dags} campaigns as DAGs: {parsing:.2f} s CPU (bar {PARSE_BAR:.0f} s)")
        kept = linting < LINT_BAR and parsing < PARSE_BAR and dags == FILES

    console.print(f"{DAYS} days, {PEOPLE:,} people each (bar {SIMULATION_BAR:.0f} s)")
    columns = "{:32}{:>8}{:>8}{:>9}{:>10}{:>12}"  # line by line: each takes a while
    console.print(columns.format("campaign", "wall s", "CPU s", "entered", "messages", "invariants"))
    people = gather_people(SYNTHETIC, PEOPLE, 0, FIRST_DAY)
    for campaign in load_campaigns(INCLUDE / "campaigns", INCLUDE / "templates"):
        if wanted.only not in (None, campaign.campaign_id):
            continue
        began, cpu = time.monotonic(), time.process_time()
        played = simulate([campaign], people, DAYS, seed=0)
        took = time.monotonic() - began
        kept = kept and played.holds and took < SIMULATION_BAR
        entered = sum(row["entries"] for row in played.exits)
        told = [f"{took:.1f}", f"{time.process_time() - cpu:.1f}", f"{entered:,}", f"{played.accepted:,}"]
        console.print(columns.format(campaign.campaign_id, *told, "hold" if played.holds else "BROKEN"))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
