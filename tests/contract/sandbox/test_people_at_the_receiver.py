"""What made-up people and machines really do at the receiver, and that a restart remembers all of it."""

from __future__ import annotations

import base64
import json
import re

import pytest

from rekindle.errors import BadInputError
from rekindle.sandbox.settings import Reactions

FROM = "+15005550006"


def tracked(receiver):
    return [json.loads(call.body) for call in receiver.at("/v1/track")]


class TestMailPeople:
    def test_click_then_sign_in(self, persuadable, mail, receiver):
        persuadable.sendgrid().send(mail(600))
        for _ in range(5):
            persuadable.step_and_deliver(days=1)

        clicks = [
            call
            for call in receiver.at("/c/")
            if call.headers["user-agent"].startswith("Mozilla/5.0 (") and call.method == "GET"
        ]
        people = {
            call.path
            for call in clicks
            if "compatible" not in call.headers["user-agent"] and "Headless" not in call.headers["user-agent"]
        }
        assert 0.02 < len(people) / 600 < 0.09
        assert all(re.fullmatch(r"/c/click-\d+\.sig", path) for path in people)

        sign_ins = tracked(receiver)
        assert 0.2 < len(sign_ins) / len(people) < 0.8
        for body in sign_ins:
            lead = body["userId"].removeprefix("lead-")
            assert f"/c/click-{lead}.sig" in people
            assert (body["type"], body["event"], body["properties"]) == ("track", "logged_in", {"made_up": True})
            assert "2026-07-18T19" <= body["timestamp"] <= "2026-07-22"
        (authorization,) = {call.headers["authorization"] for call in receiver.at("/v1/track")}
        assert base64.b64decode(authorization.removeprefix("Basic ")) == b"made-up-write-key:"
        assert len({body["messageId"] for body in sign_ins}) == len(sign_ins)
        assert not [call for call in receiver.calls if call.path == "/"]  # no redirect was followed

    def test_who_is_not_let_through_does_not_sign_in(self, persuadable, mail, receiver):
        receiver.answer = lambda call: 503 if call.path.startswith("/c/") else 200
        persuadable.sendgrid().send(mail(400))
        results = [persuadable.step_and_deliver(days=1) for _ in range(5)]
        assert tracked(receiver) == []
        assert sum(result["failed"] for result in results) == len(receiver.at("/c/")) + len(
            [call for call in receiver.at("/u/") if receiver.answer(call) >= 400]
        )

    def test_no_lead_no_sign_in(self, persuadable, mail, receiver):
        request = mail(400)
        for personalization in request["personalizations"]:
            del personalization["custom_args"]["rk_lead"]
        persuadable.sendgrid().send(request)
        for _ in range(5):
            persuadable.step_and_deliver(days=1)
        assert receiver.at("/c/")
        assert tracked(receiver) == []

    def test_scanners_ask_for_every_link_within_seconds(self, persuadable, mail, receiver):
        persuadable.sendgrid().send(mail(400))
        persuadable.step_and_deliver(minutes=50)  # people take an hour at least

        scans = receiver.at("/c/") + receiver.at("/u/")
        by_mail: dict[str, set[str]] = {}
        for call in scans:
            if call.method != "POST":
                by_mail.setdefault(call.path.split("-")[1], set()).add(call.path[:3])
        assert 0.02 < len(by_mail) / 400 < 0.1
        assert set(map(frozenset, by_mail.values())) == {frozenset({"/c/", "/u/"})}
        assert {call.method for call in scans} >= {"GET", "HEAD"}

    def test_one_click_unsubscribes_come_in_both_encodings(self, persuadable, mail, receiver):
        client = persuadable.sendgrid()
        for first in range(0, 3000, 1000):
            client.send(mail(1000, first=first))
        for _ in range(3):
            persuadable.step_and_deliver(days=1)

        posts = [call for call in receiver.at("/u/") if call.method == "POST"]
        assert 0.003 < len(posts) / 3000 < 0.012
        kinds = {call.headers["content-type"].split(";")[0] for call in posts}
        assert kinds == {"multipart/form-data", "application/x-www-form-urlencoded"}
        for call in posts:
            assert b"One-Click" in call.body
            if call.headers["content-type"].startswith("application"):
                assert call.body == b"List-Unsubscribe=One-Click"

        opens = [event for event in receiver.events if event["event"] == "open"]
        assert {event["sg_machine_open"] for event in opens} == {True, False}
        complaints = {event["email"] for event in receiver.events if event["event"] == "spamreport"}
        assert 1 <= len(complaints) <= 15
        listed = json.loads(client.client.suppression.spam_reports.get().body)
        assert {entry["email"] for entry in listed} == complaints

    def test_without_the_headers_nobody_can_press_unsubscribe(self, persuadable, mail, receiver):
        request = mail(1000)
        for personalization in request["personalizations"]:
            del personalization["headers"]["List-Unsubscribe-Post"]
        persuadable.sendgrid().send(request)
        for _ in range(3):
            persuadable.step_and_deliver(days=1)
        assert [call for call in receiver.at("/u/") if call.method == "POST"] == []

    def test_a_plain_text_is_not_seen_being_opened(self, persuadable, mail, receiver):
        persuadable.sendgrid().send(mail(200, html=False))
        for _ in range(4):
            persuadable.step_and_deliver(days=1)
        assert {event["event"] for event in receiver.events} <= {
            "processed",
            "delivered",
            "bounce",
            "dropped",
            "deferred",
            "spamreport",
        }
        assert receiver.at("/c/")

    def test_the_sink_swallows(self, persuadable, mail, receiver):
        request = mail(300)
        for number, personalization in enumerate(request["personalizations"]):
            personalization["to"] = [{"email": f"p{number}@sink.sendgrid.net"}]
        persuadable.sendgrid().send(request)
        for _ in range(4):
            persuadable.step_and_deliver(days=1)
        assert {call.path for call in receiver.calls} == {"/webhooks/sendgrid/events"}

    def test_nobody_reacts_when_told_not_to(self, sandbox, mail, receiver):
        sandbox.sendgrid().send(mail(500))
        for _ in range(4):
            sandbox.step_and_deliver(days=1)
        assert {call.path for call in receiver.calls} == {"/webhooks/sendgrid/events"}
        assert {event["event"] for event in receiver.events} <= {
            "processed",
            "delivered",
            "bounce",
            "dropped",
            "deferred",
        }


