"""SendGrid's documented behaviour, seen through the official SDK."""

from __future__ import annotations

import json
import urllib.error
from typing import Any

import pytest
from python_http_client.exceptions import (
    BadRequestsError,
    HTTPError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthorizedError,
)
from sendgrid.helpers.eventwebhook import EventWebhook
from sendgrid.helpers.mail import Content, CustomArg, Mail, Personalization, To


def errors_of(error: HTTPError) -> list[dict[str, Any]]:
    return list(json.loads(error.body)["errors"])


class TestSending:
    def test_accepts_with_an_empty_body_and_a_message_id(self, sandbox, mail):
        answer = sandbox.sendgrid().send(mail(2))

        assert (answer.status_code, answer.body) == (202, b"")
        (identifier,) = {each["provider_id"] for each in sandbox.accepted()}
        assert answer.headers["X-Message-Id"] == identifier
        assert len(identifier) == 22

    def test_takes_what_the_mail_helper_builds(self, sandbox):
        built = Mail(from_email="hello@rekindle.example", subject="Hi")
        built.add_content(Content("text/plain", "Hi -name-"))
        person = Personalization()
        person.add_to(To("ada@mail.example", "Ada"))
        person.add_custom_arg(CustomArg("rk_message_id", "m-1"))
        built.add_personalization(person)

        assert sandbox.sendgrid().send(built).status_code == 202
        (accepted,) = sandbox.accepted()
        assert accepted | {"provider_id": None, "headers": None} == {
            "provider": "sendgrid",
            "message_id": "m-1",
            "provider_id": None,
            "to": "ada@mail.example",
            "subject": "Hi",
            "body": "Hi -name-",
            "html": "",
            "headers": None,
            "custom_args": {"rk_message_id": "m-1"},
            "accepted_at": "2026-07-18T18:00:00Z",
        }

    def test_each_recipient_gets_own_substitutions_args_and_headers(self, sandbox, mail):
        request = mail(3, custom_args={"rk_campaign": "top", "tenant": "t1"}, headers={"X-Run": "9"})
        del request["personalizations"][1]["custom_args"]["rk_campaign"]
        sandbox.sendgrid().send(request)

        rows = sandbox.accepted()
        assert [row["body"] for row in rows] == [
            f"Hi, come back: https://rekindle.example/c/click-{n}.sig.\nOr stop: https://rekindle.example/u/unsub-{n}.sig\n"
            for n in range(3)
        ]
        assert [row["custom_args"]["rk_campaign"] for row in rows] == ["spring", "top", "spring"]
        assert {row["custom_args"]["tenant"] for row in rows} == {"t1"}
        assert rows[2]["headers"]["List-Unsubscribe"] == "<https://rekindle.example/u/unsub-2.sig>"
        assert rows[2]["headers"]["X-Run"] == "9"

    def test_sandbox_mode_checks_and_keeps_nothing(self, sandbox, mail):
        answer = sandbox.sendgrid().send(mail(mail_settings={"sandbox_mode": {"enable": True}}))

        assert (answer.status_code, answer.body) == (200, b"")
        assert sandbox.accepted() == []
        assert sandbox.step_and_deliver(days=1)["delivered"] == 0

    def test_two_equal_requests_are_two_sends(self, sandbox, mail):
        client = sandbox.sendgrid()
        first, second = (client.send(mail()).headers["X-Message-Id"] for _ in range(2))

        assert first != second
        assert [row["message_id"] for row in sandbox.accepted()] == ["message-0", "message-0"]

    def test_a_wrong_key_is_401_with_the_documented_body(self, sandbox, mail):
        with pytest.raises(UnauthorizedError) as caught:
            sandbox.sendgrid("SG.wrong").send(mail())

        assert json.loads(caught.value.body) == {
            "errors": [
                {
                    "message": "The provided authorization grant is invalid, expired, or revoked",
                    "field": None,
                    "help": None,
                }
            ]
        }
        assert sandbox.accepted() == []

    def test_an_unknown_path_is_404_in_json(self, sandbox):
        with pytest.raises(HTTPError) as caught:
            sandbox.sendgrid().client.nothing.here.get()
        assert caught.value.status_code == 404
        assert errors_of(caught.value)[0]["message"] == "not found"

    def test_not_json_is_400_and_another_content_type_415(self, sandbox):
        headers = {"Authorization": f"Bearer {sandbox.settings.sendgrid_api_key.get_secret_value()}"}
        broken = sandbox.http.post(
            "/v3/mail/send", content=b'{"from":', headers=headers | {"Content-Type": "application/json"}
        )
        listed = sandbox.http.post("/v3/mail/send", json=[1], headers=headers)
        form = sandbox.http.post("/v3/mail/send", data={"a": "b"}, headers=headers)

        assert [broken.status_code, listed.status_code, form.status_code] == [400, 400, 415]


