"""Asks a person whether a run may write to people, if it is above the campaign's limits; else it is done at once."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import TriggerRule

log = logging.getLogger(__name__)

#: A run that nobody answers is rejected before the next day's run wants to start.
PATIENCE = timedelta(hours=20)


class ApproveRunOperator(ApprovalOperator):
    """Airflow's approval task with the report of the run in it. The answer is a row of `rekindle_state.approvals`.

    The task before it skips it while nobody has to be asked. "Reject" leaves everybody where they are: nothing is
    planned or sent, and the next run asks again.
    """

    def __init__(self, *, campaign_id: str, **kwargs: Any) -> None:
        super().__init__(
            subject=f"May {campaign_id} write to so many people?",
            defaults=self.REJECT,
            response_timeout=PATIENCE,
            execution_timeout=None,  # Airflow would take it for the time a person has
            **kwargs,
        )
        self.campaign_id = campaign_id

    def execute(self, context: Any) -> Any:
        """Return at once below the limits; else wait for a person, with the report."""
        from rekindle_airflow.tasks.campaign import report_of_run

        report = report_of_run(self.campaign_id)
        if not report.questions:
            return {"asked": False}
        self.body = report.as_markdown()
        log.warning("REKINDLE WAITS FOR APPROVAL campaign=%s %s", self.campaign_id, "; ".join(report.questions))
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Keep the answer, then go on, or skip the planning and with it all that follows."""
        from rekindle_airflow.tasks.campaign import record_answer_of_run

        # not the parent's: its skip ends the task before anything could be kept
        answered = HITLOperator.execute_complete(self, context, event)
        answer = answered["chosen_options"][0]
        user = answered["responded_by_user"] or {}
        by = user.get("name") or user.get("id") or "nobody in time"
        record_answer_of_run(self.campaign_id, answer, by)
        log.warning("REKINDLE APPROVAL campaign=%s answer=%s by=%s", self.campaign_id, answer, by)
        if answer == self.REJECT:
            # not the task that makes a run red: what fails after a no still does
            following = self.get_direct_relatives(upstream=False)
            self.skip(
                ti=context["ti"], tasks=[each for each in following if each.trigger_rule != TriggerRule.ONE_FAILED]
            )
        return {"answer": answer, "asked": True}
