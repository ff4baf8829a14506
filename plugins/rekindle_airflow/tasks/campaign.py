"""One campaign's daily tick: freeze, advance, check, plan, send, settle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rekindle.campaigns.models import Campaign
    from rekindle.governor.rate import Governor


def _campaign(campaign_id: str) -> Campaign:
    from rekindle.campaigns.loader import load_campaign
    from rekindle.project import project_root

    root = project_root() / "include"
    return load_campaign(root / "campaigns" / f"{campaign_id}.yaml", root / "templates")


def freeze_cohort(campaign_id: str) -> dict[str, int]:
    """Enter the leads who just crossed the cold line and draw their arms."""
    from rekindle.journey import freeze_cohort as freeze
    from rekindle.warehouse import open_warehouse
    from rekindle_airflow.guards import skip_if_refused
    from rekindle_airflow.run_context import current_run

    with skip_if_refused():
        return freeze(open_warehouse(), _campaign(campaign_id), current_run())


def advance_journeys(campaign_id: str) -> dict[str, int]:
    """End what is ended; move accepted messages into their wait and finished waits onward."""
    from rekindle.journey import advance_journeys as advance
    from rekindle.warehouse import open_warehouse
    from rekindle_airflow.run_context import current_run

    return advance(open_warehouse(), _campaign(campaign_id), current_run())


def check_numbers(campaign_id: str) -> dict[str, int]:
    """Validate the numbers that are about to be texted: libphonenumber, then Lookup v2 for the line type, then
    remembered.
    """
    from rekindle.channels.twilio import TwilioLookup
    from rekindle.contacts.checks import ContactCheck, check_phone
    from rekindle_airflow.connections import twilio_account
    from rekindle_airflow.senders import provider_errors
    from rekindle_airflow.settings import settings

    lookup = TwilioLookup(twilio_account(), provider_errors())

    def check_number(number: str, country: str | None) -> ContactCheck:
        return check_phone(number, country or settings().default_region, lookup)

    return _check(campaign_id, "sms", check_number)


def check_addresses(campaign_id: str) -> dict[str, int]:
    """Validate the e-mail addresses that are about to be written to, by their form, then remembered."""
    from rekindle.contacts.checks import ContactCheck, check_email

    def check_address(address: str, country: str | None) -> ContactCheck:
        return check_email(address)

    return _check(campaign_id, "email", check_address)


def _check(campaign_id: str, channel: str, checker: Any) -> dict[str, int]:
    from rekindle.planning import check_contacts
    from rekindle.warehouse import open_warehouse
    from rekindle_airflow.run_context import current_run

    run, warehouse, campaign = current_run(), open_warehouse(), _campaign(campaign_id)
    counts: dict[str, int] = {}
    for step in campaign.message_steps:
        if step.channel == channel:
            found = check_contacts(warehouse, campaign, step, run, checker)
            counts |= {f"{step.step_id}_{name}": count for name, count in found.items()}
    return counts


def plan_emails(campaign_id: str) -> list[dict[str, Any]]:
    """Check the addresses, then plan the e-mails that may be sent now; returns the open batches, ids and counts
    only.
    """
    check_addresses(campaign_id)
    return _plan(campaign_id, "email")


def plan_texts(campaign_id: str) -> list[dict[str, Any]]:
    """Plan the texts that may be sent now; returns the open batches, ids and counts only."""
    return _plan(campaign_id, "sms")


def _plan(campaign_id: str, channel: str) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from rekindle.planning import plan_messages as plan
    from rekindle.vocabulary import Channel
    from rekindle.warehouse import open_warehouse
    from rekindle_airflow.guards import skip_if_refused
    from rekindle_airflow.run_context import current_run

    with skip_if_refused():
        batches = plan(open_warehouse(), _campaign(campaign_id), Channel(channel), current_run())
        return [asdict(batch) for batch in batches]


def send_emails(campaign_id: str, batch: dict[str, Any]) -> dict[str, int]:
    """Send one batch through SendGrid. Safe to retry, clear or run twice: what is claimed or sent is not claimed
    again. Skips, with a decision for each message, while the account may send nothing.
    """
    from rekindle.channels.sendgrid import SendGridChannel
    from rekindle.dispatch import EmailSender
    from rekindle_airflow.connections import sendgrid_account
    from rekindle_airflow.senders import governor_of, provider_errors

    account = sendgrid_account()
    with governor_of("sendgrid") as governor:
        sender = EmailSender(SendGridChannel(account, provider_errors()), governor)
        return _dispatch(campaign_id, batch, sender, governor, account)


def send_texts(campaign_id: str, batch: dict[str, Any]) -> dict[str, int]:
    """Send one batch through Twilio. Safe to retry, clear or run twice: what is claimed or sent is not claimed
    again. Skips, with a decision for each message, while the account may send nothing.
    """
    from rekindle.channels.twilio import TwilioChannel
    from rekindle.dispatch import SmsSender
    from rekindle_airflow.connections import twilio_account
    from rekindle_airflow.senders import governor_of, provider_errors

    account = twilio_account()
    with governor_of("twilio") as governor:
        sender = SmsSender(TwilioChannel(account, provider_errors()), governor)
        return _dispatch(campaign_id, batch, sender, governor, account)


def _dispatch(campaign_id: str, batch: dict[str, Any], sender: Any, governor: Governor, account: Any) -> dict[str, int]:
    from airflow.sdk import get_current_context

    from rekindle.channels.credentials import refuse_stepped_clock_with_real_provider
    from rekindle.clock import clock_from_environment
    from rekindle.dispatch import dispatch_batch
    from rekindle.governor.receipts import judge_receipts
    from rekindle.warehouse import open_warehouse
    from rekindle_airflow.guards import skip_if_held
    from rekindle_airflow.run_context import run_of
    from rekindle_airflow.senders import composer_of

    context = get_current_context()
    context["batch"] = batch["batch_id"]  # map_index_template shows it
    clock, warehouse, run = clock_from_environment(), open_warehouse(), run_of(context)
    refuse_stepped_clock_with_real_provider(clock, [account])
    judge_receipts(warehouse, governor, sender.provider, clock.now())
    skip_if_held(governor, warehouse, batch["batch_id"], clock.now(), run)
    composer = composer_of(_campaign(campaign_id))
    try:
        return dispatch_batch(warehouse, batch["batch_id"], composer, sender, clock, run).as_counts()
    finally:
        governor.log_status()


def settle_run(campaign_id: str, **context: Any) -> dict[str, int]:
    """Move what was accepted into its wait, end what was refused for good, and tell the next DAG."""
    from rekindle.run import refuse_older_day
    from rekindle.warehouse import open_warehouse
    from rekindle_airflow.guards import skip_if_refused
    from rekindle_airflow.run_context import announce, run_of

    run = run_of(context)
    with skip_if_refused(), open_warehouse().transaction() as transaction:
        refuse_older_day(transaction, run, "freeze_cohort", campaign_id)
    counts = advance_journeys(campaign_id)
    announce(context, run)
    return counts


def fail_the_run() -> None:
    """Make the run as red as the task that failed in it."""
    from airflow.sdk.exceptions import AirflowFailException

    raise AirflowFailException("a task of this run failed; see the red one. Clearing it is safe")
