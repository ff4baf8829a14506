"""One attempt at one batch: what is claimed, what is checked at the last moment, what each answer means."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rekindle.channels.ports import OutcomeKind
from rekindle.dispatch import SmsSender
from rekindle.dispatch.batch import LEASE
from rekindle.errors import ConfigurationError
from rekindle.governor.rate import Governor, ProviderRate
from rekindle.vocabulary import Channel


class WorkerDies(BaseException):
    """The process is gone: nothing after this is recorded."""


@pytest.fixture
def ready(world):
    """Three leads with a planned e-mail each."""
    leads = world.leads([{} for _ in range(3)])
    world.freeze(0)
    return world, leads, world.plan(0)


def statuses(world):
    return sorted(row["status"] for row in world.messages())


def test_everything_planned_is_sent_once_and_recorded(ready):
    world, leads, batches = ready
    dispatched = world.dispatch(batches, world.email, 0)
    assert dispatched.as_counts() == {"accepted": 3, "held": 0}
    assert sorted(item.outgoing.to for item in world.email.sent) == sorted(lead.email for lead in leads)
    for message in world.messages():
        assert (message["status"], message["status_rank"]) == ("accepted", 50)
        assert message["accepted_at"] == message["attempting_at"] == message["claimed_at"] == world.at(0)
        assert message["lease_expires_at"] is None and message["provider"] == "sendgrid"
        assert len(message["body_hash"]) == 64 and message["segments"] == 1


def test_a_second_attempt_at_the_same_batch_sends_nothing(ready):
    world, _, batches = ready
    world.dispatch(batches, world.email, 0)
    world.dispatch(batches, world.email, 0)
    assert len(world.email.sent) == 3


def test_of_two_attempts_at_once_only_one_holds_a_message(ready, world_module):
    world, _, batches = ready
    inner = world_module.ScriptedSender("sendgrid")

    def meanwhile(item):
        world.dispatch(batches, inner, 0)
        return world_module.accepted(item)

    world.email.answer = meanwhile
    world.email.chunk_size = 1
    world.dispatch(batches, world.email, 0)
    assert len(world.email.sent) == 3 and inner.sent == []


def test_a_zombie_that_wakes_after_its_lease_may_not_begin_a_chunk(ready, world_module):
    world, _, batches = ready
    rescuer = world_module.ScriptedSender("sendgrid")

    def sleep(item):
        if len(world.email.sent) == 1:  # during the first call: the lease runs out, somebody else takes over
            world.clock.step_to(world.clock.now() + LEASE)
            world.reconcile(0)
            world.dispatch(batches, rescuer, 0)
        return world_module.accepted(item)

    world.email.answer = sleep
    world.email.chunk_size = 1
    world.dispatch(batches, world.email, 0)
    ids = [item.message_id for item in (*world.email.sent, *rescuer.sent)]
    assert len(ids) == len(set(ids)) == 3
    assert statuses(world) == ["accepted"] * 3  # also the first: unknown, and then its own worker said accepted


def test_a_zombie_does_not_record_over_what_is_known_since(ready, world_module):
    world, leads, batches = ready

    def sleep(item):
        world.clock.step_to(world.clock.now() + LEASE)
        world.reconcile(0)
        lead = next(lead for lead in leads if lead.email == item.outgoing.to)
        world.land_mail_events(world.mail_event(item.message_id, "delivered", world.clock.now(), lead.email))
        world.ingest(0)
        return world_module.refused(item, "sendgrid", "429", 429)

    world.email.answer = sleep
    world.email.chunk_size = 1
    world.dispatch(batches, world.email, 0)
    assert statuses(world) == ["delivered", "planned", "planned"]


def test_a_zombies_late_refusal_does_not_make_an_unknown_sendable(ready, world_module):
    world, _, batches = ready

    def sleep(item):
        world.clock.step_to(world.clock.now() + LEASE)
        world.reconcile(0)
        return world_module.refused(item, "sendgrid", "429", 429)

    world.email.answer = sleep
    world.dispatch(batches, world.email, 0)
    assert set(statuses(world)) == {"unknown"}


@pytest.mark.parametrize(
    ("code", "http_status", "status", "reason"),
    [
        ("429", 429, "planned", "provider_busy"),
        ("503", 503, "unknown", None),
        ("400:personalizations.to", 400, "failed", None),
    ],
)
def test_an_answer_means_what_the_table_says(ready, world_module, code, http_status, status, reason):
    world, _, batches = ready
    world.email.answer = lambda item: world_module.refused(item, "sendgrid", code, http_status)
    world.dispatch(batches, world.email, 0)
    assert statuses(world) == [status] * 3
    assert world.decisions() == ([reason] * 3 if reason else [])
    assert all(row["error_code"] == code for row in world.messages())


def test_a_refused_message_is_sent_by_the_next_attempt_under_the_same_id(ready, world_module):
    world, _, batches = ready
    world.email.answer = lambda item: world_module.refused(item, "sendgrid", "429", 429)
    world.dispatch(batches, world.email, 0)
    world.email.answer = None
    world.email.sent.clear()
    world.dispatch(batches, world.email, 0)
    assert {item.message_id for item in world.email.sent} == {row["message_id"] for row in world.messages()}
    assert statuses(world) == ["accepted"] * 3
    assert world.broken() == {}


def test_a_configuration_error_stops_the_run_and_changes_no_lead(ready, world_module):
    world, leads, batches = ready
    world.email.chunk_size = 1
    world.email.answer = lambda item: world_module.refused(item, "sendgrid", "401", 401)
    with pytest.raises(ConfigurationError, match="401"):
        world.dispatch(batches, world.email, 0)
    assert len(world.email.sent) == 1
    assert statuses(world) == ["planned"] * 3
    world.advance(0)
    assert [world.state(lead)["stage"] for lead in leads] == ["probe"] * 3


def test_a_message_without_an_answer_stays_attempting(ready, world_module):
    world, _, batches = ready
    world.email.answer = lambda item: None
    world.dispatch(batches, world.email, 0)
    assert statuses(world) == ["attempting"] * 3
    world.clock.step_to(world.clock.now() + LEASE)
    world.reconcile(0)
    assert statuses(world) == ["unknown"] * 3
    assert world_module.accepted(world.email.sent[0]).kind is OutcomeKind.ACCEPTED


def test_a_dead_worker_leaves_its_other_chunks_unsent(ready):
    world, _, batches = ready
    world.email.chunk_size = 1

    def die(item):
        raise WorkerDies

    world.email.answer = die
    with pytest.raises(WorkerDies):
        world.dispatch(batches, world.email, 0)
    assert statuses(world) == ["attempting", "planned", "planned"]


def test_a_message_that_can_not_be_rendered_is_held_and_the_rest_goes(new_world):
    steps = [
        {"id": "probe", "email": {"template": "probe.txt.j2", "subject": "Hello {{ first_name }}"}},
        {"id": "archive", "end": "archived"},
    ]
    world = new_world(steps=steps)
    held, _ = world.leads([{"first_name": None}, {"first_name": "Ada"}])
    world.freeze(0)
    dispatched = world.dispatch(world.plan(0), world.email, 0)
    assert dispatched.as_counts() == {"accepted": 1, "held": 1}
    assert (world.message(held)["status"], world.message(held)["attempt_id"]) == ("planned", None)
    assert world.decisions(held) == ["configuration"]


# --- the last moment


def test_an_exit_between_planning_and_claiming_stops_the_message(ready):
    world, leads, batches = ready
    world.sign_of_life(leads[0], world.at(0.01))
    world.now(0.02)
    world.advance(0.02)
    world.dispatch(batches, world.email, 0)
    assert leads[0].email not in {item.outgoing.to for item in world.email.sent}
    assert (world.message(leads[0])["status"], world.message(leads[0])["error_code"]) == ("expired", "rechecked")
    assert world.decisions(leads[0]) == ["entry_ended"]


@pytest.mark.parametrize(
    ("said_on", "reason", "is_stopped"),
    [
        ("email", "unsubscribed", True),
        ("email", "hard_bounced", True),
        ("phone", "unsubscribed", True),
        ("phone", "provider_optout", True),
        ("phone", "invalid_number", False),
    ],
)
def test_a_suppression_between_planning_and_claiming_stops_the_message(ready, said_on, reason, is_stopped):
    world, leads, batches = ready
    lead = leads[0]
    hashed, channel = (lead.email_hash, "email") if said_on == "email" else (lead.phone_hash, "sms")
    world.suppress(hashed, channel, reason)
    world.dispatch(batches, world.email, 0)
    assert (lead.email not in {item.outgoing.to for item in world.email.sent}) is is_stopped
    assert world.decisions(lead) == (["suppressed"] if is_stopped else [])
    assert len(world.email.sent) == (2 if is_stopped else 3)


@pytest.mark.parametrize(("second", "sent"), [(-1, 3), (0, 0)])
def test_nothing_is_claimed_from_the_second_the_window_closes(ready, second, sent):
    world, _, batches = ready
    world.clock.step_to(world.messages()[0]["expires_at"] + timedelta(seconds=second))
    world.dispatch(batches, world.email, 0)
    assert len(world.email.sent) == sent
    assert world.broken() == {}


def test_nothing_is_claimed_before_the_window_opens(ready):
    world, _, batches = ready
    world.execute("update rekindle_state.messages set window_opens_at = $later", later=world.at(0.01))
    world.dispatch(batches, world.email, 0)
    assert world.email.sent == [] and statuses(world) == ["planned"] * 3
    assert world.decisions() == ["outside_send_window"] * 3


def test_a_revocation_between_planning_and_claiming_stops_the_message(ready):
    world, leads, batches = ready
    world.consent(leads[0], "email", action="revoked", occurred_at=world.at(0))
    world.dispatch(batches, world.email, 0)
    assert leads[0].email not in {item.outgoing.to for item in world.email.sent}


def test_a_consent_that_ran_out_between_planning_and_claiming_stops_the_message(world):
    lead = world.lead(consents=())
    world.consent(lead, "email", expires_at=world.at(0.01))
    world.freeze(0)
    batches = world.plan(0)
    world.clock.step_to(world.at(0.02))
    world.dispatch(batches, world.email, 0)
    assert world.email.sent == []


def test_a_cap_that_filled_up_between_planning_and_claiming_defers_the_message(new_world):
    world = new_world(caps={"messages": 1, "per_days": 7})
    world.leads([{"email": "shared@mail.example"}, {"email": "shared@mail.example"}])
    world.freeze(0)
    world.dispatch(world.plan(0), world.email, 0)
    assert len(world.email.sent) == 1


def test_an_address_that_changed_after_planning_is_not_written_to_unchecked(ready):
    world, leads, batches = ready
    lead, new = leads[0], world.lead(lead_id="new", is_cold=False)
    world.suppress(new.email_hash)  # the new address once said stop
    world.execute(
        "update rekindle_activation.sync_lead_contacts set email = $email, email_hash = $hash where lead_id = $lead",
        email=new.email,
        hash=new.email_hash,
        lead=lead.lead_id,
    )
    world.dispatch(batches, world.email, 0)
    assert new.email not in {item.outgoing.to for item in world.email.sent}


def test_a_chunk_does_not_begin_after_the_window_has_closed(ready, world_module):
    world, _, batches = ready
    closes = world.messages()[0]["expires_at"]
    world.clock.step_to(closes - timedelta(minutes=1))

    def slowly(item):
        world.clock.step_to(world.clock.now() + timedelta(minutes=2))
        return world_module.accepted(item)

    world.email.answer = slowly
    world.email.chunk_size = 1
    world.dispatch(batches, world.email, 0)
    assert len(world.email.sent) == 1
    assert world.broken() == {}


def test_two_texts_of_one_chunk_leave_inside_the_window_or_not_at_all(world, world_module):
    world.leads([{"email": None} for _ in range(3)])
    world.freeze(0)
    world.plan(0)
    batches = world.plan(0, Channel.SMS)
    closes = world.messages()[0]["expires_at"]
    world.clock.step_to(closes - timedelta(minutes=1))
    left_at = []

    class SlowChannel:
        def send(self, sms):
            left_at.append(world.clock.now())
            world.clock.step_to(world.clock.now() + timedelta(minutes=2))
            return world_module.accepted(sms, "twilio")

    world.dispatch(batches, SmsSender(SlowChannel(), Governor.in_memory(ProviderRate(100))), 0)
    assert all(at < closes for at in left_at)


def test_a_held_out_message_is_never_claimed_whatever_its_status_says(new_world):
    world = new_world(holdout={"share": 0.5, "salt": "salt"})
    world.leads([{} for _ in range(12)])
    world.freeze(0)
    batches = world.plan(0)
    world.execute("update rekindle_state.messages set status = 'planned', status_rank = 0")  # somebody's bad repair
    world.dispatch(batches, world.email, 0)
    held_out = set(world.values("select message_id from rekindle_state.messages where arm = 'holdout'"))
    assert held_out and not held_out & {item.message_id for item in world.email.sent}