class TestRefusing:
    def test_one_bad_address_refuses_all_the_others(self, sandbox, mail):
        request = mail(1000)
        request["personalizations"][417]["to"][0]["email"] = "not an address"

        with pytest.raises(BadRequestsError) as caught:
            sandbox.sendgrid().send(request)

        assert errors_of(caught.value) == [
            {
                "message": "Does not contain a valid address.",
                "field": "personalizations.417.to.0.email",
                "help": "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#message.personalizations.to",
            }
        ]
        assert sandbox.accepted() == []

    def test_a_thousand_personalizations_is_the_most(self, sandbox, mail):
        assert sandbox.sendgrid().send(mail(1000)).status_code == 202
        with pytest.raises(BadRequestsError) as caught:
            sandbox.sendgrid().send(mail(1001))
        (problem,) = errors_of(caught.value)
        assert problem["field"] == "personalizations"
        assert "limited to 1000 personalizations per API request. You have provided 1001" in problem["message"]

    @pytest.mark.parametrize(
        ("change", "field", "words"),
        [
            # required parts
            ({"personalizations": []}, "personalizations", "at least one personalization"),
            ({"from": {}}, "from.email", "The from object must be provided"),
            ({"from": {"email": "hëllo@rekindle.example"}}, "from.email", "Does not contain a valid address."),
            ({"subject": ""}, "subject", "The subject is required."),
            ({"content": []}, "content", "Unless a valid template_id is provided"),
            ({"content": [{"type": "text/plain", "value": ""}]}, "content.0.value", "at least one character in length"),
            # order and limits
            (
                {"content": [{"type": "text/html", "value": "<p>"}, {"type": "text/plain", "value": "p"}]},
                "content",
                "text/plain must be the first",
            ),
            ({"categories": [str(n) for n in range(11)]}, "categories", "up to 10"),
            ({"categories": ["a", "a"]}, "categories", "unique"),
            ({"custom_args": {"n": 5}}, "custom_args.n", "Expected: string"),
            ({"custom_args": {"n": "x" * 10_000}}, "custom_args", "less than 10,000 bytes"),
            ({"headers": {"Reply-To": "x@y.example"}}, "headers.Reply-To", "reserved"),
            ({"asm": {}}, "asm.group_id", "group_id"),
            ({"ip_pool_name": "x"}, "ip_pool_name", "2 to 64"),
            ({"send_at": 1784397600 + 73 * 3600}, "send_at", "72 hours"),
            ({"from": {"email": "hello@rekindle.example", "name": "A; B"}}, "from.name", "without ';'"),
        ],
    )
    def test_says_what_is_wrong_and_where(self, sandbox, mail, change, field, words):
        with pytest.raises(BadRequestsError) as caught:
            sandbox.sendgrid().send(mail(**change))

        found = {problem["field"]: problem["message"] for problem in errors_of(caught.value)}
        assert words in found[field]
        assert sandbox.accepted() == []

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"to": []}, "personalizations.0.to"),
            ({"to": None}, "personalizations.0.to"),
            ({"to": [{"name": "Ada"}]}, "personalizations.0.to.0.email"),
            ({"cc": [{"email": "broken@"}]}, "personalizations.0.cc.0.email"),
            ({"cc": [{"email": "PERSON0@mail0.example"}]}, "personalizations.0"),  # the same mailbox twice
            ({"custom_args": {"a": "ü" * 5000}}, "personalizations.0.custom_args"),  # bytes, not characters
            ({"custom_args": {"a": None}}, "personalizations.0.custom_args.a"),
            ({"substitutions": {"-a-": "x" * 10_001}}, "personalizations.0.substitutions"),
            ({"headers": {"Subject": "x"}}, "personalizations.0.headers.Subject"),
            ({"send_at": "tomorrow"}, "personalizations.0.send_at"),
        ],
    )
    def test_looks_into_every_personalization(self, sandbox, mail, change, field):
        request = mail()
        request["personalizations"][0] |= change
        with pytest.raises(BadRequestsError) as caught:
            sandbox.sendgrid().send(request)
        assert [problem["field"] for problem in errors_of(caught.value)] == [field]

    def test_custom_args_of_both_levels_count_together(self, sandbox, mail):
        request = mail(custom_args={"a": "x" * 6000})
        request["personalizations"][0]["custom_args"] = {"b": "x" * 3000}
        assert sandbox.sendgrid().send(request).status_code == 202
        request["personalizations"][0]["custom_args"] = {"b": "x" * 4000}
        with pytest.raises(BadRequestsError):
            sandbox.sendgrid().send(request)

    def test_the_limits_are_exact(self, sandbox, mail):
        request = mail()
        personalization = request["personalizations"][0]
        personalization["substitutions"] = {"-a-": "x" * 9_997}
        personalization["custom_args"] = {"rk": "x" * 9_997}
        assert sandbox.sendgrid().send(request).status_code == 202
        for name, args in (("substitutions", {"-a-": "x" * 9_998}), ("custom_args", {"rk": "x" * 9_998})):
            with pytest.raises(BadRequestsError) as caught:
                sandbox.sendgrid().send({**request, "personalizations": [{**personalization, name: args}]})
            assert [each["field"] for each in errors_of(caught.value)] == [f"personalizations.0.{name}"]

    def test_a_template_or_own_subjects_stand_in_for_the_subject(self, sandbox, mail):
        templated = mail(template_id="d-1")
        del templated["subject"], templated["content"]
        own = mail(2)
        del own["subject"]
        for number, personalization in enumerate(own["personalizations"]):
            personalization["subject"] = f"Hi {number}"

        assert sandbox.sendgrid().send(templated).status_code == 202
        assert sandbox.sendgrid().send(own).status_code == 202
        assert [row["subject"] for row in sandbox.accepted()] == ["", "Hi 0", "Hi 1"]


