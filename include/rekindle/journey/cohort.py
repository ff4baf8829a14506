"""Freezes the cohort that just crossed the cold line."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeVar

from rekindle.campaigns.conditions import CONTEXT_FIELDS, FieldCondition
from rekindle.campaigns.definition import AfterDays
from rekindle.campaigns.models import Campaign, seconds_in
from rekindle.errors import ConfigurationError
from rekindle.journey.moving import options_of
from rekindle.run import Run, record_run, refuse_older_day
from rekindle.stops import open_stops
from rekindle.warehouse import Transaction, Warehouse
from rekindle.warehouse.statements import with_words

_NEVER = date(1, 1, 1)
_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


def freeze_cohort(warehouse: Warehouse, campaign: Campaign, run: Run) -> dict[str, int]:
    """Enter the leads of the campaign's activation model, draw their arms, and put them on the first step.

    Re-running the same day enters nobody twice and fills no more than the maximum cohort size.
    Raises `RefusedError` if a later day is finished.
    """
    with warehouse.transaction() as transaction:
        refuse_older_day(transaction, run, "freeze_cohort", campaign.campaign_id)
        transaction.execute(
            "cohort/insert_campaign_version",
            campaign_id=campaign.campaign_id,
            journey_version=campaign.journey_version,
            definition=campaign.definition_json,
            as_of=run.as_of,
        )
        if stop := open_stops(transaction).forbids_entering(campaign):
            _log.warning("nobody enters %s: %s is stopped (%s)", campaign.campaign_id, stop.what, stop.mode)
            entered = 0
        else:
            entered = _enter(transaction, campaign, run)
        counts = {"entered": entered}
        record_run(transaction, run, "freeze_cohort", counts, campaign.campaign_id)
    return counts


def _enter(transaction: Transaction, campaign: Campaign, run: Run) -> int:
    """Put who wants in on the first step; how many. Earlier entries are looked through only if somebody does."""
    source = _source_of(campaign)
    if not _ask(campaign, transaction.fetch, source.offer, as_of=run.as_of, **source.signals):
        return 0
    entered = _ask(
        campaign,
        transaction.execute,
        source.entries,
        **source.signals,
        **source.audience,
        campaign_id=campaign.campaign_id,
        journey_version=campaign.journey_version,
        as_of=run.as_of,
        cohort_date=run.cohort_date,
        cohort_date_text=run.cohort_date.isoformat(),
        may_re_enter_on=_may_re_enter_on(campaign, run),
        re_entry="each_time" if campaign.enter.re_entry == "each_time" else "",
        maximum_cohort_size=campaign.enter.maximum_cohort_size,
        attribution_window_days=campaign.attribution_window_days,
        holdout_share=campaign.holdout.share,
        holdout_salt=campaign.holdout.salt,
        run_id=run.run_id,
    )
    transaction.execute(
        "cohort/insert_entry_transitions",
        campaign_id=campaign.campaign_id,
        cohort_date=run.cohort_date,
        first_stage=campaign.first_step.step_id,
        wait_seconds=seconds_in(campaign.first_step),
        recorded_at=run.recorded_at,
        run_id=run.run_id,
    )
    transaction.execute("cohort/insert_journey_state", campaign_id=campaign.campaign_id, cohort_date=run.cohort_date)
    return entered


@dataclass(frozen=True, slots=True)
class _Source:
    """The statements that read a campaign's source, and the values they need for that."""

    offer: str
    entries: str  # through the audience
    signals: dict[str, Any]
    audience: dict[str, Any]


def _source_of(campaign: Campaign) -> _Source:
    enter = campaign.enter
    signals: dict[str, Any] = {}
    if enter.signal:
        kind, names = enter.signal
        words = {"source": "signals", "signal_names": str(len(names))}
        signals = {"signal_kind": kind} | {f"signal_name_{number}": name for number, name in enumerate(names)}
    else:
        words = {"source": "model", "activation_model": enter.model}
    return _Source(
        offer=with_words("cohort/list_an_offer", **words),
        entries=with_words(
            "cohort/insert_entries",
            **words,
            audience=",".join(_filter_word(condition) for condition in enter.audience),
            variants=options_of({variant.name: variant.weight for variant in campaign.variants}),
        ),
        signals=signals,
        audience={
            f"audience_{place}_{number}_{CONTEXT_FIELDS[condition.field]}": value
            for place, condition in enumerate(enter.audience)
            for number, value in enumerate(_operands(condition))
        },
    )


def _filter_word(condition: FieldCondition) -> str:
    """`plan.one_of.text.2`: column, comparison, kind of the values, how many are bound."""
    operator = condition.operator if condition.operand is not False else "unknown"
    return f"{condition.field}.{operator}.{CONTEXT_FIELDS[condition.field]}.{len(_operands(condition))}"


def _operands(condition: FieldCondition) -> tuple[object, ...]:
    if condition.operator == "known":
        return ()
    return condition.operand if isinstance(condition.operand, tuple) else (condition.operand,)


def _ask(campaign: Campaign, ask: Callable[..., _Answer], statement: str, **values: Any) -> _Answer:
    """Raises `ConfigurationError` if the source is not built or has not the columns of an activation model."""
    try:
        return ask(statement, **values)
    except Exception as error:
        told = str(error)
        concerned = [model for model in (campaign.enter.model, "sync_lead_context") if model in told]
        if not concerned and "entering" not in told and "context" not in told:
            raise
        model = next(iter(concerned), campaign.enter.model)
        raise ConfigurationError(
            f"include/campaigns/{campaign.campaign_id}.yaml enters from {model}, which is not in the warehouse or lacks"
            f" a column: build it with `dbt build --select {model}`, or name another model. The warehouse says:"
            f" {told.splitlines()[0]}"
        ) from error


def _may_re_enter_on(campaign: Campaign, run: Run) -> date:
    """The newest cohort date that does not forbid entering today."""
    rule = campaign.enter.re_entry
    if isinstance(rule, AfterDays):
        return run.cohort_date - timedelta(days=rule.after_days)
    return run.cohort_date if rule == "each_time" else _NEVER
