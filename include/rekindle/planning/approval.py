"""Whether a run is so large, so dear or so unusual that a person should look before anybody is written to."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from rekindle.campaigns.models import Campaign, SmsStep
from rekindle.clock import Clock
from rekindle.errors import ConfigurationError
from rekindle.journey.versions import message_steps_due, versions_in_flight
from rekindle.run import Run
from rekindle.warehouse import Transaction, Warehouse

#: The usual cohort is the median of so many days; with fewer days than `_ENOUGH_DAYS` nothing is usual yet.
USUAL_DAYS = 14
_ENOUGH_DAYS = 3
#: A cohort this many times the usual one raises an alert, whatever the campaign's limits are.
ALERT_TIMES = 2
#: The answer after which a run goes on; Airflow's own word.
APPROVED = "Approve"


@dataclass(frozen=True)
class RunReport:
    """What a run is about to do, as far as it is known before planning: an upper bound, in counts and ids only."""

    campaign_id: str
    as_of: datetime
    entered: int
    usual: float | None  # median cohort of the last days; None while there are too few
    messages: Mapping[str, int]  # by step, without the holdout
    cost: float | None  # at most; None if no price is known
    samples: Sequence[str]  # lead ids
    alerts: Sequence[str]  # what is unusual
    questions: Sequence[str]  # which limits it is above; empty: nobody has to be asked

    def as_markdown(self) -> str:
        """For the person who decides."""
        usual = "not known yet" if self.usual is None else f"{self.usual:g} a day"
        title = f"**{self.campaign_id}** as of {self.as_of:%Y-%m-%d %H:%M} UTC is"
        lines = [
            f"{title} above its limits:" if self.questions else f"{title} within its limits.",
            "",
            *(f"- {question}" for question in self.questions),
            *([""] if self.questions else []),
            "What it is about to do:",
            "",
            f"- Entered today: **{self.entered}** (usually {usual}, median of {USUAL_DAYS} days).",
            f"- At most **{sum(self.messages.values())}** messages:"
            f" {', '.join(f'{step} {count}' for step, count in self.messages.items()) or 'none'}.",
            f"- At most {self.cost:.2f} in segments." if self.cost is not None else "- What it costs is not known.",
        ]
        if self.samples:
            lines.append(f"- For example {', '.join(self.samples)}: `rekindle explain LEAD`.")
        if self.questions:
            lines += ["", "Reject leaves everybody where they are; the next run asks again."]
        return "\n".join(lines)

    def as_json(self) -> str:
        """For the row of `approvals`."""
        return json.dumps(asdict(self) | {"as_of": self.as_of.isoformat()}, sort_keys=True)


def report_run(transaction: Transaction, campaign: Campaign, run: Run, segment_price: float | None) -> RunReport:
    """What the run would write to, once it has entered and advanced. `segment_price` is what the account pays.

    Raises `ConfigurationError` if the campaign limits its cost and no price is known.
    """
    entered, usual = _cohorts(transaction, campaign, run)
    due = {
        row["stage"]: row
        for row in transaction.fetch("plan/list_due_steps", campaign_id=campaign.campaign_id, as_of=run.as_of)
    }
    steps = {
        step.step_id: step for version in versions_in_flight(transaction, campaign) for step in version.message_steps
    }
    messages = {stage: int(row["entries"]) for stage, row in due.items() if stage in steps}
    segments = sum(
        messages[stage] * step.max_segments
        for stage, step in steps.items()
        if stage in messages and isinstance(step, SmsStep)
    )
    cost = None if segment_price is None else segments * segment_price
    samples = [str(row[end]) for stage, row in due.items() if stage in steps for end in ("first_sample", "last_sample")]
    return RunReport(
        campaign_id=campaign.campaign_id,
        as_of=run.as_of,
        entered=entered,
        usual=usual,
        messages=messages,
        cost=cost,
        samples=list(dict.fromkeys(samples)),
        alerts=_alerts(entered, usual),
        questions=_questions(campaign, entered, usual, sum(messages.values()), cost),
    )


def record_answer(
    warehouse: Warehouse,
    campaign: Campaign,
    report: RunReport,
    run: Run,
    answer: str,
    answered_by: str,
    clock: Clock,
) -> None:
    """Keep who said what to which report. Anything but `APPROVED` is also a decision for everybody who is due, once an
    instant, so that `rekindle explain` says why nothing came.
    """
    steps = message_steps_due(warehouse, campaign, run.as_of) if answer != APPROVED else []
    with warehouse.transaction() as transaction:
        transaction.execute(
            "plan/insert_approval",
            campaign_id=report.campaign_id,
            as_of=report.as_of,
            question=report.as_json(),
            answer=answer,
            answered_by=answered_by,
            answered_at=clock.now(),
        )
        for version, step in steps:
            transaction.execute(
                "plan/insert_rejection_decisions",
                campaign_id=report.campaign_id,
                journey_version=version.journey_version,
                step_id=step.step_id,
                channel=step.channel,
                answered_by=answered_by,
                as_of=run.as_of,
                run_id=run.run_id,
            )


def _cohorts(transaction: Transaction, campaign: Campaign, run: Run) -> tuple[int, float | None]:
    """Today's cohort, and the median of the days before by the same time of day: a campaign may enter each hour."""
    midnight = run.as_of.replace(hour=0, minute=0, second=0, microsecond=0)
    rows = transaction.fetch(
        "plan/list_daily_cohorts",
        campaign_id=campaign.campaign_id,
        since=run.as_of - timedelta(days=USUAL_DAYS),
        seconds_of_day=math.ceil((run.as_of - midnight).total_seconds()),
    )
    by_day = {row["ran_on"]: int(row["entered"]) for row in rows}
    entered = by_day.pop(run.cohort_date, 0)
    return entered, statistics.median(by_day.values()) if len(by_day) >= _ENOUGH_DAYS else None


def _alerts(entered: int, usual: float | None) -> list[str]:
    if not usual:
        return []
    if not entered:
        return [f"nobody entered, and usually {usual:g} do"]
    return (
        [f"{entered} entered, {entered / usual:.1f} times the usual {usual:g}"]
        if entered >= ALERT_TIMES * usual
        else []
    )


def _questions(campaign: Campaign, entered: int, usual: float | None, messages: int, cost: float | None) -> list[str]:
    limits = campaign.definition.approval
    found = []
    if limits.above_messages is not None and messages > limits.above_messages:
        found.append(f"{messages} messages, above {limits.above_messages}")
    if limits.above_cost is not None:
        if cost is None:
            raise ConfigurationError(
                f"include/campaigns/{campaign.campaign_id}.yaml limits its cost, and nobody says what a segment costs:"
                " set REKINDLE_SEGMENT_PRICE to what your account pays"
            )
        if cost > limits.above_cost:
            found.append(f"a cost of {cost:.2f}, above {limits.above_cost:.2f}")
    if limits.above_times_usual is not None and usual:
        if entered > limits.above_times_usual * usual:
            found.append(f"{entered} entered, above {limits.above_times_usual:g} times the usual {usual:g}")
        elif not entered:
            found.append(f"nobody entered, and usually {usual:g} do")
    return found
