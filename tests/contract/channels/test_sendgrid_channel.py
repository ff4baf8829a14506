"""The real SendGrid SDK against a server on this machine that answers as SendGrid documents."""

from __future__ import annotations

import json
import logging
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.responses import JSONResponse, PlainTextResponse, Response

from rekindle.channels.ports import Outcome, OutcomeKind
from rekindle.channels.provider_errors import Provider, SeenIn
from rekindle.channels.sendgrid import MAX_SUBSTITUTION_BYTES, SendGridChannel
from rekindle.vocabulary import ErrorClass, Exit, SuppressionReason

HELP = "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#message.personalizations.to"


class FixedClock:
    def now(self) -> datetime:
        return datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class RecipientChecker:
    """Accepts a request unless a recipient in it is bad; then refuses the whole request, as SendGrid does."""

    def __init__(self, bad: set[str], names_positions: bool = True, field: str = "personalizations.{n}.to.0.email"):
        self.bad = bad
        self.names_positions = names_positions
        self.field = field
        self.accepted: Counter[str] = Counter()
        self.requests = 0

    def __call__(self, request: Any) -> Response:
        self.requests += 1
        people = json.loads(request.body)["personalizations"]
        wrong = [n for n, person in enumerate(people) if person["to"][0]["email"] in self.bad]
        if not wrong:
            self.accepted.update(person["custom_args"]["rk_message_id"] for person in people)
            return Response(status_code=202, headers={"X-Message-Id": f"batch{self.requests}"})
        fields = [self.field.format(n=n) for n in wrong] if self.names_positions else ["personalizations"]
        errors = [{"message": "Does not contain a valid address.", "field": field, "help": HELP} for field in fields]
        return JSONResponse({"errors": errors}, status_code=400)


def the(outcomes: list[Outcome], message_id: str) -> Outcome:
    (found,) = [outcome for outcome in outcomes if outcome.message_id == message_id]
    return found


def test_the_whole_request(serve, sendgrid_account, provider_errors, an_email):
    base_url, seen = serve(lambda _: Response(status_code=202, headers={"X-Message-Id": "abc"}))
    channel = SendGridChannel(sendgrid_account(base_url, reply_to="care@shop.example"), provider_errors)

    outcomes = channel.send([an_email(1, html="<p>Hello 1</p>"), an_email(2, html="<p>Hello 2</p>")])

    assert [(outcome.message_id, outcome.kind, outcome.provider_message_id) for outcome in outcomes] == [
        ("message-1", OutcomeKind.ACCEPTED, "abc"),
        ("message-2", OutcomeKind.ACCEPTED, "abc"),
    ]
    assert [(request.method, request.path) for request in seen] == [("POST", "/v3/mail/send")]
    assert seen[0].headers["authorization"] == "Bearer SG.secret-api-key"
    assert json.loads(seen[0].body) == {
        "from": {"email": "hello@shop.example", "name": "The Shop"},
        "reply_to": {"email": "care@shop.example"},
        "personalizations": [
            {
                "to": [{"email": "person1@example.com"}],
                "subject": "We miss you, Person 1",
                "headers": {
                    "List-Unsubscribe": "<https://rekindle.example/u/token-1>",
                    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                },
                "custom_args": {
                    "rk_message_id": "message-1",
                    "rk_campaign": "win_back",
                    "rk_step": "probe",
                    "rk_lead": "lead-1",
                },
                "substitutions": {"-rk_text-": "Hello Person 1", "-rk_html-": "<p>Hello 1</p>"},
            },
            {
                "to": [{"email": "person2@example.com"}],
                "subject": "We miss you, Person 2",
                "headers": {
                    "List-Unsubscribe": "<https://rekindle.example/u/token-2>",
                    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                },
                "custom_args": {
                    "rk_message_id": "message-2",
                    "rk_campaign": "win_back",
                    "rk_step": "probe",
                    "rk_lead": "lead-2",
                },
                "substitutions": {"-rk_text-": "Hello Person 2", "-rk_html-": "<p>Hello 2</p>"},
            },
        ],
        "content": [{"type": "text/plain", "value": "-rk_text-"}, {"type": "text/html", "value": "-rk_html-"}],
        "tracking_settings": {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": {"enable": True},
            "subscription_tracking": {"enable": False},
        },
    }


