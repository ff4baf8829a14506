"""One attempt at one batch: what is claimed, what is checked at the last moment, what each answer means."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import duckdb
import pytest
from msgspec import structs

from rekindle.campaigns.models import MessageTemplate
from rekindle.channels.ports import OutcomeKind
from rekindle.dispatch import Composer, SmsSender
from rekindle.dispatch.batch import LEASE, RETRY_REFUSED_AFTER
from rekindle.errors import ConfigurationError
from rekindle.governor.rate import Governor, ProviderRate
from rekindle.governor.receipts import free_held_messages
from rekindle.vocabulary import Channel, DecisionReason
from rekindle.warehouse.duckdb import DuckDbTransaction


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


@pytest.mark.parametrize("requests", [1, 2, 3])
def test_each_message_is_recorded_with_the_proof_of_its_own_request(ready, world_module, requests):
    world, _, batches = ready
    proofs = {}

    def in_a_request(item):
        proofs[item.message_id] = f"request {len(proofs) * requests // 3}"
        return structs.replace(world_module.accepted(item), provider_message_id=proofs[item.message_id])

    world.email.answer = in_a_request
    world.dispatch(batches, world.email, 0)
    assert len(set(proofs.values())) == requests
    assert {row["message_id"]: row["provider_message_id"] for row in world.messages()} == proofs
    assert statuses(world) == ["accepted"] * 3


def test_who_is_refused_at_the_last_moment_is_composed_and_not_sent(ready):
    """Whole chunks of them, in whatever place: composing began before the re-check had its say."""
    world, leads, batches = ready
    world.email.chunk_size = 1
    planned = [row["lead_id"] for row in sorted(world.messages(), key=lambda row: row["message_id"])]
    refused = [lead for lead in leads if lead.lead_id in planned[:2]]
    for lead in refused:
        world.suppress(lead.email_hash, "email", "unsubscribed")
    assert world.dispatch(batches, world.email, 0).as_counts() == {"accepted": 1, "held": 0}
    assert [item.outgoing.lead_id for item in world.email.sent] == planned[2:]
    assert [world.decisions(lead) for lead in refused] == [["suppressed"]] * 2


def test_who_is_refused_and_can_not_be_composed_either_is_refused(new_world):
    """The lead's own no is the reason, and no fault of ours beside it."""
    step = {"id": "probe", "email": {"template": "probe.txt.j2", "subject": "{{ plan }}"}}
    world = new_world(steps=[step, {"id": "archive", "end": "archived"}])
    lead = world.lead(plan="pro")
    world.freeze(0)
    batches = world.plan(0)
    world.execute("update rekindle_activation.sync_lead_contacts set plan = null")
    world.suppress(lead.email_hash, "email", "unsubscribed")
    assert world.dispatch(batches, world.email, 0).as_counts() == {"held": 0}
    assert world.decisions(lead) == ["suppressed"]


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
    assert world.decisions() == []  # nor is its refusal the reason of anything


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
    world.clock.step_to(world.clock.now() + RETRY_REFUSED_AFTER)
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


def test_a_zombie_does_not_touch_what_its_rescuer_holds(ready, world_module):
    world, _, batches = ready
    rescuer = world_module.ScriptedSender("sendgrid")
    zombies_own = []

    def sleep(item):
        # Given a zombie whose refusal comes back when its message was planned again by hand and claimed by another
        if not zombies_own:
            zombies_own.append(item.message_id)
            world.clock.step_to(world.clock.now() + LEASE)
            world.reconcile(0)
            world.execute(
                "update rekindle_state.messages set status = 'planned', status_rank = 0, attempt_id = null"
                " where message_id = $id",
                id=item.message_id,
            )
            world.dispatch(batches, rescuer, 0)
        return world_module.refused(item, "sendgrid", "400:personalizations.to", 400)

    world.email.answer = sleep
    world.email.chunk_size = 1
    world.dispatch(batches, world.email, 0)
    assert statuses(world) == ["accepted"] * 3
    assert len(world.email.sent) == 1 and len(rescuer.sent) == 3


