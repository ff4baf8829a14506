"""Pure parts of both wires: segments, signatures, policies, ids, the timeline, the faults, the guards."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json, to_json
from twilio.request_validator import RequestValidator

from rekindle.errors import RefusedError
from rekindle.sandbox import sendgrid, twilio
from rekindle.sandbox.faults import BEFORE, Endpoint, FaultKind, FaultRule, Faults, Provider, Unit
from rekindle.sandbox.keys import generate_signing_key
from rekindle.sandbox.postman import Postman
from rekindle.sandbox.record import on_one_line
from rekindle.sandbox.server import run_sandbox
from rekindle.sandbox.settings import Reactions, SandboxSettings, is_loopback, refuse_unless_loopback
from rekindle.sandbox.timeline import Timeline
from rekindle.sandbox.twilio import CallbackPolicy

VECTORS = Path(__file__).parents[3].parent / "shared" / "vectors"


class TestSegments:
    @pytest.mark.parametrize(
        ("body", "segments"),
        [
            ("", 0), ("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3),
            ("€" * 80, 1), ("€" * 81, 2), ("a" * 152 + "€" + "a" * 10, 2),
            ("ñ" * 160, 1), ("ç" * 70, 1), ("ç" * 71, 2),
            ("😀" * 35, 1), ("😀" * 36, 2), ("a" * 66 + "😀" + "a" * 10, 2),
        ],
    )  # fmt: skip
    def test_counts_as_the_carrier(self, body, segments):
        assert twilio.count_segments(body) == segments

    @pytest.mark.skipif(not VECTORS.exists(), reason="the vectors are not here")
    def test_agrees_with_twilios_own_calculator(self):
        cases = json.loads((VECTORS / "sms_segments.json").read_text())
        wrong = [case["name"] for case in cases if twilio.count_segments(case["body"]) != case["segments"]]
        assert wrong == []


class TestTwilioSignature:
    @given(
        st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=12), max_size=6),
        st.sampled_from(["https://a.example/x?mid=1", "http://127.0.0.1:8180/x?a=b&c=%20"]),
    )
    def test_is_what_the_sdk_computes(self, form, url):
        assert twilio.signature("12345", url, list(form.items())) == RequestValidator("12345").compute_signature(
            url, form
        )

    def test_known_value(self):
        account = "AC" + "0" * 32
        sid = "SM1342fe1b2c904d1ab04f0fc7a58abca9"
        form = [
            ("AccountSid", account),
            ("From", "+15017250604"),
            ("MessageSid", sid),
            ("SmsSid", sid),
            ("MessageStatus", "sent"),
            ("SmsStatus", "sent"),
        ]
        assert (
            twilio.signature("12345", "https://hooks.example.com/twilio/status?mid=42", form)
            == "/jE9U+C9qhfRfJRhCdKl34fHjuA="
        )


class TestCallbackPolicy:
    @pytest.mark.parametrize(
        ("fragment", "retries", "retried"),
        [
            ("", 1, {"ct"}),
            ("#rc=5&rp=all", 5, {"all"}),
            ("#rp=5xx,rt", 1, {"5xx", "rt"}),
            ("#rc=99", 5, {"ct"}),
            ("#rc=0&rp=all", 0, {"all"}),
            ("#rc=-1", 1, {"ct"}),
        ],
    )
    def test_reads_the_fragment(self, fragment, retries, retried):
        policy = CallbackPolicy.of("https://a.example/x?mid=1" + fragment)
        assert (policy.url, policy.retries, policy.retried) == ("https://a.example/x?mid=1", retries, retried)

    def test_all_covers_everything(self):
        assert all(CallbackPolicy.of("x#rp=all").retries_after(outcome) for outcome in ("4xx", "5xx", "ct", "rt"))
        assert not CallbackPolicy.of("x").retries_after("5xx")


class TestOptOutWords:
    def test_single_words_in_any_case_and_space(self):
        assert all(twilio.opt_out_word(word) == "STOP" for word in ("STOP", " sToP\n", "OptOut", "revoke", "END "))
        assert all(twilio.opt_out_word(word) == "START" for word in ("start", "UNSTOP", "Yes"))
        assert all(twilio.opt_out_word(word) is None for word in ("stop it", "opt out", "", "stop.", "stopp"))


class TestIds:
    def test_are_never_the_same_twice(self):
        ids = {sendgrid.request_id(1, number, at, b"{}") for number in range(50) for at in range(50)}
        assert len(ids) == 2500 and all(len(each) == 22 for each in ids)
        sids = {twilio.message_sid(1, number, 5, b"x") for number in range(500)}
        assert len(sids) == 500 and all(len(sid) == 34 and sid.startswith("SM") for sid in sids)


class TestReachable:
    def test_public_addresses_are_the_receivers_and_nothing_leaves_the_machine(self):
        postman = Postman(
            receiver_url="http://127.0.0.1:8180",
            public_url="https://rekindle.example/app",
            signing_key=generate_signing_key(),
            twilio_auth_token="t",
            events_per_post=1,
            concurrency=1,
            timeout_seconds=1,
        )
        assert {
            url: postman.reachable(url)
            for url in (
                "https://rekindle.example/app/c/x?y=1",
                "https://rekindle.example/apple/c/x",
                "https://elsewhere.example/c/x",
                "http://127.0.0.1:9999/c/x",
                "http://localhost:9999/c/x",
                "http://user@10.0.0.1:80/c/x",
            )
        } == {
            "https://rekindle.example/app/c/x?y=1": "http://127.0.0.1:8180/c/x?y=1",
            "https://rekindle.example/apple/c/x": "http://127.0.0.1:8180/apple/c/x",
            "https://elsewhere.example/c/x": "http://127.0.0.1:8180/c/x",
            "http://127.0.0.1:9999/c/x": "http://127.0.0.1:9999/c/x",
            "http://localhost:9999/c/x": "http://localhost:9999/c/x",
            "http://user@10.0.0.1:80/c/x": "http://127.0.0.1:8180/c/x",
        }


class TestPostBody:
    def test_is_one_array_with_the_line_break_that_is_signed(self):
        body = sendgrid.post_body([to_json({"a": 1}), to_json({"b": "ü"})])
        assert body == '[{"a":1},\r\n{"b":"ü"}]\r\n'.encode()
        assert from_json(body) == [{"a": 1}, {"b": "ü"}]


class TestOneLine:
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    )
    def test_means_the_same(self, document):
        pretty = json.dumps(document, indent=2).replace("\n", "\r\n").encode()
        line = on_one_line(pretty)
        assert b"\n" not in line and b"\r" not in line
        assert json.loads(line) == document


VALID: dict[str, Any] = {
    "from": {"email": "hello@rekindle.example", "name": "Rekindle"},
    "subject": "Hi",
    "content": [{"type": "text/plain", "value": "Hi -name-"}, {"type": "text/html", "value": "<p>Hi</p>"}],
    "categories": ["win-back"],
    "asm": {"group_id": 4, "groups_to_display": [4]},
    "custom_args": {"rk_campaign": "spring"},
    "headers": {"X-Run": "1"},
    "mail_settings": {"sandbox_mode": {"enable": False}},
    "tracking_settings": {"open_tracking": {"enable": True}},
    "send_at": 1_784_397_600,
    "template_id": "d-1",
    "ip_pool_name": "main",
    "reply_to_list": [{"email": "a@b.example"}],
    "personalizations": [
        {
            "to": [{"email": "ada@mail.example", "name": "Ada"}],
            "cc": [{"email": "ben@mail.example"}],
            "subject": "Hi Ada",
            "custom_args": {"rk_message_id": "m1"},
            "substitutions": {"-name-": "Ada"},
            "headers": {"List-Unsubscribe": "<https://rekindle.example/u/x>"},
            "send_at": 1_784_397_600,
        },
        {"to": [{"email": "cyd@mail.example"}]},
    ],
}
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document where something can be put."""
    steps = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path, *(place for step, inner in steps for place in places(inner, (*path, step)))]


