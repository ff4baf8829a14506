"""What happens when a task fails for good: one log line that names the runbook. No personal data."""

from __future__ import annotations

import logging
from typing import Any

log = logging.getLogger(__name__)


def report_failure(context: Any) -> None:
    """Log the failure where alerting picks it up."""
    instance = context["task_instance"]
    log.error(
        "REKINDLE TASK FAILED dag=%s task=%s run=%s; rerunning is safe, see docs/runbooks/failed_task.md",
        instance.dag_id,
        instance.task_id,
        instance.run_id,
    )