class TestFaults:
    def test_rate_limited_tells_when_to_come_back(self, sandbox, mail):
        sandbox.faults({"kind": "rate_limited", "provider": "sendgrid", "count": 1, "retry_after": 3})

        with pytest.raises(TooManyRequestsError) as caught:
            sandbox.sendgrid().send(mail())

        assert json.loads(caught.value.body) == {"errors": [{"field": None, "message": "too many requests"}]}
        headers = {name.lower(): value for name, value in caught.value.headers.items()}
        assert headers["retry-after"] == "3"
        assert headers["x-ratelimit-remaining"] == "0"
        assert int(headers["x-ratelimit-reset"]) == int(sandbox.clock.now().timestamp()) + 3
        assert sandbox.accepted() == []
        assert sandbox.sendgrid().send(mail()).status_code == 202

    @pytest.mark.parametrize(("kind", "accepted"), [("server_error_before", 0), ("server_error_after", 1)])
    def test_a_server_error_may_or_may_not_have_accepted(self, sandbox, mail, kind, accepted):
        sandbox.faults({"kind": kind, "count": 1})
        with pytest.raises(ServiceUnavailableError):
            sandbox.sendgrid().send(mail())
        assert len(sandbox.accepted()) == accepted

    @pytest.mark.parametrize(("kind", "accepted"), [("reset_before", 0), ("reset_after", 1)])
    def test_a_reset_may_or_may_not_have_accepted(self, sandbox, mail, kind, accepted):
        sandbox.faults({"kind": kind, "count": 1})
        with pytest.raises((ConnectionError, urllib.error.URLError)):
            sandbox.sendgrid().send(mail(200))
        assert len(sandbox.accepted()) == accepted * 200
        assert sandbox.counts()["POST /v3/mail/send"] == {"0": 1}

    def test_silence_after_accepting(self, sandbox, mail):
        sandbox.faults({"kind": "timeout_after", "seconds": 1.0, "count": 1})
        client = sandbox.sendgrid()
        client.client.timeout = 0.2
        with pytest.raises((TimeoutError, urllib.error.URLError)):
            client.send(mail())
        assert len(sandbox.accepted()) == 1

    def test_a_bad_recipient_refuses_the_whole_request(self, sandbox, mail):
        sandbox.faults({"kind": "bad_recipient", "address": "person3@"})
        with pytest.raises(BadRequestsError) as caught:
            sandbox.sendgrid().send(mail(5))
        assert [problem["field"] for problem in errors_of(caught.value)] == ["personalizations.3.to.0.email"]
        assert sandbox.sendgrid().send(mail(3)).status_code == 202

    def test_config_error_is_401(self, sandbox, mail):
        sandbox.faults({"kind": "config_error", "count": 1})
        with pytest.raises(UnauthorizedError):
            sandbox.sendgrid().send(mail())

    def test_rules_skip_count_and_clear(self, sandbox, mail):
        sandbox.faults({"kind": "server_error_before", "endpoint": "mail_send", "skip": 1, "count": 1, "status": 500})
        statuses = []
        for _ in range(4):
            try:
                statuses.append(sandbox.sendgrid().send(mail()).status_code)
            except HTTPError as error:
                statuses.append(error.status_code)
        assert statuses == [202, 500, 202, 202]
        assert sandbox.http.get("/_sandbox/faults").json()["faults"][0]["hits"] == 1
        assert sandbox.http.delete("/_sandbox/faults").json() == {"faults": []}

    def test_a_rule_that_makes_no_sense_is_refused(self, sandbox):
        for rule in (
            {"kind": "nonsense"},
            {"kind": "throttle"},
            {"kind": "bad_recipient"},
            {"kind": "slow", "extra": 1},
        ):
            assert sandbox.http.post("/_sandbox/faults", json=[rule]).status_code == 422
        assert sandbox.http.get("/_sandbox/faults").json() == {"faults": []}

    def test_probability_is_the_same_every_time(self, sandbox, mail):
        def run() -> list[int]:
            sandbox.faults({"kind": "server_error_before", "probability": 0.5})
            statuses = []
            for _ in range(20):
                try:
                    statuses.append(sandbox.sendgrid().send(mail()).status_code)
                except HTTPError as error:
                    statuses.append(error.status_code)
            return statuses

        first = run()
        assert first == run()
        assert {202, 503} == set(first)

    def test_throttle_counts_messages(self, start_sandbox, mail):
        sandbox = start_sandbox(sendgrid_messages_per_second=50)
        client = sandbox.sendgrid()
        assert client.send(mail(150)).status_code == 202
        with pytest.raises(TooManyRequestsError) as caught:
            client.send(mail(1))
        assert {name.lower(): value for name, value in caught.value.headers.items()}["retry-after"] in {"2", "3"}
        assert sandbox.http.delete("/_sandbox/faults").json()["faults"][0]["kind"] == "throttle"