def test_requests_stay_within_the_limits_and_the_order_is_the_batchs(
    serve, sendgrid_account, provider_errors, an_email
):
    checker = RecipientChecker(set())
    base_url, seen = serve(checker)
    long_text = "x" * (MAX_SUBSTITUTION_BYTES - len("-rk_text-"))
    # Given 2,001 plain mails, one just at the substitution limit, one over it, one that names a tag, and one with HTML
    batch = [an_email(number) for number in range(2_001)]
    batch += [
        an_email(5_000, text=long_text),
        an_email(5_001, text=long_text + "é"),
        an_email(5_002, text="literally -rk_text-"),
        an_email(5_003, html="<p>hi</p>"),
    ]

    outcomes = SendGridChannel(sendgrid_account(base_url), provider_errors).send(batch)

    assert [outcome.message_id for outcome in outcomes] == [email.message_id for email in batch]
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.ACCEPTED}
    bodies = [json.loads(request.body) for request in seen]
    assert [len(body["personalizations"]) for body in bodies] == [1_000, 1_000, 2, 1, 1, 1]
    assert bodies[4]["content"] == [{"type": "text/plain", "value": long_text + "é"}]
    assert bodies[5]["content"] == [{"type": "text/plain", "value": "literally -rk_text-"}]
    assert all("substitutions" not in person for body in bodies[4:] for person in body["personalizations"])
    assert set(checker.accepted.values()) == {1}


@pytest.mark.parametrize(
    ("names_positions", "requests"),
    [
        (True, 3),  # the whole, the rest, the named one alone
        (False, 21),  # the whole, then ten halvings of two requests each
    ],
)
def test_one_bad_recipient_of_a_thousand(names_positions, requests, serve, sendgrid_account, provider_errors, an_email):
    checker = RecipientChecker({"person617@example.com"}, names_positions)
    base_url, _ = serve(checker)

    outcomes = SendGridChannel(sendgrid_account(base_url), provider_errors).send([an_email(n) for n in range(1_000)])

    assert checker.requests == requests
    assert checker.accepted == Counter({f"message-{n}": 1 for n in range(1_000) if n != 617})
    bad = the(outcomes, "message-617")
    assert (bad.kind, bad.error_class, bad.exit, bad.suppression) == (
        OutcomeKind.REFUSED,
        ErrorClass.PERMANENT,
        Exit.INVALID_EMAIL,
        SuppressionReason.HARD_BOUNCED,
    )
    assert {outcome.kind for outcome in outcomes if outcome.message_id != "message-617"} == {OutcomeKind.ACCEPTED}


@pytest.fixture
def one_server(serve):
    """One server for all examples of a property, whose answers change."""
    current: list[Any] = []
    return serve(lambda request: current[-1](request)), current.append


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bad=st.sets(st.integers(0, 39), max_size=39), names_positions=st.booleans(), good=st.just(40))
def test_whoever_is_bad_every_good_one_is_accepted_exactly_once(
    bad, names_positions, good, one_server, sendgrid_account, provider_errors, an_email
):
    checker = RecipientChecker({f"person{n}@example.com" for n in bad}, names_positions)
    (base_url, _), answer_with = one_server
    answer_with(checker)
    # Number 40 is good and alone, so something is accepted however many of the others are bad.
    first = an_email(good, html="<p>a request of its own kind</p>")

    outcomes = SendGridChannel(sendgrid_account(base_url), provider_errors).send(
        [first, *(an_email(n) for n in range(good))]
    )

    assert len(outcomes) == 41
    assert max(checker.accepted.values()) == 1
    for outcome in outcomes:
        number = int(outcome.message_id.removeprefix("message-"))
        accepted = checker.accepted[outcome.message_id] == 1
        # Proof both ways: accepted means accepted, refused means not accepted, and no good one is ever blamed.
        assert outcome.kind is (OutcomeKind.ACCEPTED if accepted else OutcomeKind.REFUSED)
        assert outcome.exit is (None if accepted else Exit.INVALID_EMAIL)
        assert accepted is (number not in bad)


def test_a_bad_recipient_alone_in_its_batch_is_blamed(serve, sendgrid_account, provider_errors, an_email):
    base_url, _ = serve(RecipientChecker({"person1@example.com"}))
    (outcome,) = SendGridChannel(sendgrid_account(base_url), provider_errors).send([an_email(1)])
    assert (outcome.kind, outcome.error_code, outcome.exit) == (
        OutcomeKind.REFUSED,
        "400:personalizations.to",
        Exit.INVALID_EMAIL,
    )


