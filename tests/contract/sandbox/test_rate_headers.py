"""What SendGrid says of its rate on what it accepts, and that the governor keeps to it before there is a 429."""

from __future__ import annotations

from datetime import timedelta

from rekindle.channels.credentials import SendGridAccount
from rekindle.channels.ports import OutcomeKind, OutgoingEmail
from rekindle.channels.provider_errors import ProviderErrors
from rekindle.channels.sendgrid import SendGridChannel
from rekindle.dispatch import Composed, EmailSender
from rekindle.governor.rate import Governor, ProviderRate

TOO_FAST = ProviderRate(1_000, block=1_000)


def composed(sandbox, first: int, count: int) -> list[Composed]:
    expires_at = sandbox.clock.now() + timedelta(hours=1)
    return [
        Composed(
            f"m-{number}",
            OutgoingEmail(
                message_id=f"m-{number}",
                campaign_id="cold",
                step_id="probe",
                lead_id=f"lead-{number}",
                to=f"person{number}@mail.example",
                subject="Hello",
                text="Are you there?",
                html=None,
                unsubscribe_url="https://rekindle.example/u/token",
            ),
            "0" * 64,
            1,
            expires_at,
        )
        for number in range(first, first + count)
    ]


def test_an_account_whose_rate_is_used_up_waits_for_its_reset_and_meets_no_429(start_sandbox):
    sandbox = start_sandbox(sendgrid_messages_per_second=50)
    account = SendGridAccount(
        api_key=sandbox.settings.sendgrid_api_key,
        base_url=sandbox.base_url,
        from_email="hello@example.com",
        from_name="Example Records",
        postal_address="1 Example Street, Springfield, IL 62701, USA",
    )
    governor = Governor.in_memory(TOO_FAST)
    sender = EmailSender(SendGridChannel(account, ProviderErrors.load(), clock=sandbox.clock), governor)

    # 50 a second: after 20 there is more, after 80 there is a debt of 30
    outcomes = sender.send(composed(sandbox, 0, 20), sandbox.clock)
    assert governor.status().paused_until is None
    outcomes += sender.send(composed(sandbox, 20, 60), sandbox.clock)
    assert governor.status().paused_until is not None
    outcomes += sender.send(composed(sandbox, 80, 1), sandbox.clock)

    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.ACCEPTED}
    assert len(sandbox.accepted()) == len(outcomes) == 81