class TestSuppressionLists:
    def test_hard_bounces_are_listed_and_later_mail_is_dropped(self, sandbox, mail, receiver):
        client = sandbox.sendgrid()
        client.send(mail(300))
        sandbox.step_and_deliver(hours=1)
        bounced = {
            event["email"] for event in receiver.events if event["event"] == "bounce" and event["type"] == "bounce"
        }
        assert 2 <= len(bounced) <= 22

        listed = json.loads(client.client.suppression.bounces.get().body)
        assert {entry["email"] for entry in listed} == bounced
        assert {frozenset(entry) for entry in listed} == {frozenset({"created", "email", "reason", "status"})}
        assert {entry["status"] for entry in listed} == {"5.1.1"}

        receiver.calls.clear()
        client.send(mail(300))
        sandbox.step_and_deliver(hours=1)
        dropped = [event for event in receiver.events if event["event"] == "dropped" and event["reason"] != "Invalid"]
        assert {event["email"] for event in dropped} == bounced
        assert {event["reason"] for event in dropped} == {"Bounced Address"}

    def test_global_unsubscribes_are_set_checked_listed_and_lifted(self, sandbox, mail, receiver):
        client = sandbox.sendgrid()
        api = client.client.asm.suppressions._("global")
        answer = api.post(request_body={"recipient_emails": ["Person0@mail0.example", "person1@mail1.example"]})
        assert answer.status_code == 201
        assert json.loads(answer.body) == {"recipient_emails": ["Person0@mail0.example", "person1@mail1.example"]}
        assert json.loads(api._("person0@mail0.example").get().body) == {"recipient_email": "Person0@mail0.example"}
        assert json.loads(api._("other@mail.example").get().body) == {}
        assert len(json.loads(client.client.suppression.unsubscribes.get().body)) == 2

        assert api._("person1@mail1.example").delete().status_code == 204
        client.send(mail(2))
        sandbox.step_and_deliver(hours=1)
        drops = {event["email"]: event["reason"] for event in receiver.events if event["event"] == "dropped"}
        assert drops == {"person0@mail0.example": "Unsubscribed Address"}
        with pytest.raises(HTTPError):
            api._("person1@mail1.example").delete()

    def test_lists_filter_by_time_address_and_page(self, sandbox):
        client = sandbox.sendgrid()
        api = client.client.asm.suppressions._("global")
        starts = []
        for day in range(5):
            starts.append(int(sandbox.clock.now().timestamp()))
            api.post(request_body={"recipient_emails": [f"day{day}@mail.example"]})
            sandbox.step(days=1)

        def emails(**query: Any) -> list[str]:
            body = client.client.suppression.unsubscribes.get(query_params=query).body
            return [entry["email"].split("@")[0] for entry in json.loads(body)]

        assert emails() == ["day4", "day3", "day2", "day1", "day0"]
        assert emails(start_time=starts[1], end_time=starts[3]) == ["day3", "day2", "day1"]
        assert emails(limit=2, offset=1) == ["day3", "day2"]
        assert emails(email="day2") == ["day2"]

    def test_one_entry_and_deleting(self, sandbox, mail):
        client = sandbox.sendgrid()
        client.send(mail(300))
        sandbox.step_and_deliver(hours=1)
        bounces = client.client.suppression.bounces
        first, *rest = json.loads(bounces.get().body)
        assert json.loads(bounces._(first["email"]).get().body) == [first]
        assert bounces._(first["email"]).delete().status_code == 204
        assert json.loads(bounces._(first["email"]).get().body) == []
        assert bounces.delete(request_body={"delete_all": True}).status_code == 204
        assert rest and json.loads(bounces.get().body) == []
        with pytest.raises(BadRequestsError):
            bounces.delete(request_body={})

    def test_a_list_that_does_not_exist_is_404(self, sandbox):
        with pytest.raises(HTTPError) as caught:
            sandbox.sendgrid().client.suppression.nothing.get()
        assert caught.value.status_code == 404


