from __future__ import annotations

from pathlib import Path

import pytest

from rekindle.channels.ports import OutcomeKind
from rekindle.channels.provider_errors import (
    BAD_RECIPIENT,
    COLUMNS,
    Action,
    Provider,
    ProviderErrors,
    SeenIn,
    read_provider_errors,
    sendgrid_receipt_code,
)
from rekindle.errors import ConfigurationError
from rekindle.vocabulary import ErrorClass, Exit, SuppressionReason

GOOD = "twilio,21211,api,permanent,end_entry,invalid_phone,invalid_number,,Invalid To number,a page"


@pytest.fixture
def table(tmp_path: Path):
    """Write a table of these lines under the right header and give its path."""

    def write(*lines: str, header: str = ",".join(COLUMNS)) -> Path:
        path = tmp_path / "provider_errors.csv"
        path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="module")
def reviewed() -> ProviderErrors:
    return ProviderErrors.load()


def test_the_reviewed_table_holds_what_it_says():
    rows = {(row.provider, row.error_code, row.seen_in): row for row in ProviderErrors.load()}
    # A refusal of the number itself
    row = rows[Provider.TWILIO, "21211", SeenIn.API]
    assert (row.error_class, row.action, row.exit_reason, row.suppression_reason) == (
        ErrorClass.PERMANENT,
        Action.END_ENTRY,
        Exit.INVALID_PHONE,
        SuppressionReason.INVALID_NUMBER,
    )
    # An unreachable handset is not given up after one receipt
    row = rows[Provider.TWILIO, "30003", SeenIn.RECEIPT]
    assert (row.action, row.exit_reason, row.suppression_reason, row.retry_after_hours) == (
        Action.COUNT,
        None,
        None,
        24,
    )
    # Carrier filtering is about the campaign, and never sent again
    row = rows[Provider.TWILIO, "30007", SeenIn.RECEIPT]
    assert (row.error_class, row.action, row.exit_reason) == (ErrorClass.CONFIGURATION, Action.COUNT, None)
    # What SendGrid knows and we did not
    row = rows[Provider.SENDGRID, "dropped:Unsubscribed Address", SeenIn.RECEIPT]
    assert (row.exit_reason, row.suppression_reason) == (Exit.UNSUBSCRIBED, SuppressionReason.UNSUBSCRIBED)
    assert rows[Provider.SENDGRID, BAD_RECIPIENT, SeenIn.API].exit_reason is Exit.INVALID_EMAIL


@pytest.mark.parametrize(
    ("provider", "codes"),
    [
        (
            Provider.TWILIO,
            "20003 20404 20429 20500 21211 21212 21214 21217 21408 21602 21603 21604 21606 21608 21609 21610 "
            "21611 21612 21614 21617 21635 21656 21659 21660 21661 21703 21704 21705 21730 30001 30002 30003 "
            "30004 30005 30006 30007 30008 30009 30010 30011 30017 30018 30019 30022 30023 30024 30025 30026 "
            "30027 30032 30033 30034 30035 30036 30037 30038 30039 30044 30045 30046 30047 30110 30111 30410 "
            "30450 30453 30454 30500 30610 30640 35111 35114 35115 35117 35118 35125 57012 60600 60601 60606 "
            "60728 63014 63017 63038",
        ),
        (Provider.SENDGRID, "400 401 403 404 405 413 415 429 500 503 504 bounce:bounce bounce:blocked bounce:expired"),
    ],
)
def test_no_documented_code_is_missing(provider, codes, reviewed):
    known = {row.error_code for row in reviewed if row.provider is provider}
    assert set(codes.split()) - known == set()


def test_only_a_permanent_row_changes_a_lead(reviewed):
    for row in reviewed:
        changes_the_lead = row.exit_reason is not None or row.suppression_reason is not None
        assert changes_the_lead is (row.error_class is ErrorClass.PERMANENT), row


@pytest.mark.parametrize(
    ("status", "code", "error_class", "action"),
    [
        (400, "29999", ErrorClass.CONFIGURATION, Action.STOP_RUN),
        (307, "307", ErrorClass.CONFIGURATION, Action.STOP_RUN),
        (429, "29999", ErrorClass.TRANSIENT, Action.RETRY_LATER),
        (429, "21211", ErrorClass.TRANSIENT, Action.RETRY_LATER),  # throttled, so not even looked at
        (408, "21211", ErrorClass.AMBIGUOUS, Action.SETTLE_UNKNOWN),
        (500, "21211", ErrorClass.AMBIGUOUS, Action.SETTLE_UNKNOWN),
        (503, "20500", ErrorClass.AMBIGUOUS, Action.SETTLE_UNKNOWN),
        (0, "no_status", ErrorClass.AMBIGUOUS, Action.SETTLE_UNKNOWN),
        (200, "21211", ErrorClass.AMBIGUOUS, Action.SETTLE_UNKNOWN),
    ],
)
def test_the_defaults_for_a_request(status, code, error_class, action, reviewed):
    error = reviewed.for_api(Provider.TWILIO, code, status)
    assert (error.error_class, error.action, error.exit_reason) == (error_class, action, None)


def test_an_unknown_receipt_is_only_counted(reviewed):
    error = reviewed.for_receipt(Provider.TWILIO, "39999")
    assert (error.action, error.exit_reason, error.suppression_reason) == (Action.COUNT, None, None)