class TestAnyDocument:
    """Whatever is sent is either refused with a reason or can be read as mails: nothing in between."""

    def test_the_valid_one_is_valid(self):
        assert sendgrid.problems_with(VALID, 1_784_397_600) == []

    @settings(max_examples=500)
    @given(st.sampled_from(places(VALID)[1:]), JUNK)
    def test_is_refused_or_readable(self, place, junk):
        document = copy.deepcopy(VALID)
        inner: Any = document
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = junk
        problems = sendgrid.problems_with(document, 1_784_397_600)
        if problems:
            assert all(set(each) == {"message", "field", "help"} and each["message"] for each in problems)
            return
        request = sendgrid.MailRequest("x" * 22, 1_784_397_600, json.dumps(document).encode(), 0)
        mails = list(request.mails())
        assert len(mails) == sendgrid.count_recipients(document)
        assert isinstance(sendgrid.is_sandbox_mode(document), bool)
        for mail in mails:
            event = json.loads(sendgrid.event_body(mail, "delivered", 5, "id", {"response": "250"}))
            assert (event["email"], event["event"], event["timestamp"]) == (mail.address, "delivered", 5)
            assert mail.one_click_url is None and mail.key and mail.starts_at >= 1_784_397_600

    @given(JUNK.filter(lambda junk: isinstance(junk, dict)))
    def test_junk_is_refused(self, junk):
        assert sendgrid.problems_with(junk, 0)


FIELDS = ("To", "From", "MessagingServiceSid", "Body", "StatusCallback", "MediaUrl", "ScheduleType", "SendAt", "Other")
VALUES = st.text(max_size=30) | st.sampled_from(
    [
        "+14155552671",
        "+15005550006",
        "MG" + "a" * 32,
        "https://a.example/s?mid=1#rc=5",
        "fixed",
        "2026-07-18T20:00:00Z",
        "http://[",
    ]
)