class TestTextPeople:
    def test_stop_words_and_own_words_and_clicks(self, persuadable, receiver):
        world = persuadable.world
        for index in range(1500):
            body = f"Back? https://rekindle.example/c/text-{index}.sig Reply STOP to end."
            callback = f"https://rekindle.example/webhooks/twilio/status?mid=t{index}"
            form = [("To", f"+1415{2300000 + index}"), ("From", FROM), ("Body", body), ("StatusCallback", callback)]
            world.accept_text(body.encode(), form)
        for _ in range(3):
            persuadable.step_and_deliver(days=1)

        replies = [call.form for call in receiver.at("/webhooks/twilio/inbound")]
        stops = [
            form for form in replies if form["Body"].strip().lower() in {"stop", "unsubscribe", "quit", "end", "cancel"}
        ]
        assert 0.01 < len(stops) / 1500 < 0.03
        assert 0.004 < (len(replies) - len(stops)) / 1500 < 0.02
        assert len({form["Body"] for form in stops}) >= 5
        assert any(form["Body"] != form["Body"].strip() for form in stops)
        assert set(world.opted_out) == {(FROM, form["From"]) for form in stops}
        assert 0.02 < len(receiver.at("/c/text-")) / 1500 < 0.06
        assert tracked(receiver) == []


class TestDeterminism:
    def test_the_same_seed_does_the_same_and_another_does_not(self, start_sandbox, mail, receiver, tmp_path):
        def run(seed: int) -> list[tuple[str, ...]]:
            receiver.calls.clear()
            (tmp_path / "clock").unlink(missing_ok=True)
            sandbox = start_sandbox(
                seed=seed, reactions=Reactions.PERSUADABLE, repeated_share=0.1, late_share=0.1, overtaken_share=0.1
            )
            sandbox.sendgrid().send(mail(300))
            for _ in range(5):
                sandbox.step_and_deliver(days=1)
            sandbox.stop()
            events = [(e["event"], e["email"], str(e["timestamp"]), e["sg_event_id"]) for e in receiver.events]
            people = [
                (call.method, call.path, call.headers.get("user-agent", ""))
                for call in receiver.calls
                if call.path[:3] in {"/c/", "/u/"}
            ]
            return sorted(events) + sorted(people)

        first = run(1)
        assert first == run(1)
        assert first != run(2)