def test_the_same_code_may_mean_different_things_in_different_places(reviewed):
    assert reviewed.find(Provider.TWILIO, "20003", SeenIn.LOOKUP) is not None
    assert reviewed.find(Provider.TWILIO, "21211", SeenIn.RECEIPT) is None


def test_an_ambiguous_error_makes_an_unknown_outcome(reviewed):
    outcome = reviewed.for_api(Provider.TWILIO, "20500", 500).outcome("m", "HTTP 500")
    assert (outcome.kind, outcome.exit) == (OutcomeKind.UNKNOWN, None)
    outcome = reviewed.for_api(Provider.TWILIO, "21611", 400).outcome("m", "full")
    assert (outcome.kind, outcome.retry_after_seconds) == (OutcomeKind.REFUSED, 3600.0)
    assert reviewed.for_api(Provider.TWILIO, "21611", 400).outcome("m", "full", 5.0).retry_after_seconds == 5.0


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (
            "mailgun,1,api,transient,retry_later,,,,m,s",
            "row 2, column provider: 'mailgun' is not one of sendgrid, twilio",
        ),
        ("twilio,,api,transient,retry_later,,,,m,s", "row 2, column error_code: must not be empty"),
        (
            "twilio,1,dlr,transient,retry_later,,,,m,s",
            "row 2, column seen_in: 'dlr' is not one of api, receipt, lookup",
        ),
        ("twilio,1,api,Transient,retry_later,,,,m,s", "row 2, column error_class: 'Transient' is not one of"),
        ("twilio,1,api,transient,retry,,,,m,s", "row 2, column action: 'retry' is not one of"),
        ("twilio,1,api,permanent,end_entry,dead,,,m,s", "row 2, column exit_reason: 'dead' is not one of"),
        ("twilio,1,api,permanent,end_entry,,,,m,s", "row 2, column exit_reason: end_entry needs"),
        ("twilio,1,api,configuration,stop_run,archived,,,m,s", "row 2, column exit_reason: only end_entry"),
        ("twilio,1,api,configuration,stop_run,,blocked,,m,s", "row 2, column suppression_reason: only end_entry"),
        ("twilio,1,api,configuration,end_entry,sms_failed,,,m,s", "row 2, column action: end_entry needs"),
        ("twilio,1,api,permanent,count,,,,m,s", "row 2, column action: error_class permanent needs end_entry"),
        ("twilio,1,api,transient,stop_run,,,,m,s", "row 2, column action: stop_run needs"),
        ("twilio,1,api,ambiguous,retry_later,,,,m,s", "row 2, column action: what may have been accepted"),
        ("twilio,1,api,transient,retry_later,,,0,m,s", "row 2, column retry_after_hours: '0'"),
        ("twilio,1,api,transient,retry_later,,,1.5,m,s", "row 2, column retry_after_hours: '1.5'"),
        ("twilio,1,api,transient,retry_later,,,,,s", "row 2, column meaning: must not be empty"),
        ("twilio,1,api,transient,retry_later,,,,m,", "row 2, column source: must not be empty"),
        ("twilio, 1,api,transient,retry_later,,,,m,s", "row 2, column error_code: spaces around ' 1'"),
        ("twilio,1,api,transient,retry_later,,,,one, two,s", "row 2, column count"),
        ("twilio,1,api", "row 2, column count"),
        (f"{GOOD}\n{GOOD}", "row 3, column error_code: '21211' already has row 2"),
    ],
)
def test_a_wrong_row_is_named_with_its_column(line, complaint, table):
    with pytest.raises(ConfigurationError) as caught:
        read_provider_errors(table(line))
    assert complaint in str(caught.value)
    assert str(table(line)) in str(caught.value)


def test_every_wrong_row_is_named_at_once(table):
    path = table(GOOD, "mailgun,1,api,transient,retry_later,,,,m,s", "twilio,2,api,permanent,end_entry,,,,m,s")
    with pytest.raises(ConfigurationError, match=r"row 3, column provider.*row 4, column exit_reason"):
        read_provider_errors(path)


def test_a_table_that_is_no_table(table, tmp_path):
    with pytest.raises(ConfigurationError, match="the columns must be provider, error_code"):
        read_provider_errors(table(GOOD, header="provider,error_code"))
    with pytest.raises(ConfigurationError, match="the table is empty"):
        read_provider_errors(table())
    with pytest.raises(ConfigurationError, match="can not be read"):
        read_provider_errors(tmp_path / "nowhere.csv")
    (tmp_path / "latin.csv").write_bytes(b"provider\xff\n")
    with pytest.raises(ConfigurationError, match="can not be read"):
        read_provider_errors(tmp_path / "latin.csv")


@pytest.mark.parametrize(
    ("event", "bounce_type", "reason", "code"),
    [
        ("bounce", "blocked", "550 ...", "bounce:blocked"),
        ("bounce", None, None, "bounce:bounce"),
        ("dropped", None, "Bounced Address", "dropped:Bounced Address"),
        ("dropped", None, None, "dropped:unknown"),
        ("spamreport", None, None, "spamreport"),
    ],
)
def test_sendgrid_events_as_codes(event, bounce_type, reason, code):
    assert sendgrid_receipt_code(event, bounce_type, reason) == code