class TestAnyForm:
    @settings(max_examples=500)
    @given(st.lists(st.tuples(st.sampled_from(FIELDS), VALUES), max_size=8))
    def test_is_refused_with_a_code_or_makes_a_message(self, form):
        read = twilio.parse_form(twilio.form_body(form))
        assert read == form
        refusal = twilio.refusal_of(read, 1_784_397_600, {})
        if refusal is not None:
            body = json.loads(refusal.body())
            assert (body["status"], body["code"]) == (400, refusal.code)
            return
        message = twilio.message_from(read, "SM" + "0" * 32, "AC" + "0" * 32, 0, 1_784_397_600)
        assert message.resource()["status"] in {"queued", "accepted", "scheduled"}
        assert message.key


class TestTimeline:
    def test_runs_in_due_order_with_what_comes_up_on_the_way(self):
        timeline, done = Timeline(), []
        timeline.at(5, lambda: done.append("five"))
        timeline.at(
            1,
            lambda: (
                done.append("one"),
                timeline.at(3, lambda: done.append("three")),
                timeline.at(9, lambda: done.append("nine")),
            ),
        )
        timeline.at(5, lambda: done.append("five too"))
        timeline.run_until(5)
        assert done == ["one", "three", "five", "five too"]
        assert len(timeline) == 1
        assert timeline.next_due is not None and timeline.next_due.timestamp() == 9

    @given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=30), st.integers(0, 20))
    def test_does_exactly_what_is_due(self, dues, now):
        timeline, done = Timeline(), []
        for due, name in dues:
            timeline.at(due, lambda due=due, name=name: done.append((due, name)))
        timeline.run_until(now)
        assert done == [each for each in sorted(dues, key=lambda each: each[0]) if each[0] <= now]


class TestThrottle:
    def test_lets_through_the_rate_on_average_whatever_the_size_of_requests(self):
        moment = [0.0]
        rule = FaultRule(kind=FaultKind.THROTTLE, per_second=100, unit=Unit.MESSAGES)
        faults = Faults(1, lambda: moment[0], [rule])
        passed = 0
        while moment[0] < 60:
            if faults.wait_for(Provider.SENDGRID, Endpoint.MAIL_SEND, 37, 0) is None:
                passed += 37
            moment[0] += 0.01
        assert 100 * 60 <= passed <= 100 * 60 + 100 + 37

    def test_the_wait_it_tells_is_enough_and_not_more(self):
        moment = [0.0]
        faults = Faults(1, lambda: moment[0], [FaultRule(kind=FaultKind.THROTTLE, per_second=10, unit=Unit.SEGMENTS)])
        assert faults.wait_for(Provider.TWILIO, Endpoint.MESSAGES_CREATE, 1, 30) is None
        wait = faults.wait_for(Provider.TWILIO, Endpoint.MESSAGES_CREATE, 1, 1)
        assert wait is not None and wait[0] == pytest.approx(2.1)
        moment[0] += wait[0] - 0.01
        assert faults.wait_for(Provider.TWILIO, Endpoint.MESSAGES_CREATE, 1, 1) is not None
        moment[0] += 0.02
        assert faults.wait_for(Provider.TWILIO, Endpoint.MESSAGES_CREATE, 1, 1) is None

    def test_clearing_leaves_the_settings_own(self):
        faults = Faults(1, lambda: 0.0, [FaultRule(kind=FaultKind.THROTTLE, per_second=1)])
        faults.set([FaultRule(kind=FaultKind.SLOW, count=1)])
        assert faults.draw(BEFORE, Provider.TWILIO, Endpoint.LOOKUP) is not None
        assert faults.draw(BEFORE, Provider.TWILIO, Endpoint.LOOKUP) is None
        faults.clear()
        assert [rule["kind"] for rule in faults.describe()] == ["throttle"]


class TestLoopbackOnly:
    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "sandbox.example", ""])
    def test_refuses_to_be_reachable_from_elsewhere(self, host):
        with pytest.raises(RefusedError, match="loopback"):
            run_sandbox(host=host)

    @pytest.mark.parametrize(
        "url", ["https://example.com", "http://10.0.0.1:8180", "ftp://127.0.0.1", "127.0.0.1:8180"]
    )
    def test_refuses_to_post_elsewhere(self, url):
        with pytest.raises(RefusedError, match="another machine"):
            run_sandbox(receiver_base_url=url)

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
    def test_this_machine_is_fine(self, host):
        assert is_loopback(host)
        refuse_unless_loopback(SandboxSettings(host=host))


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("REKINDLE_SANDBOX_REACTIONS", "persuadable")
    monkeypatch.setenv("REKINDLE_SANDBOX_SEED", "42")
    monkeypatch.setenv("REKINDLE_SANDBOX_RECORD_PATH", str(tmp_path / "r.jsonl"))
    monkeypatch.setenv("REKINDLE_SANDBOX_SENDGRID_API_KEY", "SG.x")
    found = SandboxSettings()
    assert (found.reactions, found.seed, found.record_path) == (
        Reactions.PERSUADABLE,
        42,
        tmp_path / "r.jsonl",
    )
    assert found.sendgrid_api_key.get_secret_value() == "SG.x"
    assert "SG.x" not in repr(found)