class TestRestart:
    def test_remembers_what_it_took_and_does_not_call_back_twice(self, start_sandbox, mail, receiver, tmp_path):
        given = {"record_path": tmp_path / "record.jsonl", "reactions": Reactions.PERSUADABLE, "repeated_share": 0.2}
        sandbox = start_sandbox(**given)
        sandbox.sendgrid().send(mail(300))
        sent = sandbox.twilio().messages.create(
            to="+14155552671",
            from_=FROM,
            body="hi",
            status_callback="https://rekindle.example/webhooks/twilio/status?mid=t1",
        )
        sandbox.sendgrid().client.asm.suppressions._("global").post(
            request_body={"recipient_emails": ["gone@mail.example"]}
        )
        sandbox.http.post("/_sandbox/inbound", json={"from": "+14155552672", "to": FROM, "body": "STOP"})
        sandbox.step_and_deliver(days=1)
        accepted, pending = sandbox.accepted(), sandbox.deliver()["pending"]
        bounces = sandbox.world.suppressions.lists
        first_half = len(receiver.calls)
        sandbox.stop()
        assert (tmp_path / "record.jsonl").stat().st_mode & 0o777 == 0o600

        again = start_sandbox(**given)
        assert again.accepted() == accepted
        assert again.world.suppressions.lists == bounces
        assert set(again.world.opted_out) >= {(FROM, "+14155552672")}
        assert again.twilio().messages(sent.sid).fetch().status in {"delivered", "sent", "undelivered"}
        assert again.deliver() | {"as_of": "", "next_due": ""} == {
            "delivered": 0, "pending": pending, "failed": 0, "to_retry": 0,
            "delivered_by_kind": {}, "failed_by_kind": {}, "as_of": "", "next_due": "",
        }  # fmt: skip
        assert len(receiver.calls) == first_half
        for _ in range(4):
            again.step_and_deliver(days=1)
        split = sorted((e["event"], e["email"], e["timestamp"], e["sg_event_id"]) for e in receiver.events)

        # One life without a restart tells exactly the same.
        again.stop()
        receiver.calls.clear()
        (tmp_path / "clock").unlink()
        whole = start_sandbox(**(given | {"record_path": None}))
        whole.sendgrid().send(mail(300))
        for _ in range(5):
            whole.step_and_deliver(days=1)
        assert split == sorted((e["event"], e["email"], e["timestamp"], e["sg_event_id"]) for e in receiver.events)

    def test_what_was_to_be_tried_again_still_is(self, start_sandbox, mail, receiver, tmp_path):
        given = {"record_path": tmp_path / "record.jsonl"}
        sandbox = start_sandbox(**given)
        receiver.answer = lambda call: 500
        sandbox.sendgrid().send(mail(30))
        refused = sandbox.step_and_deliver(hours=1)["to_retry"]
        sandbox.stop()
        receiver.calls.clear()
        receiver.answer = lambda call: 200

        again = start_sandbox(**given)
        assert again.deliver()["delivered"] == refused > 30
        assert len(receiver.events) == refused

    def test_a_line_cut_off_by_a_crash_is_dropped_and_a_broken_one_is_told(self, start_sandbox, mail, tmp_path):
        path = tmp_path / "record.jsonl"
        sandbox = start_sandbox(record_path=path)
        sandbox.sendgrid().send(mail(3))
        sandbox.stop()
        whole = path.read_bytes()
        path.write_bytes(whole + b'{"kind":"mail","id":"half')

        again = start_sandbox(record_path=path)
        assert len(again.accepted()) == 3
        again.sendgrid().send(mail(2))
        again.stop()
        assert len(start_sandbox(record_path=path).accepted()) == 5

        path.write_bytes(b"nonsense\n" + whole)
        with pytest.raises(BadInputError, match="line 1"):
            start_sandbox(record_path=path)


class TestControl:
    def test_messages_page_and_filter(self, sandbox, mail):
        sandbox.sendgrid().send(mail(7))
        sandbox.twilio().messages.create(
            to="+14155552671", from_=FROM, body="hi", status_callback="https://rekindle.example/s?mid=t1"
        )

        pages = []
        offset = 0
        while offset is not None:
            answer = sandbox.http.get("/_sandbox/messages", params={"limit": 3, "offset": offset}).json()
            pages.append([row["message_id"] for row in answer["messages"]])
            offset = answer["next_offset"]
        assert pages == [
            ["message-0", "message-1", "message-2"],
            ["message-3", "message-4", "message-5"],
            ["message-6", "t1"],
        ]
        found = sandbox.http.get("/_sandbox/messages", params={"message_id": "t1"}).json()["messages"]
        assert [(row["provider"], row["body"], row["segments"]) for row in found] == [("twilio", "hi", 1)]
        assert len(sandbox.http.get("/_sandbox/messages", params={"provider": "sendgrid"}).json()["messages"]) == 7
        assert sandbox.http.get("/_sandbox/messages", params={"limit": "x"}).status_code == 400

    def test_requests_are_counted_by_endpoint_and_status(self, sandbox, mail):
        sandbox.sendgrid().send(mail())
        sandbox.twilio().messages.create(to="+14155552671", from_=FROM, body="hi")
        sandbox.twilio().messages.list()
        sandbox.http.get("/v3/suppression/bounces")
        assert sandbox.counts() == {
            "GET /2010-04-01/Accounts/{sid}/Messages.json": {"200": 1},
            "GET /v3/suppression/bounces": {"401": 1},
            "POST /2010-04-01/Accounts/{sid}/Messages.json": {"201": 1},
            "POST /v3/mail/send": {"202": 1},
        }

    def test_the_landing_page_says_what_is_made_up(self, sandbox, mail):
        sandbox.sendgrid().send(mail(12))
        page = sandbox.http.get("/")
        assert page.headers["content-type"].startswith("text/html")
        assert "made up" in page.text
        assert "<dd>12</dd>" in page.text
        assert sandbox.http.get("/_sandbox/healthz").json()["status"] == "ok"
