"""A run that changes nothing: everything is done in one transaction, read, and rolled back. On every engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rekindle.campaigns.models import Campaign
from rekindle.contacts.checks import ContactCheck, check_email, check_phone
from rekindle.errors import RefusedError
from rekindle.journey import advance_journeys, freeze_cohort
from rekindle.journey.versions import message_steps_due
from rekindle.planning.approval import RunReport, report_run
from rekindle.planning.contact_checks import check_contacts
from rekindle.planning.plan import plan_messages
from rekindle.planning.turns import take_turns
from rekindle.run import Run
from rekindle.vocabulary import Channel
from rekindle.warehouse.dialect import Dialect
from rekindle.warehouse.ports import Row, Transaction, Warehouse


@dataclass(frozen=True)
class Rehearsed:
    """What the run would have done."""

    report: RunReport
    planned: int
    decisions: Sequence[Row]  # why others would not be written to: the rows of report/list_run_decisions


class _OneTransaction:
    """A warehouse of which every transaction is part of one that is open already."""

    def __init__(self, dialect: Dialect, transaction: Transaction) -> None:
        self.dialect = dialect
        self._transaction = transaction

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        yield self._transaction

    def run_script(self, sql: str) -> None:
        raise RefusedError("a rehearsal migrates nothing")


class _Undo(Exception):
    """Ends the transaction without a trace."""


@contextmanager
def undone(warehouse: Warehouse) -> Iterator[Warehouse]:
    """A warehouse to try things on: all that is written to it is one transaction, and is undone at the end."""
    try:
        with warehouse.transaction() as transaction:
            yield _OneTransaction(warehouse.dialect, transaction)
            raise _Undo
    except _Undo:
        return


def rehearse(
    warehouse: Warehouse,
    campaign: Campaign,
    others: Sequence[Campaign],
    run: Run,
    default_region: str,
    segment_price: float | None,
) -> Rehearsed:
    """Enter, advance, settle the turns, check by the numbering plan alone, plan; then undo all of it.

    Raises what a real run would raise.
    """
    with undone(warehouse) as stage:
        enter_and_advance(stage, campaign, others, run)
        with stage.transaction() as transaction:
            report = report_run(transaction, campaign, run, segment_price)
        check_and_plan(stage, campaign, run, default_region)
        with stage.transaction() as transaction:
            of_run = {"campaign_id": campaign.campaign_id, "run_id": run.run_id}
            planned = sum(int(row["messages"]) for row in transaction.fetch("plan/count_planned_messages", **of_run))
            rehearsed = Rehearsed(report, planned, transaction.fetch("report/list_run_decisions", **of_run))
    return rehearsed


def enter_and_advance(warehouse: Warehouse, campaign: Campaign, others: Sequence[Campaign], run: Run) -> None:
    """What a run does before anybody is planned for."""
    freeze_cohort(warehouse, campaign, run)
    advance_journeys(warehouse, campaign, run)
    take_turns(warehouse, campaign, others, run)


def check_and_plan(warehouse: Warehouse, campaign: Campaign, run: Run, default_region: str) -> None:
    """Plan both channels. Numbers are checked by the numbering plan alone: asking the provider costs money."""
    for channel in (Channel.EMAIL, Channel.SMS):  # texts last, as in the DAG: who can not be mailed moves on
        for version, step in message_steps_due(warehouse, campaign, run.as_of):
            if step.channel is channel:
                check_contacts(warehouse, version, step, run, _checker(channel, default_region))
        plan_messages(warehouse, campaign, channel, run)


def _checker(channel: Channel, default_region: str) -> Callable[[str, str | None], ContactCheck]:
    if channel is Channel.EMAIL:
        return lambda address, country: check_email(address)
    return lambda address, country: check_phone(address, country or default_region, None)
