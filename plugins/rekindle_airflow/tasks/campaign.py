"""One campaign's daily tick: freeze, advance, check, plan, send, settle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rekindle.campaigns.models import Campaign
    from rekindle.governor.rate import Governor
    from rekindle.planning.approval import RunReport


#: The task that waits for a person.
APPROVAL = "approve_run"


def _campaign(campaign_id: str) -> Campaign:
    from rekindle.campaigns.loader import load_campaign
    from rekindle.project import project_root

    root = project_root() / "include"
    return load_campaign(root / "campaigns" / f"{campaign_id}.yaml", root / "templates")


def freeze_cohort(campaign_id: str) -> dict[str, int]:
    """Enter the leads who just crossed the cold line and draw their arms."""
    from rekindle.journey import freeze_cohort as freeze
    from rekindle_airflow.guards import skip_if_refused
    from rekindle_airflow.run_context import current_run
    from rekindle_airflow.warehouses import open_warehouse

    campaign = _campaign(campaign_id)
    with skip_if_refused():
        _rehearse_if_dry(campaign)
        return freeze(open_warehouse(), campaign, current_run())


def _rehearse_if_dry(campaign: Campaign) -> None:
    """Under `dry_run`: do it all, log the report, undo it, and skip the run."""
    import logging

    from airflow.sdk import get_current_context
    from airflow.sdk.exceptions import AirflowSkipException

    from rekindle.planning.rehearsal import rehearse
    from rekindle_airflow.run_context import is_dry_run, run_of
    from rekindle_airflow.settings import settings
    from rekindle_airflow.warehouses import open_warehouse

    context = get_current_context()
    if not is_dry_run(context):
        return
    log = logging.getLogger(__name__)
    warehouse, run = open_warehouse(), run_of(context)
    others = _others_of_tick(campaign.campaign_id, context)
    known = settings()
    rehearsed = rehearse(warehouse, campaign, others, run, known.default_region, known.segment_price)
    log.info("DRY RUN: nothing was changed\n%s", rehearsed.report.as_markdown())
    log.info("%s messages would be planned; not sent now: %s", rehearsed.planned, list(rehearsed.decisions))
    raise AirflowSkipException("a dry run: the report is in the log, and nothing was changed or sent")


def _others_of_tick(campaign_id: str, context: Any) -> list[Campaign]:
    """The other campaigns that take part in this tick: their files are whole, and their DAGs are not paused. In a tick
    between two days only hourly ones do: the others' day would be refused as older than such a tick.
    """
    import logging
    from http import HTTPStatus

    from airflow.sdk.exceptions import AirflowRuntimeError

    from rekindle.campaigns.findings import InvalidCampaign
    from rekindle.campaigns.loader import campaign_files
    from rekindle.planning import campaigns_of_lately
    from rekindle.project import project_root
    from rekindle_airflow.campaign_files import HOURLY_MODELS
    from rekindle_airflow.run_context import is_between_days, run_of
    from rekindle_airflow.warehouses import open_warehouse

    only_hourly = is_between_days(context)
    paths = campaign_files(project_root() / "include" / "campaigns")
    instance = context.get("ti")

    def is_paused(other_id: str) -> bool:
        try:
            return bool(instance.get_dag(f"campaign__{other_id}").is_paused)
        except AirflowRuntimeError as error:
            if (error.error.detail or {}).get("status_code") != HTTPStatus.NOT_FOUND:
                raise
            return True  # Airflow has no such DAG: nothing of it runs

    ids = [path.stem for path in paths if path.stem != campaign_id]
    if instance is None:  # called as a plain function
        ids = campaigns_of_lately(open_warehouse(), ids, run_of(context))
    else:
        # not by their runs: the scheduler makes those of one tick one after the other
        ids = [other_id for other_id in ids if not is_paused(other_id)]
    others = []
    for other_id in ids:
        try:
            other = _campaign(other_id)
            if other.enter.model in HOURLY_MODELS or not only_hourly:
                others.append(other)
        except InvalidCampaign:
            logging.getLogger(__name__).warning("%s takes no part: its file is broken, see its own run", other_id)
    return others


def advance_journeys(campaign_id: str) -> None:
    """End what is ended; move accepted messages into their wait and finished waits onward. Then settle, with the other
    campaigns of the tick, which of them writes to whom. Skips the approval if nobody has to be asked: a skipped task
    costs no process.
    """
    import logging

    from airflow.sdk import get_current_context
    from airflow.sdk.exceptions import DownstreamTasksSkipped

    from rekindle.planning import take_turns
    from rekindle_airflow.run_context import run_of
    from rekindle_airflow.warehouses import open_warehouse

    campaign = _campaign(campaign_id)
    context = get_current_context()
    counts = _advance(campaign)
    others = _others_of_tick(campaign_id, context)
    lost = take_turns(open_warehouse(), campaign, others, run_of(context))
    report = report_of_run(campaign_id)
    for alert in report.alerts:
        logging.getLogger(__name__).warning("REKINDLE ALERT campaign=%s %s", campaign_id, alert)
    counts |= {"lost_to_other_campaigns": lost, "messages_at_most": sum(report.messages.values())}
    context["ti"].xcom_push(key="return_value", value=counts)
    if not report.questions:
        raise DownstreamTasksSkipped(tasks=[APPROVAL])


def _advance(campaign: Campaign) -> dict[str, int]:
    from rekindle.journey import advance_journeys as advance
    from rekindle_airflow.run_context import current_run
    from rekindle_airflow.warehouses import open_warehouse

    return advance(open_warehouse(), campaign, current_run())


def report_of_run(campaign_id: str) -> RunReport:
    """What this run is about to do, and whether a person must be asked."""
    from rekindle.planning.approval import report_run
    from rekindle_airflow.run_context import current_run
    from rekindle_airflow.settings import settings
    from rekindle_airflow.warehouses import open_warehouse

    with open_warehouse().transaction() as transaction:
        return report_run(transaction, _campaign(campaign_id), current_run(), settings().segment_price)


def record_answer_of_run(campaign_id: str, answer: str, answered_by: str) -> None:
    """Keep what was answered to this run's report, and by whom."""
    from rekindle.clock import clock_from_environment
    from rekindle.planning.approval import record_answer
    from rekindle_airflow.run_context import current_run
    from rekindle_airflow.warehouses import open_warehouse

    report = report_of_run(campaign_id)
    record_answer(
        open_warehouse(),
        _campaign(campaign_id),
        report,
        current_run(),
        answer,
        answered_by,
        clock_from_environment(),
    )


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
    from rekindle.journey.versions import message_steps_due
    from rekindle.planning import check_contacts
    from rekindle_airflow.run_context import current_run
    from rekindle_airflow.warehouses import open_warehouse

    run, warehouse, campaign = current_run(), open_warehouse(), _campaign(campaign_id)
    counts: dict[str, int] = {}
    for version, step in message_steps_due(warehouse, campaign, run.as_of):
        if step.channel == channel:
            found = check_contacts(warehouse, version, step, run, checker)
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
    from rekindle_airflow.guards import skip_if_refused
    from rekindle_airflow.run_context import current_run
    from rekindle_airflow.warehouses import open_warehouse

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
    from rekindle.journey.versions import version_of_batch
    from rekindle_airflow.guards import skip_if_held
    from rekindle_airflow.run_context import run_of
    from rekindle_airflow.senders import composer_of
    from rekindle_airflow.warehouses import open_warehouse

    context = get_current_context()
    context["batch"] = batch["batch_id"]  # map_index_template shows it
    clock, warehouse, run = clock_from_environment(), open_warehouse(), run_of(context)
    refuse_stepped_clock_with_real_provider(clock, [account])
    judge_receipts(warehouse, governor, sender.provider, clock.now())
    skip_if_held(governor, warehouse, batch["batch_id"], clock.now(), run)
    composer = composer_of(version_of_batch(warehouse, _campaign(campaign_id), batch["batch_id"]))
    try:
        return dispatch_batch(warehouse, batch["batch_id"], composer, sender, clock, run).as_counts()
    finally:
        governor.log_status()


