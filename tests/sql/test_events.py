"""Late, repeated and out-of-order: whatever order providers tell things in, the ledger ends the same."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rekindle.events.bots import honeypot_of

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


_ARRIVAL = "received_at, landing_file, recorded_at"
#: Everything that events decide. Which delivery came first is no business of the state.
DECIDED = {
    "messages": "select * from rekindle_state.messages order by message_id",
    "events": f"select * exclude ({_ARRIVAL}) from rekindle_state.message_events order by event_key",
    "foreign": f"select * exclude ({_ARRIVAL}) from rekindle_state.foreign_events order by event_key",
    "suppressions": "select * exclude (recorded_at) from rekindle_state.suppressions order by all",
    "journeys": "select * from rekindle_state.journey_state order by entry_id",
    "transitions": "select * exclude (run_id) from rekindle_state.journey_transitions order by entry_id, sequence",
}


def tell_as_delivered(world_module, template, folder, deliveries, cuts, runs=1):
    """Land each delivery (number of the story, fresh provider id) in files cut at random; what was decided then."""
    path, leads, messages = template
    world = world_module.World(folder, path)
    world.now(1)
    said = everything_said(world, leads, messages)
    strange = world.mail_event("somebody else's", "delivered", world.at(0.3), "stranger@mail.example")
    said.append(("sendgrid_events", world.line(world.at(0.9), json.dumps([strange]))))
    files = [[]]
    for position, (number, fresh) in enumerate(deliveries):
        stream, line = said[number]
        if stream == "sendgrid_events":
            (event,) = json.loads(line["body"])
            line = line | {"body": json.dumps([event | {"sg_event_id": f"fresh-{fresh}"}])}
        if position in cuts:
            files.append([])
        files[-1].append((stream, line))
    each = -(-len(files) // runs)
    for first in range(0, len(files), each):
        for lines in files[first : first + each]:
            for stream in dict.fromkeys(stream for stream, _ in lines):
                world.land(stream, *(line for of, line in lines if of == stream))
        world.ingest(1)
    found = {name: world.query(sql) for name, sql in DECIDED.items()}
    broken = world.broken()
    world.let_go()
    return found, broken


deliveries = st.lists(st.integers(1, 46), min_size=12, max_size=12).flatmap(
    lambda times: st.tuples(
        st.just([number for number, often in enumerate(times) for _ in range(often)]),
        st.randoms(use_true_random=False),
        st.sets(st.integers(1, max(sum(times) - 1, 1)), max_size=12),
        st.integers(1, 3),
    )
)


@pytest.fixture(scope="module")
def told_once(world_module, mailed_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("once") / "world"
    return tell_as_delivered(world_module, mailed_template, folder, [(number, number) for number in range(12)], ())


@settings(max_examples=14, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delivery=deliveries)
def test_delivered_up_to_46_times_in_any_order_and_files_is_as_good_as_once_in_order(
    world_module, mailed_template, told_once, tmp_path_factory, delivery
):
    numbers, dice, cuts, runs = delivery
    dice.shuffle(numbers)
    found, broken = tell_as_delivered(
        world_module,
        mailed_template,
        tmp_path_factory.mktemp("many") / "world",
        [(number, position) for position, number in enumerate(numbers)],
        cuts,
        runs,
    )
    once, _ = told_once
    assert len(once["foreign"]) == 1
    assert len(once["events"]) == 11
    for what in DECIDED:
        if runs == 1 or what not in ("journeys", "transitions"):  # an entry ends by what was known when it ended
            assert found[what] == once[what], what
    assert broken == {}
    assert all(journey["stage"] == "exited" for journey in found["journeys"])


ENDINGS = (
    "select * exclude (updated_at) from rekindle_state.journey_state order by entry_id",
    "select * exclude (run_id, recorded_at) from rekindle_state.journey_transitions order by entry_id, sequence",
)


def tell_in_runs(world_module, template, folder, runs):
    """Each run's deliveries (numbers of the story) in files of one, then an ingest; the journeys after each run."""
    path, leads, messages = template
    world = world_module.World(folder, path)
    world.now(1)
    said = everything_said(world, leads, messages)
    after = []
    for numbers in runs:
        for number in numbers:
            world.land(*said[number])
        world.ingest(1)
        after.append([{row["entry_id"]: row for row in world.query(sql)} for sql in ENDINGS])
    world.let_go()
    return after


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations([*range(11), 3, 7, 9, 2]),
    cuts=st.lists(st.integers(1, 14), min_size=1, max_size=3, unique=True).map(sorted),
)
def test_over_several_runs_an_entry_ends_by_what_was_known_when_it_ended_and_by_nothing_else(
    world_module, mailed_template, tmp_path_factory, order, cuts
):
    """Neither the order within what was heard nor repetition nor what is heard later: an entry ends once, as somebody
    would end it who had been told the same things once, in order and together."""
    runs = [order[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    found = tell_in_runs(world_module, mailed_template, tmp_path_factory.mktemp("runs") / "world", runs)
    ended: set[str] = set()
    for number, (states, transitions) in enumerate(found):
        new = {entry for entry, state in states.items() if state["exit_reason"]} - ended
        if new:
            heard = sorted({event for run in runs[: number + 1] for event in run})
            folder = tmp_path_factory.mktemp("told") / "world"
            [(at_once, moves)] = tell_in_runs(world_module, mailed_template, folder, [heard])
            for entry in new:
                assert states[entry] == at_once[entry]
                assert transitions[entry] == moves[entry]
        for entry in ended:
            assert states[entry] == found[number - 1][0][entry]
        ended |= new
    assert ended == set(found[-1][0])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_refusals_in_the_same_second_settle_the_same_whichever_is_heard_first(new_world, order):
    world = new_world()
    lead = world.lead()
    world.tick(0)
    message = world.message(lead)["message_id"]
    said = [
        world.mail_event(message, "bounce", world.at(0.1), lead.email, type="bounce", status="5.1.1"),
        world.mail_event(message, "dropped", world.at(0.1), lead.email, reason="Bounced Address"),
    ]
    world.now(1)
    for number in order:
        world.land_mail_events(said[number])
        world.ingest(1)
    assert world.message(lead)["error_code"] == "5.1.1"


def test_events_that_are_not_ours_are_counted_and_kept_apart(world):
    lead = world.lead()
    world.tick(0)
    message = world.message(lead)["message_id"]
    strangers = [
        world.mail_event("somebody else's", name, world.at(0.5), "stranger@mail.example")
        for name in ("processed", "delivered", "open", "click")
    ]
    strangers[0].pop("rk_message_id")  # another tool's mail through the same account
    strangers.append(strangers[0] | {"sg_event_id": "again"})
    ours = world.mail_event(message, "delivered", world.at(0.1), lead.email)
    # whoever wrote the message it answers, a person's no counts
    stop = world.mail_event("somebody else's", "unsubscribe", world.at(0.6), "stranger@mail.example")
    world.now(1)
    world.land_mail_events(*strangers, ours, stop)
    counts = world.ingest(1)
    assert (counts["elements"], counts["new_events"], counts["foreign_events"]) == (7, 2, 4)
    assert sorted(world.values("select provider_event from rekindle_state.foreign_events")) == [
        *("click", "delivered", "open", "processed")
    ]
    assert sorted(world.values("select provider_event from rekindle_state.message_events")) == [
        *("delivered", "unsubscribe")
    ]
    assert world.values("select reason from rekindle_state.suppressions") == ["unsubscribed"]
    world.land_mail_events(*strangers)
    assert world.ingest(1)["foreign_events"] == 0


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


@pytest.mark.parametrize(
    ("seconds", "ended"), [(-30, None), (0, None), (4, None), (5, "re_engaged"), (3600, "re_engaged")]
)
def test_a_click_as_soon_as_the_mail_is_there_is_no_persons(world, seconds, ended):
    lead = world.lead()
    world.tick(0)
    message_id = world.message(lead)["message_id"]
    world.now(1)
    delivered = world.mail_event(message_id, "delivered", world.at(0.1), lead.email)
    world.land_mail_events(delivered)
    world.land("link_clicks", world.click(message_id, world.at(0.1) + timedelta(seconds=seconds)))
    world.ingest(1)
    assert world.state(lead)["exit_reason"] == ended
    # what was told is kept as it was told; how likely a person did it is judged by the models
    assert world.values("select is_human from rekindle_state.message_events where event_type = 'clicked'") == [True]


@pytest.mark.parametrize(("waited", "ended"), [(timedelta(minutes=59), None), (timedelta(minutes=60), "re_engaged")])
def test_a_click_waits_an_hour_for_its_delivery_to_be_told(world, waited, ended):
    lead = world.lead()
    world.tick(0)
    world.now(1)
    world.land("link_clicks", world.click(world.message(lead)["message_id"], world.at(1) - waited))
    world.ingest(1)
    assert world.state(lead)["exit_reason"] == ended


@pytest.mark.parametrize(("seconds", "ended"), [(-60, None), (60, None), (-61, "re_engaged"), (61, "re_engaged")])
def test_whoever_follows_the_invisible_link_clicked_nothing_else_in_that_minute(world, seconds, ended):
    lead = world.lead()
    world.tick(0)
    message_id = world.message(lead)["message_id"]
    world.now(1)
    world.land_mail_events(world.mail_event(message_id, "delivered", world.at(0.1), lead.email))
    trap = world.at(0.5)
    world.land("link_clicks", world.click(message_id, trap, destination=honeypot_of("https://app.example/back")))
    world.land("link_clicks", world.click(message_id, trap + timedelta(seconds=seconds)))
    world.ingest(1)
    assert world.state(lead)["exit_reason"] == ended


@pytest.mark.parametrize(
    ("remote", "ended"), [("40.107.3.9", None), ("148.163.200.1", None), ("203.0.113.9", "re_engaged")]
)
def test_a_click_from_where_mail_gateways_scan_is_no_persons(world, remote, ended):
    lead = world.lead()
    world.tick(0)
    message_id = world.message(lead)["message_id"]
    world.now(1)
    world.land_mail_events(world.mail_event(message_id, "delivered", world.at(0.1), lead.email))
    world.land("link_clicks", world.click(message_id, world.at(0.5), remote=remote))
    world.ingest(1)
    assert world.state(lead)["exit_reason"] == ended