@pytest.mark.parametrize(("size", "at_most"), [(2, 3), (3, 5), (1_000, 15)])
@pytest.mark.parametrize("names_positions", [True, False])
def test_when_everybody_is_refused_it_is_our_fault(
    size, at_most, names_positions, serve, sendgrid_account, provider_errors, an_email
):
    checker = RecipientChecker({f"person{n}@example.com" for n in range(size)}, names_positions)
    base_url, _ = serve(checker)
    outcomes = SendGridChannel(sendgrid_account(base_url), provider_errors).send([an_email(n) for n in range(size)])
    assert {(outcome.kind, outcome.error_class, outcome.exit, outcome.suppression) for outcome in outcomes} == {
        (OutcomeKind.REFUSED, ErrorClass.CONFIGURATION, None, None)
    }
    assert checker.requests <= at_most


def test_answers_go_where_the_campaign_says_and_no_request_mixes_two_addresses(
    serve, sendgrid_account, provider_errors, an_email
):
    base_url, seen = serve(lambda _: Response(status_code=202, headers={"X-Message-Id": "abc"}))
    channel = SendGridChannel(sendgrid_account(base_url, reply_to="care@shop.example"), provider_errors)
    batch = [
        an_email(1, reply_to="mara@shop.example"),
        an_email(2),
        an_email(3, reply_to="noor@shop.example"),
        an_email(4, reply_to="mara@shop.example"),
        an_email(5, reply_to="mara@shop.example", text="long " * MAX_SUBSTITUTION_BYTES),
    ]

    outcomes = channel.send(batch)

    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.ACCEPTED}
    sent = Counter()
    for request in map(json.loads, (request.body for request in seen)):
        ids = tuple(one["custom_args"]["rk_message_id"] for one in request["personalizations"])
        assert all("reply_to" not in one for one in request["personalizations"])
        sent[request["reply_to"]["email"], ids] += 1
    assert sent == {
        ("mara@shop.example", ("message-1", "message-4")): 1,
        ("mara@shop.example", ("message-5",)): 1,
        ("care@shop.example", ("message-2",)): 1,
        ("noor@shop.example", ("message-3",)): 1,
    }


@pytest.mark.parametrize("field", ["from.email", "content.0.value", "reply_to", "tracking_settings.open_tracking"])
def test_a_400_about_our_own_part_of_the_request_is_not_split(
    field, serve, sendgrid_account, provider_errors, an_email
):
    base_url, seen = serve(lambda _: JSONResponse({"errors": [{"field": field, "message": "no"}]}, status_code=400))
    outcomes = SendGridChannel(sendgrid_account(base_url), provider_errors).send([an_email(n) for n in range(50)])
    assert len(seen) == 1
    assert {(outcome.error_class, outcome.exit, outcome.detail) for outcome in outcomes} == {
        (ErrorClass.CONFIGURATION, None, f"HTTP 400 about {field}")
    }


def test_a_400_about_one_personalization_that_is_not_its_recipient_holds_back_only_that_one(
    serve, sendgrid_account, provider_errors, an_email
):
    base_url, _ = serve(RecipientChecker({"person3@example.com"}, field="personalizations.{n}.subject"))
    outcomes = SendGridChannel(sendgrid_account(base_url), provider_errors).send([an_email(n) for n in range(8)])
    held = the(outcomes, "message-3")
    assert (held.kind, held.error_class, held.exit) == (OutcomeKind.REFUSED, ErrorClass.CONFIGURATION, None)
    assert sum(outcome.kind is OutcomeKind.ACCEPTED for outcome in outcomes) == 7


@pytest.mark.parametrize(
    "body",
    [b"<html>bad request</html>", b"[]", b"null", b'{"errors":[{"field":null,"message":"bad"}]}', b'{"errors":{}}'],
)
def test_a_400_that_names_nothing_never_marks_a_lead(body, serve, sendgrid_account, provider_errors, an_email):
    base_url, _ = serve(lambda _: Response(body, status_code=400))
    channel = SendGridChannel(sendgrid_account(base_url), provider_errors)
    for size in (1, 5):
        outcomes = channel.send([an_email(n) for n in range(size)])
        assert {(outcome.error_class, outcome.exit) for outcome in outcomes} == {(ErrorClass.CONFIGURATION, None)}


