"""Runs the models of the dbt project, by the `dbt` command, over a scratch warehouse.

This is how the score keeps one definition: whoever judges it runs the very SQL that the daily DAG builds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rekindle.errors import ConfigurationError, RekindleError
from rekindle.project import project_root

#: The seeds that are the rules: put into the warehouse by whoever judges some, so that dbt leaves those alone.
RULES = ("score_weights", "score_thresholds", "score_plan_presets")
_LIMIT = 600  # seconds; a day of a million leads takes far less
_TOLD_LINES = 12


#: What dbt remembers of a parsed project, so that it is not parsed again; dbt itself checks whether it is still true.
PARSED = "partial_parse.msgpack"


@dataclass(frozen=True)
class Models:
    """A dbt project, and a folder for what dbt makes of it."""

    project: Path
    target: Path
    environment: Mapping[str, str]
    remembered: Path | None = None  # folder of the parsed project, shared by all runs of this installation

    def build(self, model: str, warehouse: Path, as_of: datetime, *, own_rules: bool = False) -> None:
        """Build a model and what it is made from in a warehouse file, as of an instant; tests are not run.

        The rules are those in the file, or with `own_rules` the project's. Raises `RekindleError` with what dbt said.
        """
        if self.remembered and not (self.target / PARSED).exists() and (self.remembered / PARSED).exists():
            self.target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.remembered / PARSED, self.target / PARSED)
        others = () if own_rules else ("--exclude", *RULES)
        no_tests = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
        finished = subprocess.run(  # noqa: S603 - our own command and arguments
            [dbt_command(), "build", "--select", f"+{model}", *others, *no_tests, "--quiet", "--no-write-json"],
            env={
                # the file last: whose environment names another warehouse must not have that one written to
                **self.environment,
                **dbt_environment(self.project, self.target, warehouse),
                "REKINDLE_AS_OF": as_of.isoformat(),
            },
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
        self._remember()
        if finished.returncode:
            raise RekindleError(
                f"dbt could not build {model} of {self.project} as of {as_of:%Y-%m-%d}:\n{last_words(finished)}"
            )

    def _remember(self) -> None:
        parsed = self.target / PARSED
        if self.remembered and parsed.exists():
            self.remembered.mkdir(parents=True, exist_ok=True)
            # beside and renamed: another run may be reading
            beside = self.remembered / f"{PARSED}.{os.getpid()}"
            shutil.copyfile(parsed, beside)
            beside.replace(self.remembered / PARSED)

    def compiled(self, model: str) -> str:
        """The SQL that the last run made of a model."""
        (path,) = (self.target / "compiled").rglob(f"{model}.sql")
        return path.read_text(encoding="utf-8")


def remembered_parse() -> Path:
    """Where this installation remembers its parsed project."""
    return project_root() / ".rekindle" / "backtest"


def dbt_environment(project: Path, target: Path, warehouse: Path) -> dict[str, str]:
    """What a dbt of ours is told: the project, a folder to work in and a file, and none of the caller's settings."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("REKINDLE_", "DBT_"))},
        "REKINDLE_WAREHOUSE_PATH": str(warehouse),
        "DBT_PROJECT_DIR": str(project),
        "DBT_PROFILES_DIR": str(project),
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(target),
        "DBT_LOG_LEVEL_FILE": "none",
    }


def last_words(finished: subprocess.CompletedProcess[str]) -> str:
    """The end of what dbt said, for an error."""
    return "\n".join((finished.stdout + finished.stderr).strip().splitlines()[-_TOLD_LINES:])


def dbt_command() -> str:
    """The `dbt` installed beside this Python, else the one on the path; raises `ConfigurationError` without one."""
    beside = Path(sys.executable).with_name("dbt")
    found = str(beside) if beside.exists() else shutil.which("dbt")
    if not found:
        raise ConfigurationError("there is no `dbt` command; run `make setup`, or install dbt-core and dbt-duckdb")
    return found