def test_a_clock_that_jumps_past_the_lease_before_the_call_sends_nothing(ready, monkeypatch):
    world, _, batches = ready
    compose = Composer.compose

    def slowly(self, row, now):
        world.clock.step_to(world.clock.now() + LEASE)
        return compose(self, row, now)

    monkeypatch.setattr(Composer, "compose", slowly)
    world.execute("update rekindle_state.messages set expires_at = expires_at + interval 1 day")
    dispatched = world.dispatch(batches, world.email, 0)
    assert world.email.sent == [] and dispatched.as_counts() == {"held": 3}
    assert statuses(world) == ["planned"] * 3


@pytest.mark.parametrize("hours", [-6, 6])
def test_a_clock_that_jumps_during_the_call_loses_and_repeats_nothing(ready, world_module, hours):
    world, _, batches = ready
    path = world.clock.path

    def jump(item):
        path.write_text((world.at(0) + timedelta(hours=hours)).isoformat())
        return world_module.accepted(item)

    world.email.answer = jump
    world.dispatch(batches, world.email, 0)
    world.reconcile(0)
    world.dispatch(batches, world.email, 0)
    assert len(world.email.sent) == 3 and statuses(world) == ["accepted"] * 3


def test_a_code_without_a_row_is_taken_for_our_fault(ready, world_module):
    world, leads, batches = ready
    world.email.answer = lambda item: world_module.refused(item, "sendgrid", "418", 418)
    with pytest.raises(ConfigurationError, match="418"):
        world.dispatch(batches, world.email, 0)
    assert statuses(world) == ["planned"] * 3 and world.decisions() == ["configuration"] * 3
    world.advance(0)
    assert {world.state(lead)["exit_reason"] for lead in leads} == {None}


def test_what_the_governor_says_holds_the_rest_of_the_batch_and_fails_nothing(ready, world_module):
    world, leads, batches = ready
    until = world.at(0) + timedelta(hours=1)

    def held(item):
        outcome = world_module.refused(item, "sendgrid", "429", 429)
        return structs.replace(outcome, held=DecisionReason.BREAKER_OPEN, held_until=until)

    world.email.answer = held
    world.email.chunk_size = 1
    dispatched = world.dispatch(batches, world.email, 0)
    assert len(world.email.sent) == 1  # the others were not even marked
    assert dispatched.as_counts() == {"held": 2, "planned": 1}
    assert statuses(world) == ["planned"] * 3
    rows = world.query("select reason, next_due_at from rekindle_state.decisions")
    assert [(row["reason"], row["next_due_at"]) for row in rows] == [("breaker_open", until)] * 3
    # and once it is over, everybody is written to once
    world.email.answer = None
    world.email.sent.clear()
    world.clock.step_to(until)
    world.dispatch(batches, world.email, 0)
    assert len(world.email.sent) == 3 and statuses(world) == ["accepted"] * 3
    world.advance(0)
    assert {world.state(lead)["exit_reason"] for lead in leads} == {None}


def test_whom_a_breaker_held_is_free_when_a_person_closes_it(ready, world_module):
    world, _, batches = ready
    until = world.at(0) + timedelta(hours=1)
    reasons = iter([DecisionReason.BREAKER_OPEN, DecisionReason.BREAKER_OPEN, DecisionReason.DAILY_ALLOWANCE])

    def held(item):
        outcome = world_module.refused(item, "sendgrid", "429", 429)
        return structs.replace(outcome, held=next(reasons), held_until=until)

    world.email.answer = held
    world.dispatch(batches, world.email, 0)
    world.email.answer = None
    assert free_held_messages(world.warehouse, "twilio", world.clock.now()) == 0
    assert free_held_messages(world.warehouse, "sendgrid", world.clock.now()) == 2
    assert free_held_messages(world.warehouse, "sendgrid", world.clock.now()) == 0
    world.dispatch(batches, world.email, 0)
    assert statuses(world) == ["accepted", "accepted", "planned"]  # a spent allowance is nobody's to give