def test_every_api_row_of_the_table_means_its_class(serve, sendgrid_account, provider_errors, an_email):
    status = 0
    base_url, _ = serve(lambda _: PlainTextResponse("<html>nginx</html>", status_code=status))
    channel = SendGridChannel(sendgrid_account(base_url), provider_errors)
    codes = {
        row.error_code: row for row in provider_errors if (row.provider, row.seen_in) == (Provider.SENDGRID, SeenIn.API)
    }
    assert {"400", "401", "403", "404", "405", "413", "415", "429", "500", "502", "503", "504"} <= set(codes)
    for code, row in codes.items():
        if not code.isdecimal():
            continue
        status = int(code)
        (outcome,) = channel.send([an_email(1)])
        unknown = row.error_class is ErrorClass.AMBIGUOUS
        assert outcome.kind is (OutcomeKind.UNKNOWN if unknown else OutcomeKind.REFUSED)
        assert (outcome.error_code, outcome.error_class, outcome.exit) == (code, row.error_class, None)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"X-RateLimit-Reset": str(int(datetime(2026, 3, 1, 12, 0, 42, tzinfo=UTC).timestamp()))}, 42.0),
        ({"Retry-After": "7", "X-RateLimit-Reset": "1"}, 7.0),
        ({"Retry-After": "Sun, 01 Mar 2026 12:01:00 GMT"}, 60.0),
        ({"X-RateLimit-Reset": "12"}, 0.0),  # long past
        ({}, None),
    ],
)
def test_a_throttled_batch_is_refused_as_a_whole_and_says_how_long_to_wait(
    headers, wait, serve, sendgrid_account, provider_errors, an_email
):
    base_url, seen = serve(lambda _: JSONResponse({"errors": []}, status_code=429, headers=headers))
    channel = SendGridChannel(sendgrid_account(base_url), provider_errors, clock=FixedClock())
    outcomes = channel.send([an_email(n) for n in range(1_500)])
    assert len(seen) == 1  # the second request of the batch was not even tried
    assert {(outcome.kind, outcome.error_class, outcome.retry_after_seconds) for outcome in outcomes} == {
        (OutcomeKind.REFUSED, ErrorClass.TRANSIENT, wait)
    }


@pytest.mark.parametrize(
    "answer",
    [
        None,  # reset
        b"",  # hangs
        b"HTTP/1.1 20",  # dies in the status line
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\nabc",  # dies in the body
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",  # not what a send answers
        b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 599 Strange\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 100\r\n\r\n{",  # an error we could not read to its end
    ],
)
def test_what_proves_nothing_is_unknown_and_stops_the_batch(
    answer, misbehave, sendgrid_account, provider_errors, an_email
):
    base_url, received = misbehave(answer)
    channel = SendGridChannel(sendgrid_account(base_url), provider_errors, timeout_seconds=0.5)
    outcomes = channel.send([an_email(n) for n in range(1_001)])
    assert len(received) == 1
    assert {outcome.kind for outcome in outcomes[:1_000]} == {OutcomeKind.UNKNOWN}
    assert {(outcome.error_class, outcome.exit) for outcome in outcomes[:1_000]} == {(ErrorClass.AMBIGUOUS, None)}
    # The second request never left, which is proved.
    assert (outcomes[1_000].kind, outcomes[1_000].error_class) == (OutcomeKind.REFUSED, ErrorClass.TRANSIENT)


def test_a_redirect_is_never_an_acceptance(serve, sendgrid_account, provider_errors, an_email):
    def answer(request):
        return Response(status_code=202 if request.method == "GET" else 302, headers={"Location": "/elsewhere"})

    base_url, seen = serve(answer)
    (outcome,) = SendGridChannel(sendgrid_account(base_url), provider_errors).send([an_email(1)])
    assert (outcome.kind, outcome.error_class, outcome.error_code) == (
        OutcomeKind.REFUSED,
        ErrorClass.CONFIGURATION,
        "302",
    )
    assert [request.method for request in seen] == ["POST"]


def test_nobody_listening_is_surely_not_sent(dead_url, sendgrid_account, provider_errors, an_email):
    (outcome,) = SendGridChannel(sendgrid_account(dead_url), provider_errors).send([an_email(1)])
    assert (outcome.kind, outcome.error_class, outcome.error_code) == (
        OutcomeKind.REFUSED,
        ErrorClass.TRANSIENT,
        "connection_refused",
    )


def test_a_name_nobody_knows_is_surely_not_sent(sendgrid_account, provider_errors, an_email):
    account = sendgrid_account("https://no-such-host.invalid")
    (outcome,) = SendGridChannel(account, provider_errors).send([an_email(1)])
    assert (outcome.kind, outcome.error_class) == (OutcomeKind.REFUSED, ErrorClass.TRANSIENT)
    assert outcome.error_code == "name_not_resolved"


def test_halves_that_were_accepted_stay_accepted_when_a_later_one_times_out(
    serve, sendgrid_account, provider_errors, an_email
):
    # Given a batch of eight whose second half, and only that, meets a server error after the first was accepted
    answers = [
        JSONResponse({"errors": [{"field": None, "message": "bad"}]}, status_code=400),
        Response(status_code=202, headers={"X-Message-Id": "first"}),
        Response(status_code=503),
    ]
    base_url, seen = serve(lambda _: answers[len(seen) - 1])
    outcomes = SendGridChannel(sendgrid_account(base_url), provider_errors).send([an_email(n) for n in range(8)])
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.ACCEPTED] * 4 + [OutcomeKind.UNKNOWN] * 4
    assert len(seen) == 3


