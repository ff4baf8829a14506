"""Where the project's own files are."""

from __future__ import annotations

import os
from pathlib import Path


def project_root() -> Path:
    """The folder that holds `dags/`, `sql/` and `include/`; `REKINDLE_PROJECT_ROOT` overrides it."""
    configured = os.environ.get("REKINDLE_PROJECT_ROOT")
    return Path(configured) if configured else Path(__file__).parents[2]
