"""Asks the providers what their webhooks missed, and tells them what we learned elsewhere."""

from __future__ import annotations

from typing import Any


def sync_suppressions() -> dict[str, int]:
    """Read SendGrid's bounces, blocks, invalid addresses, spam reports and unsubscribes since the last finished run."""
    from rekindle.clock import clock_from_environment
    from rekindle.reconcile.suppressions import sync_suppressions as sync
    from rekindle_airflow.run_context import current_run
    from rekindle_airflow.warehouses import open_warehouse

    return sync(open_warehouse(), _sendgrid(), clock_from_environment(), current_run())


def poll_open_texts() -> dict[str, int]:
    """Ask Twilio about each text that is still open after 24 hours, and settle it."""
    from rekindle.clock import clock_from_environment
    from rekindle.reconcile.open_texts import poll_open_texts as poll
    from rekindle_airflow.run_context import current_run
    from rekindle_airflow.warehouses import open_warehouse

    return poll(open_warehouse(), _twilio().fetch_text, clock_from_environment(), current_run())


def sync_deactivations() -> dict[str, int]:
    """Suppress the texts to numbers that were given up, by Twilio's daily files."""
    from rekindle.reconcile.deactivations import sync_deactivations as sync
    from rekindle_airflow.run_context import current_run
    from rekindle_airflow.warehouses import open_warehouse

    return sync(open_warehouse(), _twilio().deactivated_numbers, current_run())


def push_email_opt_outs() -> dict[str, int]:
    """Put on SendGrid's list whoever said no elsewhere: by our page, by STOP, by another channel."""
    from rekindle.clock import clock_from_environment
    from rekindle.reconcile.suppressions import push_email_opt_outs as push
    from rekindle_airflow.run_context import current_run
    from rekindle_airflow.warehouses import open_warehouse

    return push(open_warehouse(), _sendgrid(), clock_from_environment(), current_run())


def push_text_opt_outs() -> dict[str, int]:
    """Tell Twilio's Compliance Toolkit who said no elsewhere. Skips where the account does not have it."""
    from airflow.sdk.exceptions import AirflowSkipException

    from rekindle.clock import clock_from_environment
    from rekindle.reconcile.suppressions import push_text_opt_outs as push
    from rekindle_airflow.connections import TWILIO_CONNECTION
    from rekindle_airflow.run_context import current_run
    from rekindle_airflow.warehouses import open_warehouse

    if not _extra(TWILIO_CONNECTION).get("compliance_toolkit"):
        raise AirflowSkipException(
            f"{TWILIO_CONNECTION} does not say compliance_toolkit: true in its extra, and Twilio takes opt-outs by no"
            " other door; our own suppressions stop the texts"
        )
    return push(open_warehouse(), _twilio(), clock_from_environment(), current_run())


def hand_over_replies(**context: Any) -> dict[str, int]:
    """Queue texts in people's own words for a person, and tell the installation's notifier about new ones."""
    from rekindle.clock import clock_from_environment
    from rekindle.replies import WaitingReplies, queue_replies, tell_waiting_replies
    from rekindle_airflow.reply_notifier import reply_notifier
    from rekindle_airflow.run_context import run_of
    from rekindle_airflow.warehouses import open_warehouse

    notifier = reply_notifier()
    warehouse = open_warehouse()
    with warehouse.transaction() as transaction:
        queued = queue_replies(transaction, run_of(context))

    def tell(waiting: WaitingReplies) -> None:
        notifier({**context, "waiting_replies": waiting})

    return {"queued": queued, "told": tell_waiting_replies(warehouse, tell, clock_from_environment())}


def _sendgrid() -> Any:
    from rekindle.channels.suppressions import SendGridSuppressions
    from rekindle_airflow.connections import SENDGRID_CONNECTION, sendgrid_account
    from rekindle_airflow.senders import provider_errors

    account = sendgrid_account()
    return SendGridSuppressions(account, provider_errors(), asm_group_id=_group_id(_extra(SENDGRID_CONNECTION)))


def _twilio() -> Any:
    from rekindle.channels.suppressions import TwilioRecords
    from rekindle_airflow.connections import twilio_account
    from rekindle_airflow.senders import provider_errors

    return TwilioRecords(twilio_account(), provider_errors())


def _extra(connection_id: str) -> dict[str, Any]:
    from airflow.sdk import Connection

    return dict(Connection.get(connection_id).extra_dejson)


def _group_id(extra: dict[str, Any]) -> int | None:
    from rekindle.errors import ConfigurationError

    group = extra.get("asm_group_id")
    if group is None or group == "":
        return None
    if isinstance(group, bool) or not str(group).isdecimal():
        raise ConfigurationError("sendgrid_default: asm_group_id in the extra is the number of an unsubscribe group")
    return int(group)
