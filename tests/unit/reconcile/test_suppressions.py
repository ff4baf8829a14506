"""Our suppressions and the providers' lists become alike in both directions, over real HTTP."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rekindle.channels.ports import ProviderUnavailableError
from rekindle.channels.suppressions import SuppressionList
from rekindle.errors import ConfigurationError
from rekindle.identity import address_hash
from rekindle.reconcile.suppressions import push_email_opt_outs, push_text_opt_outs, sync_suppressions


def sync(world, providers, day, **options):
    world.now(day)
    return sync_suppressions(world.warehouse, providers.sendgrid(**options), world.clock, world.run(day))


def push(world, providers, day, **options):
    world.now(day)
    return push_email_opt_outs(world.warehouse, providers.sendgrid(**options), world.clock, world.run(day))


def push_texts(world, providers, day):
    world.now(day)
    return push_text_opt_outs(world.warehouse, providers.twilio(), world.clock, world.run(day))


def suppressed(world):
    return {
        (row["address_hash"], row["channel"]): (row["reason"], row["source"])
        for row in world.query("select * from rekindle_state.suppressions where lifted_at is null")
    }


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (SuppressionList.BOUNCES, "hard_bounced"),
        (SuppressionList.INVALID_EMAILS, "hard_bounced"),
        (SuppressionList.SPAM_REPORTS, "complained"),
        (SuppressionList.UNSUBSCRIBES, "unsubscribed"),
        (SuppressionList.BLOCKS, None),
    ],
)
def test_being_on_a_list_suppresses_by_its_reason_and_a_block_suppresses_nobody(world, providers, name, reason):
    providers.world.suppress(name, "Person@Mail.Example")
    assert sync(world, providers, 0.1)["listed"] == 1
    wanted = {(address_hash("person@mail.example"), "email"): (reason, "sendgrid")} if reason else {}
    assert suppressed(world) == wanted
    assert world.broken() == {}


def test_a_webhook_that_was_lost_is_made_good_and_nothing_is_sent_any_more(world, providers, mailed):
    lead, _ = mailed()
    providers.world.suppress(SuppressionList.UNSUBSCRIBES, lead.email)
    sync(world, providers, 0.1)
    assert world.state(lead)["exit_reason"] == "unsubscribed"
    for day in (1, 2, 3):
        world.tick(day)
    assert len(world.messages(lead)) == 1
    assert world.broken() == {}


def test_every_page_is_read(world, providers):
    for number in range(23):
        providers.world.suppress(SuppressionList.BOUNCES, f"gone{number}@mail.example")
    assert sync(world, providers, 0.1, page_size=5)["suppressed"] == 23
    assert providers.counts()["GET /v3/suppression/bounces"] == {"200": 5}


def test_only_what_is_new_is_read_and_a_day_overlaps(world, providers):
    providers.world.suppress(SuppressionList.BOUNCES, "early@mail.example")
    world.now(3)
    providers.world.suppress(SuppressionList.BOUNCES, "late@mail.example")
    assert sync(world, providers, 3.5)["listed"] == 2
    world.now(3.9)
    providers.world.suppress(SuppressionList.BOUNCES, "later@mail.example")
    counts = sync(world, providers, 4)
    # the early one is out of the window, the late one is in the overlap and told nothing new
    assert (counts["listed"], counts["new_events"]) == (2, 1)
    before = world.fingerprint()
    assert sync(world, providers, 4)["new_events"] == 0
    assert world.fingerprint() == before


def test_a_list_that_can_not_be_read_moves_no_watermark(world, providers):
    providers.world.suppress(SuppressionList.BOUNCES, "gone@mail.example")
    providers.faults({"kind": "server_error_before", "provider": "sendgrid", "endpoint": "suppressions"})
    with pytest.raises(ProviderUnavailableError, match=r"HTTP 5\d\d"):
        sync(world, providers, 0.1)
    assert len(providers.waits) == 2  # tried three times
    assert suppressed(world) == {}
    providers.http.delete("/_sandbox/faults")
    # days later, and still from the beginning
    assert sync(world, providers, 9)["suppressed"] == 1


def test_a_wrong_key_is_ours_to_mend_and_says_how(world, providers):
    providers.faults({"kind": "config_error", "provider": "sendgrid", "endpoint": "suppressions"})
    with pytest.raises(ConfigurationError, match="needs the scopes"):
        sync(world, providers, 0.1)


def test_our_own_pages_opt_out_is_pushed_once_and_is_no_news_when_it_comes_back(world, providers, mailed):
    lead, message = mailed()
    world.land("unsubscribes", world.unsubscribe(message["message_id"], lead.email_hash, "email", world.at(0.1)))
    world.ingest(1)
    assert push(world, providers, 1) == {"pushed_emails": 1, "withdrawn_emails": 0}
    assert list(providers.world.suppressions.lists[SuppressionList.UNSUBSCRIBES]) == [lead.email]
    [row] = world.query("select * from rekindle_state.opt_out_pushes")
    assert (row["address_hash"], row["channel"], row["provider"], row["provider_list"], row["reason"]) == (
        *(lead.email_hash, "email", "sendgrid", "global", "unsubscribed"),
    )
    assert push(world, providers, 2) == {"pushed_emails": 0, "withdrawn_emails": 0}
    assert providers.counts()["POST /v3/asm/suppressions/global"] == {"201": 1}
    before = suppressed(world)
    assert sync(world, providers, 2)["our_own"] == 1
    assert suppressed(world) == before


def test_a_stop_by_text_is_pushed_to_the_mailboxs_provider_too(world, providers, mailed):
    lead, _ = mailed()
    world.land("twilio_inbound", world.inbound_text(lead.phone, "please stop texting me", world.at(0.1)))
    world.ingest(1)
    assert push(world, providers, 1) == {"pushed_emails": 1, "withdrawn_emails": 0}
    # Twilio's own STOP was told by Twilio: it knows
    assert push_texts(world, providers, 1) == {"pushed_numbers": 0, "refused_numbers": 0}


def test_an_unsubscribe_by_mail_is_told_to_the_compliance_toolkit_which_then_refuses_texts(world, providers, mailed):
    lead, message = mailed(phone="+12125550123")
    world.land("unsubscribes", world.unsubscribe(message["message_id"], lead.email_hash, "email", world.at(0.1)))
    world.ingest(1)
    assert push_texts(world, providers, 1) == {"pushed_numbers": 1, "refused_numbers": 0}
    assert push_texts(world, providers, 2) == {"pushed_numbers": 0, "refused_numbers": 0}
    form = {"To": lead.phone, "MessagingServiceSid": "MG" + "1" * 32, "Body": "hello"}
    auth = (providers.settings.twilio_account_sid, providers.settings.twilio_auth_token.get_secret_value())
    path = f"/2010-04-01/Accounts/{providers.settings.twilio_account_sid}/Messages.json"
    assert providers.http.post(path, data=form, auth=auth).json()["code"] == 21610


def test_what_the_toolkit_refuses_is_not_noted_as_pushed(world, providers):
    lead = world.lead(phone="+1")
    world.suppress(lead.email_hash)
    assert push_texts(world, providers, 1) == {"pushed_numbers": 0, "refused_numbers": 1}
    assert world.query("select * from rekindle_state.opt_out_pushes") == []


@pytest.mark.parametrize(("reason", "source"), [("hard_bounced", "rekindle"), ("unsubscribed", "sendgrid")])
def test_a_dead_mailbox_and_what_sendgrid_said_itself_are_not_pushed(world, providers, reason, source):
    lead = world.lead()
    world.suppress(lead.email_hash, reason=reason)
    world.execute("update rekindle_state.suppressions set source = $source", source=source)
    assert push(world, providers, 1) == {"pushed_emails": 0, "withdrawn_emails": 0}


@pytest.mark.parametrize("options", [{}, {"asm_group_id": 77}])
def test_who_asks_for_messages_again_is_taken_off_and_a_new_no_is_pushed_again(world, providers, options):
    lead = world.lead()
    world.suppress(lead.email_hash)
    push(world, providers, 1, **options)
    world.execute("update rekindle_state.suppressions set lifted_at = $now", now=world.now(2))
    assert push(world, providers, 2, **options) == {"pushed_emails": 0, "withdrawn_emails": 1}
    assert lead.email not in providers.world.suppressions.lists[SuppressionList.UNSUBSCRIBES]
    assert providers.world.suppressions.groups.get("77", {}) == {}
    assert push(world, providers, 2, **options) == {"pushed_emails": 0, "withdrawn_emails": 0}
    world.now(3)
    world.suppress(lead.email_hash)
    assert push(world, providers, 3, **options) == {"pushed_emails": 1, "withdrawn_emails": 0}


def test_a_stop_by_text_before_the_return_by_mail_does_not_count_and_one_after_it_does(world, providers):
    lead = world.lead()
    world.suppress(lead.phone_hash, channel="sms")
    assert push(world, providers, 1)["pushed_emails"] == 1
    world.consent(lead, "email", source="preference_page", occurred_at=world.now(2))
    assert push(world, providers, 2) == {"pushed_emails": 0, "withdrawn_emails": 1}
    world.execute("update rekindle_state.suppressions set suppressed_at = $now", now=world.now(3))
    assert push(world, providers, 3) == {"pushed_emails": 1, "withdrawn_emails": 0}


def test_what_is_off_the_list_already_is_noted_as_taken_off(world, providers):
    lead = world.lead()
    world.suppress(lead.email_hash)
    push(world, providers, 1)
    providers.world.unsuppress(SuppressionList.UNSUBSCRIBES, lead.email)
    world.execute("update rekindle_state.suppressions set lifted_at = $now", now=world.now(2))
    assert push(world, providers, 2)["withdrawn_emails"] == 1
    assert world.values("select withdrawn_at from rekindle_state.opt_out_pushes") == [world.at(2)]


def test_a_group_instead_of_everything(world, providers):
    lead = world.lead()
    world.suppress(lead.email_hash)
    assert push(world, providers, 1, asm_group_id=77) == {"pushed_emails": 1, "withdrawn_emails": 0}
    assert providers.world.suppressions.groups == {"77": {lead.email: lead.email}}
    assert world.values("select provider_list from rekindle_state.opt_out_pushes") == ["group:77"]


def test_a_push_that_died_before_it_was_noted_is_harmless_the_second_time(world, providers):
    lead = world.lead()
    world.suppress(lead.email_hash)
    providers.faults({"kind": "server_error_after", "provider": "sendgrid", "endpoint": "suppressions", "count": 1})
    assert push(world, providers, 1) == {"pushed_emails": 1, "withdrawn_emails": 0}
    created = providers.world.suppressions.lists[SuppressionList.UNSUBSCRIBES][lead.email]["created"]
    assert created == int(world.at(1).timestamp())
    assert world.values("select count(*) from rekindle_state.opt_out_pushes") == [1]


def test_nothing_that_is_raised_names_anybody(world, providers):
    lead = world.lead()
    world.suppress(lead.email_hash)
    providers.faults({"kind": "malformed_body", "provider": "sendgrid", "endpoint": "suppressions"})
    providers.world.suppress(SuppressionList.BOUNCES, lead.email)
    with pytest.raises(ProviderUnavailableError) as raised:
        sync(world, providers, 1)
    assert lead.email not in repr(raised.value) and raised.value.__cause__ is None
    assert timedelta(0) < timedelta(seconds=sum(providers.waits))
