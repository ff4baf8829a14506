"""The real Twilio SDK against a server on this machine that answers as Twilio documents."""

from __future__ import annotations

import hashlib
import logging
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import pytest
from starlette.responses import JSONResponse, Response

from rekindle.channels.ports import LookupResult, OutcomeKind, ProviderUnavailableError
from rekindle.channels.provider_errors import Provider, SeenIn
from rekindle.channels.twilio import TwilioChannel, TwilioLookup
from rekindle.errors import ConfigurationError
from rekindle.identity import address_hash
from rekindle.vocabulary import ErrorClass, Exit, LineType, SuppressionReason

SID = "SM" + "a" * 32
ACCOUNT_PATH = "/2010-04-01/Accounts/AC" + "0" * 32


def created(**overrides: Any) -> dict[str, Any]:
    return {
        "sid": SID,
        "status": "accepted",
        "num_segments": "0",
        "error_code": None,
        "date_created": "Sun, 01 Mar 2026 12:00:00 +0000",
    } | overrides


def refused(code: int | None, status: int = 400, **headers: str) -> Response:
    body = {"code": code, "message": "The 'To' number +14155550123 is bad", "more_info": "x", "status": status}
    return JSONResponse(body, status_code=status, headers=headers)


class Waits:
    """Takes the place of sleeping and remembers how long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def test_the_whole_request(serve, twilio_account, provider_errors, an_sms):
    base_url, seen = serve(lambda _: JSONResponse(created(), status_code=201))
    channel = TwilioChannel(twilio_account(base_url), provider_errors, risk_check=False)

    outcome = channel.send(an_sms())

    assert (outcome.kind, outcome.provider, outcome.provider_message_id) == (OutcomeKind.ACCEPTED, "twilio", SID)
    assert [(request.method, request.path, request.query) for request in seen] == [
        ("POST", f"{ACCOUNT_PATH}/Messages.json", "")
    ]
    # base64 of SK222…:twilio-api-secret
    assert seen[0].headers["authorization"].startswith("Basic U0syMjIy")
    assert dict(parse_qsl(seen[0].body.decode())) == {
        "To": "+14155550123",
        "Body": "Hello Ada, come back: https://s.example/c/abc Reply STOP to stop",
        "MessagingServiceSid": "MG" + "1" * 32,
        "StatusCallback": "https://rekindle.example/webhooks/twilio/status"
        "?mid=3f0d3c1e-0000-5000-8000-000000000001#rc=5&rp=all",
        "ValidityPeriod": "7200",
        "SmartEncoded": "false",
        "RiskCheck": "disable",
    }


def test_a_number_as_sender_and_the_risk_check_left_alone(serve, twilio_account, provider_errors, an_sms):
    base_url, seen = serve(lambda _: JSONResponse(created(), status_code=201))
    account = twilio_account(base_url + "/behind/a/prefix", messaging_service_sid=None, from_number="+15005550006")
    TwilioChannel(account, provider_errors).send(an_sms(validity_seconds=90_000))
    form = parse_qs(seen[0].body.decode())
    assert seen[0].path == f"/behind/a/prefix{ACCOUNT_PATH}/Messages.json"
    assert (form["From"], form["ValidityPeriod"]) == (["+15005550006"], ["36000"])
    assert "RiskCheck" not in form and "MessagingServiceSid" not in form


def test_a_message_whose_window_is_over_never_leaves(serve, twilio_account, provider_errors, an_sms):
    base_url, seen = serve(lambda _: JSONResponse(created(), status_code=201))
    outcome = TwilioChannel(twilio_account(base_url), provider_errors).send(an_sms(validity_seconds=0))
    assert (outcome.kind, outcome.error_class, seen) == (OutcomeKind.REFUSED, ErrorClass.TRANSIENT, [])


def test_every_api_row_of_the_table_means_its_class(serve, twilio_account, provider_errors, an_sms):
    rows = [row for row in provider_errors if (row.provider, row.seen_in) == (Provider.TWILIO, SeenIn.API)]
    assert len(rows) > 35
    statuses = {"20003": 401, "20404": 404, "20429": 429, "20500": 500, "63038": 429}
    current = rows[0]
    base_url, _ = serve(lambda _: refused(int(current.error_code), statuses.get(current.error_code, 400)))
    channel = TwilioChannel(twilio_account(base_url), provider_errors)
    for current in rows:
        outcome = channel.send(an_sms())
        unknown = current.error_class is ErrorClass.AMBIGUOUS
        assert outcome.kind is (OutcomeKind.UNKNOWN if unknown else OutcomeKind.REFUSED), current
        assert (outcome.error_code, outcome.error_class, outcome.exit, outcome.suppression) == (
            current.error_code,
            current.error_class,
            current.exit_reason,
            current.suppression_reason,
        )
        assert outcome.retry_after_seconds == (current.retry_after_hours and current.retry_after_hours * 3600.0)


@pytest.mark.parametrize(
    ("code", "exit_reason", "suppression"),
    [
        # Twilio's magic numbers: https://www.twilio.com/docs/iam/test-credentials
        (21211, Exit.INVALID_PHONE, SuppressionReason.INVALID_NUMBER),
        (21614, Exit.INVALID_PHONE, SuppressionReason.INVALID_NUMBER),
        (21610, Exit.SUPPRESSED, SuppressionReason.PROVIDER_OPTOUT),
        (21612, Exit.SMS_FAILED, None),
        (21408, None, None),
        (21212, None, None),
    ],
)
def test_what_a_refusal_does_to_the_lead(
    code, exit_reason, suppression, serve, twilio_account, provider_errors, an_sms
):
    base_url, _ = serve(lambda _: refused(code))
    outcome = TwilioChannel(twilio_account(base_url), provider_errors).send(an_sms())
    assert (outcome.kind, outcome.exit, outcome.suppression) == (OutcomeKind.REFUSED, exit_reason, suppression)


@pytest.mark.parametrize(
    ("response", "kind", "error_class"),
    [
        # codes without a row: the default is our fault, never the lead's
        (refused(29999), OutcomeKind.REFUSED, ErrorClass.CONFIGURATION),
        (refused(None), OutcomeKind.REFUSED, ErrorClass.CONFIGURATION),
        (Response("<html>", status_code=403), OutcomeKind.REFUSED, ErrorClass.CONFIGURATION),
        (Response(status_code=307, headers={"Location": "/x"}), OutcomeKind.REFUSED, ErrorClass.CONFIGURATION),
        # throttled, whatever the code says
        (Response("slow down", status_code=429), OutcomeKind.REFUSED, ErrorClass.TRANSIENT),
        (refused(21211, 429), OutcomeKind.REFUSED, ErrorClass.TRANSIENT),
        # a server that fails proves nothing, whatever the code says
        (refused(21211, 500), OutcomeKind.UNKNOWN, ErrorClass.AMBIGUOUS),
        (Response("<html>", status_code=503), OutcomeKind.UNKNOWN, ErrorClass.AMBIGUOUS),
        (Response(status_code=408), OutcomeKind.UNKNOWN, ErrorClass.AMBIGUOUS),
        # the newer error format, RFC 9457
        (
            JSONResponse({"type": "t", "title": "t", "status": 400, "code": 21610}, status_code=400),
            OutcomeKind.REFUSED,
            ErrorClass.PERMANENT,
        ),
        # accepted, but the answer can not be read
        (Response("{", status_code=201), OutcomeKind.UNKNOWN, ErrorClass.AMBIGUOUS),
        (Response("", status_code=201), OutcomeKind.UNKNOWN, ErrorClass.AMBIGUOUS),
        (JSONResponse([1], status_code=201), OutcomeKind.UNKNOWN, ErrorClass.AMBIGUOUS),
        (JSONResponse(None, status_code=201), OutcomeKind.UNKNOWN, ErrorClass.AMBIGUOUS),
        (JSONResponse({}, status_code=201), OutcomeKind.UNKNOWN, ErrorClass.AMBIGUOUS),
        (JSONResponse(created(sid="nonsense"), status_code=201), OutcomeKind.UNKNOWN, ErrorClass.AMBIGUOUS),
        (JSONResponse(created(date_created=[1]), status_code=201), OutcomeKind.UNKNOWN, ErrorClass.AMBIGUOUS),
    ],
)
def test_an_answer_outside_the_table(response, kind, error_class, serve, twilio_account, provider_errors, an_sms):
    base_url, seen = serve(lambda _: response)
    outcome = TwilioChannel(twilio_account(base_url), provider_errors).send(an_sms())
    assert (outcome.kind, outcome.error_class) == (kind, error_class)
    assert outcome.exit is (Exit.SUPPRESSED if error_class is ErrorClass.PERMANENT else None)
    assert len(seen) == 1


@pytest.mark.parametrize(
    "answer",
    [
        None,  # reset after the whole request was read: Twilio may have accepted it
        b"",  # hangs
        b"HTTP/1.1 20",
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{",  # dies in the body
    ],
)
def test_a_lost_answer_is_unknown_and_never_asked_again(answer, misbehave, twilio_account, provider_errors, an_sms):
    base_url, received = misbehave(answer)
    channel = TwilioChannel(twilio_account(base_url), provider_errors, timeout_seconds=0.5)
    outcome = channel.send(an_sms())
    assert (outcome.kind, outcome.error_class, outcome.exit) == (OutcomeKind.UNKNOWN, ErrorClass.AMBIGUOUS, None)
    assert len(received) == 1


@pytest.mark.parametrize("host", ["dead", "unknown"])
def test_what_surely_never_left_may_be_planned_again(host, dead_url, twilio_account, provider_errors, an_sms):
    base_url = dead_url if host == "dead" else "https://no-such-host.invalid"
    outcome = TwilioChannel(twilio_account(base_url), provider_errors).send(an_sms())
    assert (outcome.kind, outcome.error_class) == (OutcomeKind.REFUSED, ErrorClass.TRANSIENT)
    assert outcome.error_code == {"dead": "connection_refused", "unknown": "name_not_resolved"}[host]


def test_the_waiting_time_comes_from_the_header_before_the_table(serve, twilio_account, provider_errors, an_sms):
    base_url, _ = serve(lambda _: refused(63038, 429, **{"Retry-After": "30"}))
    outcome = TwilioChannel(twilio_account(base_url), provider_errors).send(an_sms())
    assert outcome.retry_after_seconds == 30.0


def listed(number: int, created_at: str, body: str | None = "Hi") -> dict[str, Any]:
    return {
        "sid": f"SM{number:032d}",
        "to": "+14155550123",
        "body": body,
        "status": "queued",
        "date_created": created_at,
        "date_sent": None,
    }


def test_the_list_is_read_to_its_end(serve, twilio_account, provider_errors):
    # Given three pages, where the one we look for is last, after one that is too old
    pages = [
        [listed(1, "Mon, 02 Mar 2026 12:00:00 +0000"), listed(2, "Sat, 28 Feb 2026 23:59:59 +0000")],
        [listed(3, "Sun, 01 Mar 2026 00:00:00 +0000", None)],
        [listed(4, "Sun, 01 Mar 2026 08:00:00 +0000", "see https://s.example/c/tok-42")],
    ]

    def answer(request: Any) -> Response:
        page = int(parse_qs(request.query).get("Page", ["0"])[0])
        more = page + 1 < len(pages)
        following = f"{ACCOUNT_PATH}/Messages.json?To=%2B14155550123&PageSize=1000&Page={page + 1}&PageToken=PA1"
        return JSONResponse({"messages": pages[page], "next_page_uri": following if more else None})

    base_url, seen = serve(answer)
    channel = TwilioChannel(twilio_account(base_url), provider_errors)
    since = datetime(2026, 3, 1, tzinfo=UTC)

    found = channel.find_messages("+14155550123", since)

    assert [message.provider_message_id[-1] for message in found] == ["1", "3", "4"]
    assert (found[0].to_hash, found[0].body_hash, found[0].status, found[0].date_created) == (
        address_hash("+14155550123"),
        hashlib.sha256(b"Hi").hexdigest(),
        "queued",
        datetime(2026, 3, 2, 12, tzinfo=UTC),
    )
    assert found[1].body_hash == hashlib.sha256(b"").hexdigest()
    assert [request.method for request in seen] == ["GET"] * 3
    assert parse_qs(seen[0].query) == {"To": ["+14155550123"], "PageSize": ["1000"]}
    (match,) = channel.find_messages("+14155550123", since, containing="tok-42")
    assert match.provider_message_id == f"SM{4:032d}"


@pytest.mark.parametrize("trouble", ["reset", "503", "429", "broken json", "second page fails"])
def test_an_unreadable_list_is_an_error_and_never_an_empty_list(
    trouble, serve, misbehave, twilio_account, provider_errors
):
    def answer(request: Any) -> Response:
        if trouble == "503":
            return Response(status_code=503)
        if trouble == "429":
            return refused(20429, 429, **{"Retry-After": "2"})
        if trouble == "broken json":
            return Response('{"messages": [')
        if "Page=1" in request.query:
            return Response(status_code=500)
        page = [listed(1, "Mon, 02 Mar 2026 12:00:00 +0000")]
        return JSONResponse({"messages": page, "next_page_uri": f"{ACCOUNT_PATH}/Messages.json?Page=1"})

    waits = Waits()
    base_url = misbehave(None)[0] if trouble == "reset" else serve(answer)[0]
    channel = TwilioChannel(twilio_account(base_url), provider_errors, wait=waits)
    with pytest.raises(ProviderUnavailableError):
        channel.find_messages("+14155550123", datetime(2026, 3, 1, tzinfo=UTC))
    # Reading is safe to repeat: three tries, each wait no shorter than what the provider asked for
    assert len(waits.seconds) == 2
    assert all(2.0 <= wait <= 10.0 for wait in waits.seconds) or trouble != "429"


def looked_up(**overrides: Any) -> dict[str, Any]:
    return {
        "calling_country_code": "1",
        "country_code": "US",
        "phone_number": "+14155550123",
        "national_format": "(415) 555-0123",
        "valid": True,
        "validation_errors": [],
        "line_type_intelligence": {"type": "mobile", "error_code": None, "carrier_name": "A Carrier"},
        "url": "https://lookups.twilio.com/v2/PhoneNumbers/+14155550123",
    } | overrides


def test_a_lookup_asks_only_for_the_line_type(serve, twilio_account, provider_errors):
    base_url, seen = serve(lambda _: JSONResponse(looked_up()))
    lookup = TwilioLookup(twilio_account(base_url), provider_errors, cost_per_lookup=0.008)
    assert lookup.look_up("+14155550123") == LookupResult(LineType.MOBILE, True, (), "US", 0.008)
    assert [(request.method, request.path, request.query) for request in seen] == [
        ("GET", "/v2/PhoneNumbers/+14155550123", "Fields=line_type_intelligence")
    ]


@pytest.mark.parametrize("line_type", list(LineType))
def test_every_documented_line_type_is_understood(line_type, serve, twilio_account, provider_errors):
    package = {"type": line_type.value, "error_code": None}
    base_url, _ = serve(lambda _: JSONResponse(looked_up(line_type_intelligence=package)))
    assert TwilioLookup(twilio_account(base_url), provider_errors).look_up("+14155550123").line_type is line_type


def test_an_invalid_number_is_an_answer(serve, twilio_account, provider_errors):
    answer = looked_up(valid=False, validation_errors=["TOO_SHORT"], line_type_intelligence=None, country_code=None)
    base_url, _ = serve(lambda _: JSONResponse(answer))
    assert TwilioLookup(twilio_account(base_url), provider_errors).look_up("+1415555") == LookupResult(
        LineType.UNKNOWN, False, ("TOO_SHORT",), None, None
    )


@pytest.mark.parametrize(
    ("response", "error", "calls"),
    [
        (refused(20003, 401), ConfigurationError, 1),
        (refused(20404, 404), ConfigurationError, 1),
        (refused(60606, 400), ConfigurationError, 1),
        (refused(99999, 400), ConfigurationError, 1),
        (refused(60728, 400), ProviderUnavailableError, 1),  # an hour is too long to wait for
        (refused(20429, 429), ProviderUnavailableError, 3),
        (Response(status_code=500), ProviderUnavailableError, 3),
        (Response("{", status_code=200), ProviderUnavailableError, 3),
        (JSONResponse({}), ProviderUnavailableError, 3),
        (JSONResponse(looked_up(line_type_intelligence={"error_code": 60601})), ConfigurationError, 1),
        (JSONResponse(looked_up(line_type_intelligence={"type": "satellite"})), ConfigurationError, 1),
    ],
)
def test_a_lookup_without_an_answer_says_whose_fault_it_is(
    response, error, calls, serve, twilio_account, provider_errors
):
    base_url, seen = serve(lambda _: response)
    with pytest.raises(error):
        TwilioLookup(twilio_account(base_url), provider_errors, wait=Waits()).look_up("+14155550123")
    assert len(seen) == calls


def test_logs_outcomes_and_errors_name_nobody(
    serve, misbehave, dead_url, twilio_account, provider_errors, an_sms, caplog: pytest.LogCaptureFixture
):
    secret_body = "Dear Lovelace"
    urls = [
        serve(lambda _: JSONResponse(created(body=secret_body, to="+14155550123"), status_code=201))[0],
        serve(lambda _: refused(21211))[0],
        serve(lambda request: Response(request.body, status_code=500))[0],
        misbehave(None)[0],
        dead_url,
    ]
    # When everything logs all it can, also after somebody reset the levels
    channels = [TwilioChannel(twilio_account(url), provider_errors, wait=Waits()) for url in urls]
    lookups = [TwilioLookup(twilio_account(url), provider_errors, wait=Waits()) for url in urls]
    caplog.set_level(logging.DEBUG)
    for name in ("twilio", "twilio.http_client", "urllib3", "urllib3.connectionpool", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)
    said = repr([channel.send(an_sms(body=secret_body)) for channel in channels])
    for channel, lookup in zip(channels, lookups, strict=True):
        for ask in (
            lambda lookup=lookup: lookup.look_up("+14155550123"),
            lambda channel=channel: channel.find_messages("+14155550123", datetime(2026, 3, 1, tzinfo=UTC)),
        ):
            with pytest.raises((ProviderUnavailableError, ConfigurationError)) as caught:
                ask()
            said += "".join(traceback.format_exception(caught.value))
    said += caplog.text + repr(twilio_account("http://127.0.0.1:1"))
    # The traceback of the test itself quotes this file's lines, so only what the package said is looked at.
    said = "\n".join(line for line in said.splitlines() if "lambda" not in line)
    for secret in ("4155550123", "Lovelace", "twilio-api-secret"):
        assert secret not in said


def test_the_status_callback_survives_odd_ids(serve, twilio_account, provider_errors, an_sms):
    base_url, seen = serve(lambda _: JSONResponse(created(), status_code=201))
    TwilioChannel(twilio_account(base_url), provider_errors).send(an_sms(message_id="a b&c#d"))
    assert parse_qs(seen[0].body.decode())["StatusCallback"] == [
        "https://rekindle.example/webhooks/twilio/status?mid=a%20b%26c%23d#rc=5&rp=all"
    ]


def test_threads_share_a_channel_and_each_keeps_its_own_answer(serve, twilio_account, provider_errors, an_sms):
    def answer(request):
        form = parse_qs(request.body.decode())
        number = int(form["To"][0][-3:])
        if number % 3 == 0:
            # Given refusals that state a wait of their own, between acceptances that state none
            body = {"code": 20429, "message": "Too Many Requests", "status": 429}
            return JSONResponse(body, status_code=429, headers={"Retry-After": str(number + 1)})
        return JSONResponse({"sid": f"SM{number:032x}"}, status_code=201)

    base_url, seen = serve(answer)
    channel = TwilioChannel(twilio_account(base_url), provider_errors)
    texts = [an_sms(message_id=f"message-{number}", to=f"+14155550{number:03d}") for number in range(60)]
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(channel.send, texts))
    assert len(seen) == 60
    for number, outcome in enumerate(outcomes):
        assert outcome.message_id == f"message-{number}"
        if number % 3 == 0:
            assert (outcome.kind, outcome.retry_after_seconds) == (OutcomeKind.REFUSED, number + 1)
        else:
            assert outcome.provider_message_id == f"SM{number:032x}"
