"""Twilio's documented behaviour, seen through the official SDK."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator

FROM = "+15005550006"
SERVICE = "MG" + "a" * 32
CALLBACK = "https://rekindle.example/webhooks/twilio/status"


def number(index: int) -> str:
    """A fictional US number."""
    return (
        f"+1{212 + index // 100 % 3 * 100 + 1}555{index:04d}"
        if index < 100
        else f"+1415{index // 10000 + 230:03d}{index % 10000:04d}"
    )


def text(sandbox, index: int, **changes):
    given = {
        "to": number(index),
        "from_": FROM,
        "body": "Come back? Reply STOP to end.",
        "status_callback": f"{CALLBACK}?mid=m{index}#rc=5&rp=all",
    }
    return sandbox.twilio().messages.create(**{**given, **changes})


class TestCreating:
    def test_a_plain_number_starts_queued(self, sandbox):
        created = text(sandbox, 1)

        assert created.sid.startswith("SM") and len(created.sid) == 34
        assert (created.status, created.num_segments, created.num_media) == ("queued", "1", "0")
        assert (created.direction, created.api_version, created.price, created.price_unit) == (
            "outbound-api",
            "2010-04-01",
            None,
            "USD",
        )
        assert (created.error_code, created.error_message, created.date_sent) == (None, None, None)
        assert created.date_created == datetime(2026, 7, 18, 18, tzinfo=UTC)
        assert created.uri == f"/2010-04-01/Accounts/{sandbox.account_sid}/Messages/{created.sid}.json"

    def test_the_answer_is_201_with_rfc_2822_dates_and_strings(self, sandbox, basic):
        answer = sandbox.http.post(
            f"/2010-04-01/Accounts/{sandbox.account_sid}/Messages.json",
            data={"To": number(1), "From": FROM, "Body": "x" * 161},
            headers={
                "Authorization": basic(sandbox.account_sid, sandbox.settings.twilio_auth_token.get_secret_value())
            },
        )
        assert answer.status_code == 201
        assert answer.json()["date_created"] == "Sat, 18 Jul 2026 18:00:00 +0000"
        assert answer.json()["num_segments"] == "2"
        assert parsedate_to_datetime(answer.json()["date_updated"]).tzinfo is not None

    def test_a_messaging_service_starts_accepted_with_zero_segments(self, sandbox):
        created = text(sandbox, 1, from_=None, messaging_service_sid=SERVICE)
        assert (created.status, created.num_segments, created.from_, created.messaging_service_sid) == (
            "accepted",
            "0",
            None,
            SERVICE,
        )

        sandbox.step_and_deliver(hours=1)
        later = sandbox.twilio().messages(created.sid).fetch()
        assert (later.num_segments, later.from_) == ("1", FROM)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            # magic numbers
            ({"from_": "+15005550001"}, 21212),
            ({"from_": "+15005550007"}, 21606),
            ({"from_": "+15005550008"}, 21611),
            ({"to": "+15005550001"}, 21211),
            ({"to": "+15005550002"}, 21612),
            ({"to": "+15005550003"}, 21408),
            ({"to": "+15005550004"}, 21610),
            ({"to": "+15005550009"}, 21614),
            # what is missing or wrong
            ({"to": ""}, 21604),
            ({"from_": ""}, 21603),
            ({"body": ""}, 21602),
            ({"body": "x" * 1601}, 21617),
            ({"to": "2125550100"}, 21211),
            ({"to": "+1212555"}, 21211),
            ({"to": "+999123456789"}, 21211),
            ({"to": FROM}, 21211),
            ({"from_": "a name that is too long"}, 21212),
            ({"status_callback": "not a url"}, 21609),
            ({"status_callback": "https://under_score.example/x"}, 21609),
            ({"status_callback": "http://127.0.0.1:99999/x"}, 21609),
            ({"from_": None, "messaging_service_sid": "MGshort"}, 21701),
            # scheduling
            ({"schedule_type": "fixed", "send_at": datetime(2026, 7, 19, tzinfo=UTC)}, 35118),
            ({"messaging_service_sid": SERVICE, "schedule_type": "fixed"}, 35111),
            (
                {
                    "messaging_service_sid": SERVICE,
                    "schedule_type": "fixed",
                    "send_at": datetime(2026, 7, 18, 18, 4, tzinfo=UTC),
                },
                35114,
            ),
        ],
    )
    def test_refuses_with_the_documented_code(self, sandbox, changes, code):
        with pytest.raises(TwilioRestException) as caught:
            text(sandbox, 1, **changes)
        assert (caught.value.status, caught.value.code) == (400, code)
        assert caught.value.uri.endswith("/Messages.json")
        assert sandbox.accepted() == []

    def test_the_error_body_has_four_fields(self, sandbox, basic):
        answer = sandbox.http.post(
            f"/2010-04-01/Accounts/{sandbox.account_sid}/Messages.json",
            data={"To": "+15005550004", "From": FROM, "Body": "x"},
            headers={
                "Authorization": basic(sandbox.account_sid, sandbox.settings.twilio_auth_token.get_secret_value())
            },
        )
        assert answer.json() == {
            "code": 21610,
            "message": "Attempt to send to unsubscribed recipient",
            "more_info": "https://www.twilio.com/docs/errors/21610",
            "status": 400,
        }

    def test_a_wrong_token_is_20003(self, sandbox):
        with pytest.raises(TwilioRestException) as caught:
            sandbox.twilio("wrong").messages.create(to=number(1), from_=FROM, body="x")
        assert (caught.value.status, caught.value.code) == (401, 20003)

    def test_an_api_key_works_like_the_account(self, start_sandbox):
        sandbox = start_sandbox(twilio_api_key_sid="SK" + "1" * 32, twilio_api_key_secret="s3cret")
        from twilio.rest import Client

        client = Client("SK" + "1" * 32, "s3cret", account_sid=sandbox.account_sid, http_client=sandbox.transport)
        assert client.messages.create(to=number(1), from_=FROM, body="x").status == "queued"

    def test_another_account_and_an_unknown_sid_are_20404(self, sandbox):
        with pytest.raises(TwilioRestException) as caught:
            sandbox.twilio().messages("SM" + "0" * 32).fetch()
        assert (caught.value.status, caught.value.code) == (404, 20404)
        with pytest.raises(TwilioRestException) as caught:
            sandbox.twilio().api.accounts("AC" + "9" * 32).messages.create(to=number(1), from_=FROM, body="x")
        assert (caught.value.status, caught.value.code) == (404, 20404)

    def test_scheduled_waits_and_can_be_cancelled(self, sandbox, receiver):
        when = datetime(2026, 7, 18, 20, tzinfo=UTC)
        kept, dropped = (
            text(sandbox, n, from_=None, messaging_service_sid=SERVICE, schedule_type="fixed", send_at=when)
            for n in (1, 2)
        )
        assert kept.status == "scheduled"
        assert sandbox.twilio().messages(dropped.sid).update(status="canceled").status == "canceled"
        sandbox.step_and_deliver(hours=1)
        assert receiver.calls == []
        sandbox.step_and_deliver(hours=2)
        assert {call.mid for call in receiver.at("/webhooks/twilio/status")} == {"m1"}
        with pytest.raises(TwilioRestException) as caught:
            sandbox.twilio().messages(kept.sid).update(status="canceled")
        assert caught.value.code == 30409
        assert sandbox.twilio().messages(kept.sid).update(body="").body == ""


class TestListing:
    def test_the_sdk_follows_every_page(self, sandbox):
        sids = [text(sandbox, 1 + n % 3).sid for n in range(23)]

        listed = sandbox.twilio().messages.list(page_size=5)
        assert [message.sid for message in listed] == sids[::-1]
        assert [message.sid for message in sandbox.twilio().messages.list(limit=7, page_size=5)] == sids[:-8:-1]
        one = sandbox.twilio().messages.list(to=number(2), page_size=2)
        assert [message.sid for message in one] == sids[1::3][::-1]

    def test_pages_do_not_shift_when_messages_arrive(self, sandbox):
        sids = [text(sandbox, 1).sid for _ in range(4)]
        page = sandbox.twilio().messages.page(page_size=2)
        assert [message.sid for message in page] == [sids[3], sids[2]]
        text(sandbox, 1)
        following = page.next_page()
        assert [message.sid for message in following] == [sids[1], sids[0]]
        assert following.next_page() is None

    def test_the_next_page_uri_keeps_the_filters(self, sandbox, basic):
        for _ in range(3):
            text(sandbox, 1)
        headers = {"Authorization": basic(sandbox.account_sid, sandbox.settings.twilio_auth_token.get_secret_value())}
        path = f"/2010-04-01/Accounts/{sandbox.account_sid}/Messages.json"
        answer = sandbox.http.get(path, params={"To": number(1), "PageSize": 2}, headers=headers).json()
        following = urlsplit(answer["next_page_uri"])
        assert following.path == path
        query = {name: values[0] for name, values in parse_qs(following.query).items()}
        assert query.pop("PageToken").startswith("PASM")
        assert query == {"To": number(1), "PageSize": "2", "Page": "1"}
        last = sandbox.http.get(answer["next_page_uri"], headers=headers).json()
        assert (len(last["messages"]), last["next_page_uri"]) == (1, None)

    def test_filters_by_day_sent_and_sender(self, sandbox):
        sids = []
        for _ in range(3):
            sids.append(text(sandbox, 5, status_callback=None).sid)
            sandbox.step_and_deliver(days=1)
        waiting = text(sandbox, 5).sid
        client = sandbox.twilio()
        days = [date(2026, 7, 18), date(2026, 7, 19), date(2026, 7, 20)]

        assert {m.sid for m in client.messages.list(to=number(5))} == {*sids, waiting}
        assert [m.sid for m in client.messages.list(date_sent=days[1])] == [sids[1]]
        assert [m.sid for m in client.messages.list(date_sent_before=days[1])] == [sids[1], sids[0]]
        assert [m.sid for m in client.messages.list(date_sent_after=days[1])] == [sids[2], sids[1]]
        between = client.messages.list(
            to=number(5),
            date_sent_after=datetime(2026, 7, 19, 5, tzinfo=UTC),
            date_sent_before=datetime(2026, 7, 19, 6, tzinfo=UTC),
        )
        assert [m.sid for m in between] == [sids[1]]  # the day counts, not the time
        assert client.messages.list(from_="+15005550010") == []
        assert len(client.messages.list(from_=FROM)) == 4

    def test_a_senseless_filter_is_400(self, sandbox, basic):
        headers = {"Authorization": basic(sandbox.account_sid, sandbox.settings.twilio_auth_token.get_secret_value())}
        path = f"/2010-04-01/Accounts/{sandbox.account_sid}/Messages.json"
        for query in ({"DateSent": "yesterday"}, {"PageSize": "many"}, {"PageToken": "x"}):
            assert sandbox.http.get(path, params=query, headers=headers).json()["code"] == 20001


class TestCallbacks:
    def test_are_signed_over_the_public_url_without_fragment(self, sandbox, receiver):
        for index in range(40):
            text(sandbox, index)
        sandbox.step_and_deliver(hours=1)

        calls = receiver.at("/webhooks/twilio/status")
        assert len(calls) >= 60
        validator = RequestValidator(sandbox.settings.twilio_auth_token.get_secret_value())
        for call in calls:
            url = f"{CALLBACK}?{call.query}"
            assert validator.validate(url, call.form, call.headers["x-twilio-signature"])
            assert not validator.validate(url + "&x=1", call.form, call.headers["x-twilio-signature"])
            assert call.headers["i-twilio-idempotency-token"]

    def test_tell_sent_then_the_end_and_echo_our_id(self, sandbox, receiver):
        created = {index: text(sandbox, index) for index in range(60)}
        sandbox.step_and_deliver(hours=1)

        told: dict[str, list[dict[str, str]]] = {}
        for call in receiver.at("/webhooks/twilio/status"):
            told.setdefault(call.mid, []).append(call.form)
        assert set(told) == {f"m{index}" for index in created}
        ends = set()
        for index, message in created.items():
            forms = told[f"m{index}"]
            assert {form["MessageSid"] for form in forms} == {message.sid} == {form["SmsSid"] for form in forms}
            assert {form["To"] for form in forms} == {number(index)}
            assert forms[0]["MessageStatus"] == forms[0]["SmsStatus"] == "sent"
            last = forms[-1]
            ends.add(last["MessageStatus"])
            assert ("ErrorCode" in last) == (last["MessageStatus"] == "undelivered")
            assert sandbox.twilio().messages(message.sid).fetch().status == last["MessageStatus"]
        assert "delivered" in ends

    def test_failures_are_told_with_realistic_codes(self, sandbox, receiver):
        token = sandbox.settings.twilio_auth_token.get_secret_value()
        with requests.Session() as session:
            session.auth = (sandbox.account_sid, token)
            for index in range(600):
                form = {"To": number(index), "From": FROM, "Body": "x", "StatusCallback": f"{CALLBACK}?mid=m{index}"}
                url = f"{sandbox.base_url}/2010-04-01/Accounts/{sandbox.account_sid}/Messages.json"
                assert session.post(url, data=form, timeout=10).status_code == 201
        sandbox.step_and_deliver(hours=1)

        failed = [call.form for call in receiver.calls if call.form["MessageStatus"] == "undelivered"]
        codes = {form["ErrorCode"] for form in failed}
        assert "30006" in codes
        assert codes <= {"30003", "30005", "30006", "30007", "30008"}
        assert 0.04 < len(failed) / 600 < 0.13
        for form in failed:
            if form["ErrorCode"] == "30006":
                line = sandbox.twilio().lookups.v2.phone_numbers(form["To"]).fetch(fields="line_type_intelligence")
                assert line.line_type_intelligence["type"] == "landline"
        assert all(len(form["RawDlrDoneDate"]) == 10 for form in failed)

    @pytest.mark.parametrize(
        ("fragment", "attempts"),
        [("", 1), ("#rc=3&rp=all", 4), ("#rc=2&rp=5xx", 3), ("#rc=2&rp=4xx,ct", 1), ("#rc=9&rp=all", 6)],
    )
    def test_are_retried_as_the_fragment_says_and_then_lost(self, sandbox, receiver, fragment, attempts):
        receiver.answer = lambda call: 500
        text(sandbox, 2, status_callback=f"{CALLBACK}?mid=m2{fragment}")
        result = sandbox.step_and_deliver(hours=1)

        tries: dict[str, int] = {}
        for call in receiver.calls:
            tries[call.headers["i-twilio-idempotency-token"]] = (
                tries.get(call.headers["i-twilio-idempotency-token"], 0) + 1
            )
        assert set(tries.values()) == {attempts}
        assert result["failed"] == len(tries)
        receiver.answer = lambda call: 200
        assert sandbox.deliver()["delivered"] == 0

    def test_a_status_callback_on_another_machine_never_leaves_this_one(self, sandbox, receiver):
        text(sandbox, 2, status_callback="https://somewhere-else.example/hook?mid=m2")
        sandbox.step_and_deliver(hours=1)
        assert {call.path for call in receiver.calls} == {"/hook"}


class TestStop:
    def test_stop_is_forwarded_signed_and_refused_from_then_on(self, sandbox, receiver):
        text(sandbox, 3)
        answer = sandbox.http.post("/_sandbox/inbound", json={"from": number(3), "to": FROM, "body": "  sToP\n"})
        assert answer.status_code == 201
        with pytest.raises(TwilioRestException) as caught:
            text(sandbox, 3)
        assert caught.value.code == 21610
        assert text(sandbox, 3, from_="+15005550010").status == "queued"  # the opt-out is from that number

        sandbox.deliver()
        (call,) = receiver.at("/webhooks/twilio/inbound")
        assert (call.form["Body"], call.form["From"], call.form["To"]) == ("  sToP\n", number(3), FROM)
        assert call.form["SmsStatus"] == "received"
        assert call.form["MessageSid"] == answer.json()["sid"] == call.form["SmsMessageSid"]
        validator = RequestValidator(sandbox.settings.twilio_auth_token.get_secret_value())
        url = "https://rekindle.example/webhooks/twilio/inbound"
        assert validator.validate(url, call.form, call.headers["x-twilio-signature"])

        sandbox.http.post("/_sandbox/inbound", json={"from": number(3), "to": FROM, "body": "start"})
        assert text(sandbox, 3).status == "queued"

    def test_only_a_single_word_counts(self, sandbox):
        for body in ("please stop", "opt out", "stopp", ""):
            sandbox.http.post("/_sandbox/inbound", json={"from": number(4), "to": FROM, "body": body})
        assert text(sandbox, 4).status == "queued"

    def test_a_messaging_service_is_one_sender(self, sandbox):
        sandbox.http.post("/_sandbox/inbound", json={"from": number(4), "to": SERVICE, "body": "STOP"})
        with pytest.raises(TwilioRestException) as caught:
            text(sandbox, 4, from_=None, messaging_service_sid=SERVICE)
        assert caught.value.code == 21610


class TestFaults:
    def test_rate_limited(self, sandbox):
        sandbox.faults({"kind": "rate_limited", "endpoint": "messages_create", "count": 1, "retry_after": 2})
        with pytest.raises(TwilioRestException) as caught:
            text(sandbox, 1)
        assert (caught.value.status, caught.value.code) == (429, 20429)
        assert sandbox.transport.last_headers["retry-after"] == "2"
        assert text(sandbox, 1).status == "queued"
        assert len(sandbox.accepted()) == 1

    @pytest.mark.parametrize(
        ("kind", "accepted", "error"),
        [
            ("server_error_before", 0, TwilioRestException),
            ("server_error_after", 1, TwilioRestException),
            ("reset_before", 0, requests.exceptions.ConnectionError),
            ("reset_after", 1, requests.exceptions.ConnectionError),
            ("truncated_body", 1, (requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)),
            ("malformed_body", 1, json.JSONDecodeError),
            ("config_error", 0, TwilioRestException),
        ],
    )
    def test_outcomes_that_do_not_tell(self, sandbox, kind, accepted, error):
        sandbox.faults({"kind": kind, "provider": "twilio", "count": 1})
        with pytest.raises(error):
            text(sandbox, 1)
        assert len(sandbox.accepted()) == accepted
        assert text(sandbox, 1).status == "queued"

    def test_silence_after_accepting(self, sandbox):
        sandbox.faults({"kind": "timeout_after", "seconds": 1, "count": 1})
        sandbox.transport.timeout = 0.2
        with pytest.raises(requests.exceptions.ReadTimeout):
            text(sandbox, 1)
        assert len(sandbox.accepted()) == 1

    def test_slow_answers_all_the_same(self, sandbox):
        sandbox.faults({"kind": "slow", "seconds": 0.3, "count": 1})
        assert text(sandbox, 1).status == "queued"

    def test_a_bad_recipient_is_21211(self, sandbox):
        sandbox.faults({"kind": "bad_recipient", "address": number(1)})
        with pytest.raises(TwilioRestException) as caught:
            text(sandbox, 1)
        assert caught.value.code == 21211
        assert text(sandbox, 2).status == "queued"

    def test_one_providers_fault_leaves_the_other_alone(self, sandbox, mail):
        sandbox.faults({"kind": "server_error_before", "provider": "twilio"})
        assert sandbox.sendgrid().send(mail()).status_code == 202

    def test_throttle_counts_segments(self, sandbox):
        sandbox.faults({"kind": "throttle", "provider": "twilio", "unit": "segments", "per_second": 3})
        assert text(sandbox, 1, body="x" * 1500).num_segments == "10"
        with pytest.raises(TwilioRestException) as caught:
            text(sandbox, 2)
        assert caught.value.code == 20429
        assert sandbox.transport.last_headers["retry-after"] == "3"


class TestLookup:
    def test_validity_is_libphonenumbers(self, sandbox):
        def fetch(asked):
            return sandbox.twilio().lookups.v2.phone_numbers(asked).fetch()

        good = fetch("+14155552671")
        assert (good.valid, good.country_code, good.calling_country_code) == (True, "US", "1")
        assert (good.national_format, good.phone_number, good.validation_errors) == (
            "(415) 555-2671",
            "+14155552671",
            [],
        )
        assert good.line_type_intelligence is None
        wrong = {
            asked: fetch(asked) for asked in ("+1415555", "+1415555267199", "+11155552671", "+999123456789", "nonsense")
        }
        assert {asked: (found.valid, found.validation_errors) for asked, found in wrong.items()} == {
            "+1415555": (False, ["TOO_SHORT"]),
            "+1415555267199": (False, ["TOO_LONG"]),
            "+11155552671": (False, ["INVALID_BUT_POSSIBLE"]),
            "+999123456789": (False, ["NOT_A_NUMBER"]),
            "nonsense": (False, ["NOT_A_NUMBER"]),
        }

    def test_line_type_only_when_asked_for_and_always_the_same(self, sandbox):
        asked = "+14155552671"
        first = sandbox.twilio().lookups.v2.phone_numbers(asked).fetch(fields="validation,line_type_intelligence")
        again = sandbox.twilio().lookups.v2.phone_numbers(asked).fetch(fields="line_type_intelligence")
        assert first.line_type_intelligence == again.line_type_intelligence
        assert set(first.line_type_intelligence) == {
            "type", "carrier_name", "mobile_country_code", "mobile_network_code", "error_code",
        }  # fmt: skip
