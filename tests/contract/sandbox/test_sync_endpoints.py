"""What a daily sync asks of the providers: groups, deactivation files, bulk consents; and that a restart knows them."""

from __future__ import annotations

from datetime import date

import pytest
from python_http_client.exceptions import BadRequestsError
from twilio.base.exceptions import TwilioRestException

GOOD = {
    "contact_id": "+12125550123",
    "correlation_id": "a" * 32,
    "sender_id": "+12125550100",
    "status": "opt-out",
    "source": "others",
    "date_of_consent": "2026-07-18T18:00:00Z",
}


def test_a_group_takes_lists_and_lets_go(sandbox):
    group = sandbox.sendgrid().client.asm.groups._("7").suppressions
    assert group.post(request_body={"recipient_emails": ["Ann@Example.com"]}).status_code == 201
    with pytest.raises(BadRequestsError):
        group.post(request_body={"recipient_emails": ["no address"]})
    assert group.get().to_dict == ["Ann@Example.com"]
    assert group._("ann@example.com").delete().status_code == 204
    assert group.get().to_dict == []


def test_a_days_file_is_redirected_to_and_missing_days_are_404(sandbox):
    answer = sandbox.http.post("/_sandbox/deactivations", json={"day": "2026-07-17", "numbers": ["+12125550123"]})
    assert answer.json() == {"numbers": 1}
    place = sandbox.twilio().messaging.v1.deactivations().fetch(date=date(2026, 7, 17)).redirect_to
    assert sandbox.http.get(place).text == "+12125550123\n"
    with pytest.raises(TwilioRestException) as refused:
        sandbox.twilio().messaging.v1.deactivations().fetch(date=date(2026, 7, 16))
    assert (refused.value.status, refused.value.code) == (404, 20404)
    assert sandbox.http.post("/_sandbox/deactivations", json={"day": "yesterday", "numbers": []}).status_code == 422


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, []),
        ({"contact_id": "12"}, ["contact_id must be a valid E.164 phone number"]),
        ({"correlation_id": "short"}, ["correlation_id must be a 32-character UUID"]),
        ({"status": "maybe"}, ["status must be opt-in or opt-out"]),
        ({"source": "hearsay"}, ["source is invalid"]),
        ({"sender_id": ""}, ["sender_id must be a messaging service sid or a from number"]),
    ],
)
def test_each_consent_is_taken_or_refused_by_itself(sandbox, changes, problem):
    [first, second] = sandbox.twilio().accounts.v1.bulk_consents.create(items=[GOOD | changes, GOOD]).items
    assert (first["error_code"] == 0, first["error_messages"]) == (not problem, problem)
    assert second["error_code"] == 0


def test_an_opt_out_that_was_pushed_refuses_texts_until_an_opt_in_also_after_a_restart(start_sandbox, tmp_path):
    record = tmp_path / "record.jsonl"
    first = start_sandbox(record_path=record)
    first.twilio().accounts.v1.bulk_consents.create(items=[GOOD])
    first.http.post("/_sandbox/deactivations", json={"day": "2026-07-17", "numbers": ["+12125550123"]})
    first.sendgrid().client.asm.groups._("7").suppressions.post(request_body={"recipient_emails": ["a@b.example"]})
    first.stop()
    again = start_sandbox(record_path=record)
    text = {"to": GOOD["contact_id"], "from_": GOOD["sender_id"], "body": "hello"}
    with pytest.raises(TwilioRestException) as refused:
        again.twilio().messages.create(**text)
    assert refused.value.code == 21610
    assert again.world.deactivated == {"2026-07-17": ["+12125550123"]}
    assert again.world.suppressions.groups == {"7": {"a@b.example": "a@b.example"}}
    again.twilio().accounts.v1.bulk_consents.create(items=[GOOD | {"status": "opt-in"}])
    assert again.twilio().messages.create(**text).sid
