"""The daily sync's task bodies: guarded, skipping what is not there, telling whom the installation named."""

from __future__ import annotations

import json
import logging
import shutil
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk.bases.notifier import BaseNotifier
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.context import set_current_context

from rekindle.clock import SteppedClock
from rekindle.errors import ConfigurationError, RefusedError
from rekindle.warehouse import open_warehouse
from rekindle_airflow import reply_notifier
from rekindle_airflow.settings import settings
from rekindle_airflow.tasks import provider_sync

NOW = datetime(2026, 3, 2, 18, tzinfo=UTC)
ACCOUNT = "AC" + "0" * 32


class Told(BaseNotifier):
    """Remembers what it was told, as a Slack notifier would say it."""

    template_fields = ("text",)
    said: list[str] = []  # noqa: RUF012 - one list for the test to look at

    def __init__(self, text: str = "{{ waiting_replies.count }} wait since {{ waiting_replies.oldest_at.date() }}"):
        super().__init__()
        self.text = text

    def notify(self, context):
        self.said.append(self.text)


@pytest.fixture
def warehouse(tmp_path, monkeypatch, empty_warehouse):
    path = tmp_path / "warehouse.duckdb"
    shutil.copyfile(empty_warehouse, path)
    SteppedClock(tmp_path / "clock").step_to(NOW)
    monkeypatch.setenv("REKINDLE_WAREHOUSE_PATH", str(path))
    monkeypatch.setenv("REKINDLE_CLOCK_FILE", str(tmp_path / "clock"))
    extra = {"account_sid": ACCOUNT, "from_number": "+12125550100"}
    monkeypatch.setenv("AIRFLOW_CONN_SENDGRID_DEFAULT", json.dumps({"conn_type": "http", "password": "SG.key"}))
    twilio = {"conn_type": "http", "login": ACCOUNT, "password": "token", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps(twilio))
    settings.cache_clear()
    yield open_warehouse()
    settings.cache_clear()


@pytest.fixture
def in_run():
    context = {"dag_run": SimpleNamespace(conf={"as_of": NOW.isoformat()}, run_id="manual__1", run_after=NOW)}

    def run(body, takes_context=False):
        with set_current_context(context):
            return body(**(context if takes_context else {}))

    return run


@pytest.fixture
def replied(warehouse):
    """Two texts that wait for a person."""
    with warehouse.transaction() as transaction:
        transaction.insert(
            "rekindle_state.message_events",
            [
                {
                    "event_key": key,
                    "provider": "twilio",
                    "event_type": "replied",
                    "provider_event": "inbound",
                    "occurred_at": NOW,
                    "received_at": NOW,
                    "address_hash": "a hash",
                    "detail": "reply",
                    "landing_file": "twilio_inbound/2026-03-02/1.jsonl",
                    "recorded_at": NOW,
                }
                for key in ("one", "two")
            ],
        )
    return warehouse


@pytest.mark.parametrize("body", ["sync_suppressions", "poll_open_texts", "sync_deactivations", "push_email_opt_outs"])
def test_under_a_stepped_clock_no_real_provider_is_asked(warehouse, in_run, body):
    with pytest.raises(RefusedError, match="stepped by hand"):
        in_run(getattr(provider_sync, body))


def test_without_the_compliance_toolkit_twilio_is_told_nothing(warehouse, in_run):
    with pytest.raises(AirflowSkipException, match="compliance_toolkit"):
        in_run(provider_sync.push_text_opt_outs)


@pytest.mark.parametrize(("given", "group"), [(None, None), ("", None), (7, 7), ("7", 7)])
def test_the_unsubscribe_group_is_a_number(given, group):
    assert provider_sync._group_id({"asm_group_id": given}) == group
    with pytest.raises(ConfigurationError, match="asm_group_id"):
        provider_sync._group_id({"asm_group_id": "seven"})


def test_new_replies_are_told_once_to_the_log_by_default(replied, in_run, caplog):
    with caplog.at_level(logging.WARNING):
        assert in_run(provider_sync.hand_over_replies, takes_context=True) == {"queued": 2, "told": 2}
    assert "REKINDLE REPLIES WAITING count=2 oldest=2026-03-02T18:00:00+00:00 campaigns=none" in caplog.text
    assert in_run(provider_sync.hand_over_replies, takes_context=True) == {"queued": 0, "told": 0}


def test_the_installations_own_notifier_is_told_with_its_templates_filled(replied, in_run, monkeypatch):
    monkeypatch.setattr(reply_notifier, "TOLD", Told, raising=False)
    monkeypatch.setenv("REKINDLE_REPLY_NOTIFIER", "rekindle_airflow.reply_notifier:TOLD")
    in_run(provider_sync.hand_over_replies, takes_context=True)
    assert Told.said == ["2 wait since 2026-03-02"]


@pytest.mark.parametrize("name", ["no.such:thing", "json:dumps", "json:JSONDecoder", "not a name"])
def test_a_notifier_that_is_none_is_refused_before_anything_is_noted(replied, in_run, monkeypatch, name):
    monkeypatch.setenv("REKINDLE_REPLY_NOTIFIER", name)
    with pytest.raises(ConfigurationError, match="REKINDLE_REPLY_NOTIFIER"):
        in_run(provider_sync.hand_over_replies, takes_context=True)
    with replied.transaction() as transaction:
        assert transaction.query("select * from rekindle_state.reply_queue") == []