@pytest.mark.parametrize(("stated", "minutes"), [(3_600.0, 60), (0.0, 0), (None, 5)])
def test_a_stated_wait_is_when_the_message_is_due_again(ready, world_module, stated, minutes):
    world, _, batches = ready

    def throttled(item):
        return structs.replace(world_module.refused(item, "sendgrid", "429", 429), retry_after_seconds=stated)

    world.email.answer = throttled
    world.dispatch(batches, world.email, 0)
    due = world.at(0) + timedelta(minutes=minutes)
    assert set(world.values("select next_due_at from rekindle_state.decisions")) == {due}
    world.email.answer = None
    world.email.sent.clear()
    if minutes:
        world.clock.step_to(due - timedelta(seconds=1))
        world.dispatch(batches, world.email, 0)
        assert world.email.sent == []
        world.clock.step_to(due)
    world.dispatch(batches, world.email, 0)
    assert len(world.email.sent) == 3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{{ company_name }}: " + "a" * 300 + " Reply STOP to opt out", "max_segments is 1"),
        ("{{ company_name }}: {{ 1 // 0 }} Reply STOP to opt out", "ZeroDivisionError"),
    ],
)
def test_a_text_that_can_not_be_made_is_held_and_nobody_is_to_blame(new_world, body, said):
    world = new_world()
    (step,) = [step for step in world.campaign.message_steps if step.channel is Channel.SMS]
    changed = replace(step, template=MessageTemplate(step.template.name, body), max_segments=1)
    # before anybody enters: a batch is composed from the words of the version its leads are on
    steps = tuple(changed if one is step else one for one in world.campaign.steps)
    world.campaign = replace(world.campaign, steps=steps)
    lead = world.lead(email=None)
    world.freeze(0)
    world.plan(0)
    batches = world.plan(0, Channel.SMS)
    dispatched = world.dispatch(batches, world.sms, 0)
    assert dispatched.as_counts() == {"held": 1} and world.sms.sent == []
    (decision,) = world.query("select reason, detail from rekindle_state.decisions where message_id is not null")
    assert decision["reason"] == "configuration" and said in decision["detail"]
    world.advance(0)
    assert (world.message(lead)["status"], world.state(lead)["exit_reason"]) == ("planned", None)


def test_what_was_answered_is_recorded_before_a_later_message_breaks_the_batch(ready, world_module, monkeypatch):
    world, _, batches = ready
    compose, composed = Composer.compose, []

    def break_at_the_second(self, row, now):
        composed.append(row["message_id"])
        if len(composed) == 2:
            raise ConfigurationError("the step is gone")
        return compose(self, row, now)

    monkeypatch.setattr(Composer, "compose", break_at_the_second)
    world.email.chunk_size = 1
    with pytest.raises(ConfigurationError, match="step is gone"):
        world.dispatch(batches, world.email, 0)
    assert statuses(world) == ["accepted", "planned", "planned"]


def test_chunks_are_sent_in_order_and_composed_at_most_one_ahead(ready, world_module, monkeypatch):
    world, _, batches = ready
    compose, composed, ahead = Composer.compose, [], []

    def count(self, row, now):
        composed.append(row["message_id"])
        return compose(self, row, now)

    def look(item):
        ahead.append(len(composed) - len(world.email.sent))
        return world_module.accepted(item)

    monkeypatch.setattr(Composer, "compose", count)
    world.email.answer = look
    world.email.chunk_size = 1
    world.dispatch(batches, world.email, 0)
    assert [item.message_id for item in world.email.sent] == composed == sorted(composed)
    assert max(ahead) <= 1


def test_an_answer_is_recorded_though_the_next_chunk_can_not_be_marked(ready, monkeypatch):
    world, _, batches = ready
    execute, marked = DuckDbTransaction.execute, []

    def break_at_the_second(self, statement, /, **values):
        if statement == "dispatch/mark_attempting":
            marked.append(statement)
            if len(marked) == 2:
                raise duckdb.IOException("no space left")
        return execute(self, statement, **values)

    monkeypatch.setattr(DuckDbTransaction, "execute", break_at_the_second)
    world.email.chunk_size = 1
    with pytest.raises(duckdb.IOException, match="no space left"):
        world.dispatch(batches, world.email, 0)
    assert len(world.email.sent) == 1 and statuses(world) == ["accepted", "planned", "planned"]