class TestEvents:
    def test_arrays_are_signed_as_the_sdk_checks_it(self, sandbox, mail, receiver):
        sandbox.sendgrid().send(mail(700))
        sandbox.step_and_deliver(hours=1)

        posts = receiver.at("/webhooks/sendgrid/events")
        assert len(posts) >= 5
        checker = EventWebhook(sandbox.public_key)
        for post in posts:
            signature = post.headers["x-twilio-email-event-webhook-signature"]
            timestamp = post.headers["x-twilio-email-event-webhook-timestamp"]
            body = post.body.decode()
            assert body.endswith("]\r\n")
            assert checker.verify_signature(body, signature, timestamp)
            assert not checker.verify_signature(body.rstrip(), signature, timestamp)
            assert 1 <= len(json.loads(body)) <= 300
        key = json.loads(sandbox.sendgrid().client.user.webhooks.event.settings.signed.get().body)["public_key"]
        assert key == sandbox.public_key

    def test_events_carry_the_documented_fields_and_our_args_on_top(self, sandbox, mail, receiver):
        identifier = sandbox.sendgrid().send(mail(400, categories=["win-back"])).headers["X-Message-Id"]
        sandbox.step_and_deliver(days=4)

        by_kind: dict[str, dict[str, Any]] = {}
        for event in receiver.events:
            by_kind.setdefault(event.get("type", event["event"]), event)
            number = event["rk_message_id"].removeprefix("message-")
            assert event["email"] == f"person{number}@mail{int(number) % 50}.example"
            assert event["rk_campaign"] == "spring"
            assert event["sg_message_id"].split(".")[0] == identifier
            assert event["category"] == "win-back"
            assert event["smtp-id"]
            sent_at = sandbox.world.mail_requests[0].accepted_at
            assert sent_at < event["timestamp"] <= sent_at + 72 * 3600 + 60
        shared = {
            "email", "timestamp", "event", "sg_event_id", "sg_message_id", "category", "smtp-id",
            "rk_message_id", "rk_campaign", "rk_step", "rk_lead",
        }  # fmt: skip
        assert set(by_kind["processed"]) == shared
        assert set(by_kind["delivered"]) == shared | {"response", "ip", "tls"}
        assert set(by_kind["bounce"]) == shared | {"reason", "status", "type", "bounce_classification", "ip", "tls"}
        assert by_kind["bounce"]["bounce_classification"] == "Invalid Address"

    def test_nothing_is_due_before_its_instant(self, sandbox, mail, receiver):
        sandbox.sendgrid().send(mail(50))
        assert sandbox.deliver() | {"next_due": None} == {
            "delivered": 0,
            "pending": sandbox.world.pending,
            "failed": 0,
            "to_retry": 0,
            "delivered_by_kind": {},
            "failed_by_kind": {},
            "as_of": "2026-07-18T18:00:00Z",
            "next_due": None,
        }
        sandbox.step_and_deliver(seconds=5)
        assert {event["event"] for event in receiver.events} >= {"processed"}
        limit = int(sandbox.clock.now().timestamp())
        assert all(event["timestamp"] <= limit for event in receiver.events)
        before = len(receiver.events)
        assert sandbox.deliver()["delivered"] == 0
        assert len(receiver.events) == before

    def test_what_is_due_first_comes_first(self, start_sandbox, mail, receiver):
        sandbox = start_sandbox(concurrency=1)
        sandbox.sendgrid().send(mail(500))
        sandbox.step_and_deliver(days=4)
        stamps = [event["timestamp"] for event in receiver.events]
        assert stamps == sorted(stamps)
        assert len(stamps) >= 900

    def test_send_at_waits(self, sandbox, mail, receiver):
        later = int(sandbox.clock.now().timestamp()) + 7200
        sandbox.sendgrid().send(mail(send_at=later))
        sandbox.step_and_deliver(hours=1)
        assert receiver.events == []
        sandbox.step_and_deliver(hours=2)
        assert min(event["timestamp"] for event in receiver.events) > later

    def test_webhooks_come_late_twice_and_overtaken(self, start_sandbox, mail, receiver):
        sandbox = start_sandbox(late_share=0.1, repeated_share=0.3, overtaken_share=0.1)
        sandbox.sendgrid().send(mail(300))
        sandbox.step_and_deliver(hours=1)
        early = len(receiver.events)
        for _ in range(4):
            sandbox.step_and_deliver(days=1)

        assert early < len(receiver.events)
        seen: dict[tuple[str, str, int], list[str]] = {}
        for event in receiver.events:
            seen.setdefault((event["rk_message_id"], event["event"], event["timestamp"]), []).append(
                event["sg_event_id"]
            )
        twice = [ids for ids in seen.values() if len(ids) == 2]
        assert 0.2 < len(twice) / len(seen) < 0.4
        renamed = [ids for ids in twice if ids[0] != ids[1]]
        assert 0.15 < len(renamed) / len(twice) < 0.55
        order = {}
        for position, event in enumerate(receiver.events):
            order.setdefault((event["rk_message_id"], event["event"]), position)
        overtaken = [m for m, e in order if e == "delivered" and order[m, e] < order.get((m, "processed"), -1)]
        assert overtaken

    def test_what_the_receiver_refuses_comes_again_for_a_day(self, sandbox, mail, receiver):
        receiver.answer = lambda call: 500
        sandbox.sendgrid().send(mail(40))
        refused = sandbox.step_and_deliver(hours=1)
        assert (refused["delivered"], refused["failed"]) == (0, 0)
        assert refused["to_retry"] >= 40
        first = {event["sg_event_id"] for event in receiver.events}

        receiver.calls.clear()
        receiver.answer = lambda call: 200
        again = sandbox.deliver()
        assert (again["delivered"], again["to_retry"]) == (refused["to_retry"], 0)
        assert {event["sg_event_id"] for event in receiver.events} == first

    def test_a_receiver_that_is_down_loses_no_event(self, start_sandbox, mail, receiver):
        down = start_sandbox(receiver_base_url="http://127.0.0.1:9")
        down.sendgrid().send(mail(40))
        down.twilio().messages.create(
            to="+14155552671", from_="+15005550006", body="x", status_callback="http://127.0.0.1:9/s?mid=1#rc=5&rp=all"
        )
        result = down.step_and_deliver(hours=1)
        assert result["delivered"] == 0
        assert result["to_retry"] >= 40
        assert result["failed_by_kind"]["twilio_status"] >= 1  # Twilio keeps nothing; the poll has to find it

    def test_after_a_day_it_gives_up(self, sandbox, mail, receiver):
        receiver.answer = lambda call: 503
        sandbox.sendgrid().send(mail(1))
        sandbox.step_and_deliver(hours=1)
        assert sandbox.step_and_deliver(hours=24)["to_retry"] > 0
        last = sandbox.step_and_deliver(hours=1)
        assert last["failed"] > 0
        assert last["to_retry"] == 0
