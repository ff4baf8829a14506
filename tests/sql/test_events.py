"""Late, repeated and out-of-order: whatever order providers tell things in, the ledger ends the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

STATES = (
    "messages",
    "suppressions",
    "journey_state",
)
EFFECT_OF_SUPPRESSIONS = """
    select
        address_hash,
        channel,
        max(case when reason in ('unsubscribed', 'complained', 'provider_optout') then 1 else 0 end) as is_own_word
    from rekindle_state.suppressions
    where lifted_at is null
    group by address_hash, channel
    order by address_hash, channel
"""


@pytest.fixture(scope="module")
def mailed_template(world_module, empty_warehouse, tmp_path_factory):
    """Two leads, mailed and (the second) texted, with nothing heard back."""
    world = world_module.World(tmp_path_factory.mktemp("mailed") / "world", empty_warehouse)
    leads = [world.lead(), world.lead(email=None)]
    world.tick(0)
    messages = [world.message(lead)["message_id"] for lead in leads]
    world.let_go()
    return world.path, leads, messages


def everything_said(world, leads, messages):
    """A provider's and a person's whole story, as (stream, line)."""
    mailed, texted = leads
    mail, text = messages
    at = world.at

    def event(name, when, **words):
        return "sendgrid_events", world.line(
            at(0.9), json.dumps([world.mail_event(mail, name, at(when), mailed.email, **words)])
        )

    return [
        event("processed", 0.01),
        event("deferred", 0.02, attempt="1"),
        event("delivered", 0.03),
        event("open", 0.04),
        event("bounce", 0.05, type="bounce", status="5.1.1"),
        event("spamreport", 0.06),
        ("link_clicks", world.click(mail, at(0.07))),
        ("unsubscribes", world.unsubscribe(mail, mailed.email_hash, "email", at(0.08))),
        ("twilio_status", world.text_status(text, "sent", at(0.02), texted.phone)),
        ("twilio_status", world.text_status(text, "undelivered", at(0.03), texted.phone, "30005")),
        ("twilio_inbound", world.inbound_text(texted.phone, "STOP", at(0.04))),
    ]


stories = st.lists(st.integers(0, 10), min_size=0, max_size=10).flatmap(
    lambda repeats: st.tuples(
        st.permutations([*range(11), *repeats]), st.lists(st.integers(0, 21), max_size=4).map(lambda cuts: sorted(cuts))
    )
)


def tell(world_module, template, folder, order, cuts):
    """Tell the story in that order, one ingest run after each cut, all within one day; what came of it."""
    path, leads, messages = template
    world = world_module.World(folder, path)
    world.now(1)
    said = everything_said(world, leads, messages)
    pieces = [order[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    for piece in pieces:
        for number in piece:
            world.land(*said[number])
        world.ingest(1)
    ledger = world.query(
        "select message_id, status, status_rank, accepted_at, provider_message_id from rekindle_state.messages"
        " order by message_id"
    )
    details = world.query("select message_id, settled_at, error_code from rekindle_state.messages order by 1")
    effect = world.query(EFFECT_OF_SUPPRESSIONS)
    rows = world.query("select * exclude (recorded_at) from rekindle_state.suppressions order by all")
    events = sorted(world.values("select event_key from rekindle_state.message_events"))
    broken = world.broken()
    journeys = world.query("select * from rekindle_state.journey_state order by entry_id")
    world.let_go()
    return {
        "ledger": ledger,
        "details": details,
        "effect": effect,
        "rows": rows,
        "events": events,
        "broken": broken,
        "journeys": journeys,
    }


@pytest.fixture(scope="module")
def in_order(world_module, mailed_template, tmp_path_factory):
    return tell(world_module, mailed_template, tmp_path_factory.mktemp("order") / "world", list(range(11)), [])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=stories)
def test_any_order_and_repetition_of_events_gives_the_same_messages_and_suppressions(
    world_module, mailed_template, in_order, tmp_path_factory, story
):
    order, cuts = story
    found = tell(world_module, mailed_template, tmp_path_factory.mktemp("story") / "world", list(order), cuts)
    for what in ("ledger", "effect", "events"):
        assert found[what] == in_order[what]
    assert found["broken"] == {}
    assert all(journey["stage"] == "exited" for journey in found["journeys"])


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations([*range(11), 3, 7, 9, 2]))
def test_within_one_run_any_order_gives_the_very_same_journeys(
    world_module, mailed_template, in_order, tmp_path_factory, order
):
    found = tell(world_module, mailed_template, tmp_path_factory.mktemp("story") / "world", list(order), [])
    assert found == in_order


def test_what_is_kept_of_a_suppression_does_not_depend_on_the_order(
    world_module, mailed_template, in_order, tmp_path_factory
):
    # the bounce is heard a run before the unsubscribe
    found = tell(
        world_module, mailed_template, tmp_path_factory.mktemp("a") / "world", [4, 0, 1, 2, 3, 5, 6, 7, 8, 9, 10], [1]
    )
    assert found["rows"] == in_order["rows"]


def test_when_a_message_settled_does_not_depend_on_the_order(world_module, mailed_template, in_order, tmp_path_factory):
    stories = [
        tell(world_module, mailed_template, tmp_path_factory.mktemp("a") / "world", [2, 3], [1]),
        tell(world_module, mailed_template, tmp_path_factory.mktemp("b") / "world", [3, 2], [1]),
    ]
    assert stories[0]["details"] == stories[1]["details"]


def test_one_suppression_row_stands_for_an_address_and_channel(world):
    lead = world.lead()
    world.tick(0)
    message = world.message(lead)["message_id"]
    for number, event in enumerate(("spamreport", "unsubscribe")):
        world.now(number + 1)
        world.land_mail_events(world.mail_event(message, event, world.at(0.1 + number), lead.email))
        world.ingest(number + 1)
    assert len(world.values("select reason from rekindle_state.suppressions")) == 1


def test_an_event_about_a_message_that_is_not_ours_changes_nothing(world):
    lead = world.lead()
    world.tick(0)
    before = world.messages()
    world.now(1)
    stranger = world.mail_event("somebody else's", "delivered", world.at(0.5), "stranger@mail.example")
    world.land_mail_events(stranger)
    world.ingest(1)
    assert world.messages() == before
    assert world.state(lead)["exit_reason"] is None


def test_an_opt_out_of_somebody_who_was_never_written_to_is_kept(world):
    world.now(0)
    world.land("twilio_inbound", world.inbound_text("+14155559999", "STOP", world.at(-0.1)))
    world.ingest(0)
    assert world.values("select channel from rekindle_state.suppressions") == ["sms"]


@pytest.mark.parametrize("status", ["withheld", "expired", "failed"])
def test_an_event_never_revives_what_is_final(world, status):
    lead = world.lead()
    world.freeze(0)
    world.plan(0)
    world.execute(
        "update rekindle_state.messages set status = $status, status_rank = 90, settled_at = planned_at", status=status
    )
    world.land_mail_events(world.mail_event(world.message(lead)["message_id"], "open", world.at(0), lead.email))
    world.ingest(0)
    assert world.message(lead)["status"] == status


@pytest.mark.parametrize("status", ["attempting", "unknown", "aged_out"])
@pytest.mark.parametrize(("event", "settled"), [("processed", "accepted"), ("delivered", "delivered")])
def test_our_own_id_in_a_webhook_settles_what_was_not_proved(world, status, event, settled):
    lead = world.lead()
    world.email.answer = lambda item: None  # the process died before it could record anything
    world.tick(0)
    rank = {"attempting": 20, "unknown": 30, "aged_out": 40}[status]
    world.execute("update rekindle_state.messages set status = $status, status_rank = $rank", status=status, rank=rank)
    world.now(1)
    world.land_mail_events(world.mail_event(world.message(lead)["message_id"], event, world.at(0.2), lead.email))
    world.ingest(1)
    message = world.message(lead)
    assert (message["status"], message["accepted_at"]) == (settled, world.at(0))
    assert message["provider_message_id"].startswith("x")
    world.advance(1)
    assert world.state(lead)["due_at"] == world.at(3)


def test_a_file_is_loaded_once_and_the_raw_table_holds_each_element(world):
    lead = world.lead()
    world.tick(0)
    message = world.message(lead)["message_id"]
    event = world.mail_event(message, "delivered", world.at(0.1), lead.email)
    world.land_mail_events(event, event, event)
    world.now(1)
    assert world.ingest(1)["elements"] == 3
    assert world.ingest(1)["elements"] == 0
    assert len(world.values("select event_key from rekindle_state.message_events")) == 1


def test_what_can_not_be_used_is_buried_and_the_rest_loads(world):
    lead = world.lead()
    world.tick(0)
    good = world.mail_event(world.message(lead)["message_id"], "delivered", world.at(0.1), lead.email)
    world.land("sendgrid_events", world.line(world.at(0.2), json.dumps([good, "no event", {"event": "open"}])))
    world.land("twilio_status", world.line(world.at(0.2), "rubbish"))
    counts = world.ingest(0)
    assert (counts["elements"], counts["dead_letters"], counts["settled"]) == (1, 3, 1)
    assert world.broken() == {}