def test_a_commit_that_failed_after_it_was_on_the_disk_makes_nobody_accepted_who_was_not(ready, monkeypatch):
    """The next chunk may then be `attempting` without having been sent: it is not part of what was accepted."""
    world, _, batches = ready
    transaction, is_lost = world.warehouse.transaction, iter([True])

    @contextmanager
    def lose_the_answer():
        with transaction() as inside:
            yield inside
            stand = {row["status"] for row in inside.query("select status from rekindle_state.messages")}
        if {"accepted", "attempting"} <= stand and next(is_lost, False):
            raise duckdb.IOException("could not sync")

    monkeypatch.setattr(world.warehouse, "transaction", lose_the_answer)
    world.email.chunk_size = 1
    with pytest.raises(duckdb.IOException, match="could not sync"):
        world.dispatch(batches, world.email, 0)
    assert len(world.email.sent) == 1
    assert statuses(world) == ["accepted", "attempting", "planned"]


def test_what_was_not_answered_is_not_recorded_with_the_next_chunk(ready, world_module):
    world, _, batches = ready
    world.email.answer = lambda item: world_module.accepted(item) if len(world.email.sent) > 1 else None
    world.email.chunk_size = 1
    world.dispatch(batches, world.email, 0)
    assert statuses(world) == ["accepted", "accepted", "attempting"]


# --- a person says stop


def say_stop(world, scope, name=None, mode="hold", lifted=False):
    world.insert(
        "rekindle_state.stops",
        {
            "stop_id": f"{scope} {name} {mode}",
            "scope": scope,
            "name": name,
            "mode": mode,
            "reason": "the wrong template",
            "set_by": "ada",
            "set_at": world.clock.now(),
            "lifted_at": world.clock.now() if lifted else None,
        },
    )


@pytest.mark.parametrize("mode", ["hold", "cancel"])
@pytest.mark.parametrize(
    ("scope", "name"),
    [
        ("everything", None),
        ("campaign", "cold_lead_reengagement"),
        ("channel", "email"),
        ("provider", "sendgrid"),
    ],
)
def test_what_is_stopped_is_not_claimed_and_leaves_when_it_is_lifted(ready, scope, name, mode):
    world, _, batches = ready
    say_stop(world, scope, name, mode)
    assert world.dispatch(batches, world.email, 0).as_counts() == {"held": 0}
    assert world.email.sent == [] and statuses(world) == ["planned"] * 3
    decisions = world.query("select reason, detail, next_due_at from rekindle_state.decisions")
    assert decisions == [{"reason": "stopped", "detail": "the wrong template", "next_due_at": None}] * 3
    world.execute("update rekindle_state.stops set lifted_at = set_at")
    world.dispatch(batches, world.email, 0)
    assert statuses(world) == ["accepted"] * 3


@pytest.mark.parametrize(
    ("scope", "name", "mode", "lifted"),
    [
        ("campaign", "another_campaign", "hold", False),
        ("channel", "sms", "hold", False),
        ("provider", "twilio", "cancel", False),
        ("everything", None, "drain", False),  # who is in flight goes on
        ("everything", None, "hold", True),
    ],
)
def test_a_stop_of_something_else_stops_nothing(ready, scope, name, mode, lifted):
    world, _, batches = ready
    say_stop(world, scope, name, mode, lifted)
    world.dispatch(batches, world.email, 0)
    assert statuses(world) == ["accepted"] * 3 and world.decisions() == []


def test_a_stop_during_a_call_lets_its_chunk_finish_and_no_other_begin(ready, world_module):
    world, _, batches = ready

    def stop(item):
        say_stop(world, "everything")
        return world_module.accepted(item)

    world.email.answer = stop
    world.email.chunk_size = 1
    assert world.dispatch(batches, world.email, 0).as_counts() == {"accepted": 1, "held": 2}
    assert len(world.email.sent) == 1 and statuses(world) == ["accepted", "planned", "planned"]
    assert world.decisions() == ["stopped"] * 2


def test_a_stopped_message_still_expires(ready):
    world, _, batches = ready
    say_stop(world, "everything")
    world.dispatch(batches, world.email, 0)
    world.clock.step_to(world.clock.now() + timedelta(days=1))
    world.dispatch(batches, world.email, 0)
    assert statuses(world) == ["expired"] * 3


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

    world.dispatch(batches, SmsSender(SlowChannel(), Governor.in_memory(ProviderRate(100)), calls_at_once=1), 0)
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