def test_a_suspect_is_not_blamed_when_the_proof_was_cut_off(serve, sendgrid_account, provider_errors, an_email):
    # Given a pair: one is refused alone, then throttling hides what would have become of the other
    named = {"errors": [{"field": "personalizations", "message": "bad"}]}
    answers = [JSONResponse(named, status_code=400), JSONResponse(named, status_code=400), Response(status_code=429)]
    base_url, seen = serve(lambda _: answers[len(seen) - 1])
    outcomes = SendGridChannel(sendgrid_account(base_url), provider_errors).send([an_email(0), an_email(1)])
    assert {(outcome.kind, outcome.error_class, outcome.exit) for outcome in outcomes} == {
        (OutcomeKind.REFUSED, ErrorClass.TRANSIENT, None)
    }


@pytest.mark.parametrize(
    "flaw",
    [
        {"subject": "two\r\nBcc: everybody@example.com"},
        {"subject": "  "},
        {"text": ""},
        {"html": ""},
        {"unsubscribe_url": "https://x.example/u/a> ,<mailto:x@example.com"},
        {"unsubscribe_url": "http://rekindle.example/u/a"},
        {"unsubscribe_url": ""},
        {"text": "half a pair \ud83d"},
    ],
)
def test_a_message_that_can_not_be_sent_does_not_take_its_neighbours_with_it(
    flaw, serve, sendgrid_account, provider_errors, an_email
):
    checker = RecipientChecker(set())
    base_url, _ = serve(checker)
    outcomes = SendGridChannel(sendgrid_account(base_url), provider_errors).send([an_email(1, **flaw), an_email(2)])
    assert [(outcome.kind, outcome.error_class, outcome.exit) for outcome in outcomes] == [
        (OutcomeKind.REFUSED, ErrorClass.CONFIGURATION, None),
        (OutcomeKind.ACCEPTED, None, None),
    ]
    assert checker.accepted == Counter({"message-2": 1})


def test_the_same_message_twice_is_refused_before_anything_leaves(serve, sendgrid_account, provider_errors, an_email):
    base_url, seen = serve(lambda _: Response(status_code=202))
    with pytest.raises(ValueError, match="same message twice"):
        SendGridChannel(sendgrid_account(base_url), provider_errors).send([an_email(1), an_email(1)])
    assert seen == []


def test_an_empty_batch_asks_nothing(dead_url, sendgrid_account, provider_errors):
    assert SendGridChannel(sendgrid_account(dead_url), provider_errors).send([]) == []


def test_a_lead_id_that_is_an_address_stays_at_home(serve, sendgrid_account, provider_errors, an_email):
    base_url, seen = serve(lambda _: Response(status_code=202))
    SendGridChannel(sendgrid_account(base_url), provider_errors).send([an_email(1, lead_id="ada@example.com")])
    (person,) = json.loads(seen[0].body)["personalizations"]
    assert person["custom_args"] == {"rk_message_id": "message-1", "rk_campaign": "win_back", "rk_step": "probe"}


def test_logs_and_outcomes_name_nobody(
    serve, misbehave, sendgrid_account, provider_errors, an_email, caplog: pytest.LogCaptureFixture
):
    ada: dict[str, Any] = {"to": "ada.private@example.com", "subject": "Dear Lovelace", "text": "Body for Lovelace"}

    def echo(request: Any) -> Response:
        error = {"field": "personalizations.0.to.0.email", "message": request.body.decode()}
        return JSONResponse({"errors": [error]}, status_code=400)

    channels = [
        SendGridChannel(sendgrid_account(serve(handler)[0]), provider_errors)
        for handler in (lambda _: Response(status_code=202), echo, lambda r: Response(r.body, status_code=500))
    ]
    channels.append(SendGridChannel(sendgrid_account(misbehave(None)[0]), provider_errors))
    # When everything logs all it can, also after somebody reset the levels
    caplog.set_level(logging.DEBUG)
    for name in ("python_http_client", "python_http_client.client", "urllib3", "sendgrid"):
        caplog.set_level(logging.DEBUG, logger=name)
    outcomes = [outcome for channel in channels for outcome in channel.send([an_email(1, **ada)])]
    said = caplog.text + repr(outcomes) + repr(sendgrid_account("http://127.0.0.1:1"))
    for secret in ("ada.private", "Lovelace", "SG.secret"):
        assert secret not in said