def _tell_webhooks(campaign_id: str) -> dict[str, int]:
    """Tell other systems what the campaign's webhook steps say, at least once each, under an idempotency key."""
    from rekindle.clock import clock_from_environment
    from rekindle.journey.webhooks import tell_webhooks as tell
    from rekindle_airflow.connections import webhook_destination
    from rekindle_airflow.warehouses import open_warehouse

    return tell(open_warehouse(), campaign_id, webhook_destination, clock_from_environment())


def settle_run(campaign_id: str, **context: Any) -> dict[str, int]:
    """Move what was accepted into its wait, end what was refused for good, tell the systems that webhook steps name,
    and tell the next DAG.
    """
    from rekindle.run import refuse_older_day
    from rekindle_airflow.guards import skip_if_refused
    from rekindle_airflow.run_context import announce, is_between_days, run_of, skip_if_dry
    from rekindle_airflow.warehouses import open_warehouse

    skip_if_dry(context)
    run = run_of(context)
    with skip_if_refused(), open_warehouse().transaction() as transaction:
        refuse_older_day(transaction, run, "freeze_cohort", campaign_id)
    counts = _advance(_campaign(campaign_id)) | _tell_webhooks(campaign_id)
    announce(context, run, between_days=is_between_days(context))
    return counts


def fail_the_run() -> None:
    """Make the run as red as the task that failed in it."""
    from airflow.sdk.exceptions import AirflowFailException

    raise AirflowFailException("a task of this run failed; see the red one. Clearing it is safe")
