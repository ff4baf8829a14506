"""Every kind of step on a real warehouse: what moves an entry, when, and where to."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta

import pytest

from rekindle.campaigns.conditions import CONTEXT_FIELDS
from rekindle.journey.versions import in_flight_report, version_of_batch
from rekindle.vocabulary import Channel

EMAIL = {"template": "probe.txt.j2", "subject": "Hello"}
TEXT = {"template": "nudge.txt.j2", "max_segments": 2}
ARCHIVE = {"id": "archive", "end": "archived"}
HOUR = 1 / 24


def pause(step_id, duration="10d"):
    """A wait long enough to see who came here."""
    return {"id": step_id, "wait": duration}


@pytest.fixture
def journey(new_world):
    """A world whose campaign has these steps, with the relations of the lead's context and of app events."""

    def make(*steps, **changes):
        world = new_world(steps=[*steps, ARCHIVE], **changes)
        columns = {"text": "varchar", "date": "date", "number": "double"}
        described = ", ".join(f"{name} {columns[kind]}" for name, kind in CONTEXT_FIELDS.items())
        world.execute(
            f"create table if not exists rekindle_activation.sync_lead_context (lead_id varchar, {described})"
        )
        world.execute(
            "create table if not exists rekindle_activation.sync_named_events"
            " (lead_id varchar, event_name varchar, occurred_at timestamp)"
        )
        return world

    return make


def knows(world, lead, **facts):
    """What is known of the lead."""
    row = {"lead_id": lead.lead_id} | dict.fromkeys(CONTEXT_FIELDS) | facts
    world.execute("delete from rekindle_activation.sync_lead_context where lead_id = $lead_id", lead_id=lead.lead_id)
    world.insert("rekindle_activation.sync_lead_context", row)


def happened(world, lead, event, day):
    world.insert(
        "rekindle_activation.sync_named_events",
        {"lead_id": lead.lead_id, "event_name": event, "occurred_at": world.at(day)},
    )


def stage(world, lead):
    """Where the entry stands; how it ended, if it has."""
    state = world.state(lead)
    return state["exit_reason"] or state["stage"]


def story(world, lead):
    """From where to where, why and when, of every transition after the first."""
    rows = world.query(
        "select moves.* from rekindle_state.journey_transitions as moves"
        " inner join rekindle_state.journey_entries as entries on moves.entry_id = entries.entry_id"
        " where entries.lead_id = $lead_id and moves.sequence > 1 order by moves.sequence",
        lead_id=lead.lead_id,
    )
    days = [round((row["happened_at"] - world.at(0)) / timedelta(days=1), 3) for row in rows]
    return [(row["from_stage"], row["to_stage"], row["reason"], day) for row, day in zip(rows, days, strict=True)]


def enter(world, **words):
    lead = world.lead(**words)
    world.freeze(0)
    return lead


# --- waits


def test_a_wait_until_a_date_of_the_lead_begins_with_the_date_less_three_days(journey):
    world = journey({"id": "until", "wait": {"until_field": "renewal_on", "plus": "-3d"}}, pause("there"))
    lead = enter(world)
    knows(world, lead, renewal_on=(world.at(0) + timedelta(days=8)).date())
    world.advance(0)
    assert stage(world, lead) == "until"
    assert world.state(lead)["due_at"] == datetime.combine(world.at(5).date(), datetime.min.time(), world.at(0).tzinfo)
    # what is known later changes nothing any more: a date that moves on would make the wait endless
    knows(world, lead, renewal_on=(world.at(0) + timedelta(days=80)).date())
    world.advance(4)
    assert stage(world, lead) == "until"
    world.advance(5)
    assert stage(world, lead) == "there"
    assert world.broken() == {}


@pytest.mark.parametrize("renewal", [None, date(2026, 1, 1)])
def test_without_a_date_or_with_a_past_one_nobody_waits(journey, renewal):
    world = journey({"id": "until", "wait": {"until_field": "renewal_on"}}, pause("there"))
    lead = enter(world)
    if renewal:
        knows(world, lead, renewal_on=renewal)
    world.advance(0)
    assert story(world, lead) == [("until", "there", "wait_over", 0.0)]


@pytest.mark.parametrize(
    ("known", "clock", "waits_hours", "evidence"),
    [
        ({"time_zone": "America/New_York"}, "15:00", 2, "profile"),  # it is 13:00 there
        ({"time_zone": "America/New_York"}, "13:00", 0, "profile"),  # the very minute
        ({"time_zone": "America/New_York"}, "10:00", 21, "profile"),  # tomorrow
        ({"time_zone": "Pacific/Honolulu"}, "10:00", 2, "profile"),
        ({"time_zone": "Asia/Kathmandu"}, "00:00", 0.25, "profile"),  # 23:45 there, three quarters from the hour
        ({"phone": "+14065550100"}, "15:00", 4, "number"),  # Montana by its number: one zone
        ({"phone": "+18085550100"}, "10:00", 2, "number"),
        # a state and a postal code say more than a number that moved
        ({"phone": "+14065550100", "country": "US", "state": "HI"}, "10:00", 2, "state"),
        ({"phone": "+14065550100", "country": "US", "postal_code": "96801"}, "10:00", 2, "postal_code"),
        ({"country": "US", "state": "TX"}, "15:00", 4, "state"),  # El Paso is in it too
        ({}, "10:00", 0, None),  # nobody knows where: not held here, but at the send step
    ],
)
def test_a_wait_until_a_time_of_day_ends_then_in_the_strictest_zone(journey, known, clock, waits_hours, evidence):
    world = journey({"id": "until", "wait": {"until_local": clock}}, pause("there"))
    lead = enter(world, **({"time_zone": None, "phone": None, "country": None} | known))
    world.advance(0)
    assert world.values("select zone_evidence from rekindle_state.local_waits") == [evidence]
    if waits_hours:
        assert stage(world, lead) == "until"
        world.advance(waits_hours * HOUR - 1 / 86_400)
        assert stage(world, lead) == "until"
        world.advance(waits_hours * HOUR)
    assert stage(world, lead) == "there"
    assert story(world, lead)[-1][3] == round(waits_hours * HOUR, 3)


# --- waiting for an event

WAIT_FOR = {
    "id": "used_it",
    "wait_for": {"event": "project_created", "within": "7d"},
    "then": [pause("came")],
    "otherwise": [pause("did_not_come")],
}


@pytest.mark.parametrize(
    ("event", "day", "looked_at", "expected"),
    [
        ("project_created", 3, 3, "came"),
        ("project_created", 7, 7, "came"),  # the last instant counts
        ("project_created", 7 + 1 / 86_400, 8, "did_not_come"),
        ("project_created", 0, 6, "used_it"),  # before the wait began
        ("project_created", 3, 2, "used_it"),  # not yet
        ("another_event", 3, 6, "used_it"),
        ("project_created", 3, 30, "came"),  # however late we look
        (None, 0, 7, "did_not_come"),
    ],
)
def test_an_event_is_waited_for_no_longer_than_told(journey, event, day, looked_at, expected):
    world = journey(WAIT_FOR)
    lead = enter(world)
    other = world.lead(is_cold=False)
    if event:
        happened(world, lead, event, day)
        happened(world, other, event, day)
    world.advance(looked_at)
    assert stage(world, lead) in (expected, "archived") if looked_at == 30 else stage(world, lead) == expected
    if expected == "came":
        assert story(world, lead)[0] == ("used_it", "came", "event_came", round(day, 3))
    if expected == "did_not_come":
        assert story(world, lead)[0] == ("used_it", "did_not_come", "event_did_not_come", 7.0)
    assert world.broken() == {}


def test_lists_that_do_not_end_go_on_with_what_follows(journey):
    world = journey(WAIT_FOR | {"then": [pause("came", "1d")], "otherwise": []}, pause("after"))
    came, did_not = world.leads([{}, {}])
    world.freeze(0)
    happened(world, came, "project_created", 1)
    world.advance(1)
    world.advance(7)
    assert [stage(world, lead) for lead in (came, did_not)] == ["after", "after"]
    assert story(world, came)[-1] == ("came", "after", "wait_over", 2.0)


# --- branches


def case(when, name="met"):
    return {"when": when, "steps": [pause(name)]}


def branch(*cases):
    return {"id": "which", "branch": list(cases)}


@pytest.mark.parametrize(
    ("when", "facts", "holds"),
    [
        ({"field": "plan", "is": "pro"}, {"plan": "pro"}, True),
        ({"field": "plan", "is": "pro"}, {"plan": "free"}, False),
        ({"field": "plan", "is": "pro"}, {}, False),
        ({"field": "plan", "is": "pro"}, None, False),  # no row at all
        ({"field": "plan", "is_not": "pro"}, {"plan": "pro"}, False),
        ({"field": "plan", "is_not": "pro"}, {}, True),
        ({"field": "plan", "is_not": "pro"}, None, True),
        ({"field": "plan", "one_of": ["pro", "team"]}, {"plan": "team"}, True),
        ({"field": "plan", "one_of": ["pro", "team"]}, {}, False),
        ({"field": "plan", "not_one_of": ["pro", "team"]}, {"plan": "team"}, False),
        ({"field": "plan", "not_one_of": ["pro", "team"]}, {}, True),
        ({"field": "plan", "known": True}, {"plan": ""}, True),
        ({"field": "plan", "known": True}, {}, False),
        ({"field": "plan", "known": False}, None, True),
        ({"field": "cold_score", "above": 80}, {"cold_score": 80.0}, False),
        ({"field": "cold_score", "above": 80}, {"cold_score": 80.5}, True),
        ({"field": "last_purchase_on", "below": "2026-01-01"}, {"last_purchase_on": date(2025, 12, 31)}, True),
        ({"field": "last_purchase_on", "below": "2026-01-01"}, {"last_purchase_on": date(2026, 1, 1)}, False),
        ({"field": "plan", "is": "it's $5; drop table x"}, {"plan": "it's $5; drop table x"}, True),
    ],
)
def test_a_branch_on_a_field_reads_what_is_known_now(journey, when, facts, holds):
    world = journey(branch(case(when)), pause("not_met"))
    lead = enter(world)
    if facts is not None:
        knows(world, lead, **facts)
    world.advance(0)
    assert stage(world, lead) == ("met" if holds else "not_met")


@pytest.mark.parametrize(("days_ago", "holds"), [(0, True), (30, True), (30.001, False), (-0.01, False)])
def test_a_branch_on_an_event_looks_back_as_far_as_told(journey, days_ago, holds):
    world = journey(branch(case({"event": "pricing_viewed", "within": "30d"})), pause("not_met"))
    lead = enter(world)
    happened(world, lead, "pricing_viewed", -days_ago)
    happened(world, lead, "pricing_viewed", -days_ago)
    world.advance(0)
    assert stage(world, lead) == ("met" if holds else "not_met")


def test_the_first_case_that_holds_decides_and_the_others_are_for_those_left(journey):
    cases = [
        case({"score": {"above": 90}}, "coldest"),
        case({"event": "pricing_viewed", "within": "1d"}, "looked"),
        case({"score": {"above": 60, "below": 80}}, "medium"),
        case({"segment": "low_engagement"}, "engaged_little"),
        {"otherwise": True, "steps": [pause("rest")]},
    ]
    world = journey(branch(*cases))
    coldest, looked, medium, little, rest = world.leads([{"cold_score": score} for score in (95, 85, 70, 85, 50)])
    world.freeze(0)
    world.execute(
        "update rekindle_state.journey_entries set segment = 'another' where lead_id = $lead_id", lead_id=rest.lead_id
    )
    for lead in (coldest, looked):
        happened(world, lead, "pricing_viewed", -0.5)
    world.advance(0)
    found = [stage(world, lead) for lead in (coldest, looked, medium, little, rest)]
    assert found == ["coldest", "looked", "medium", "engaged_little", "rest"]


def test_a_branch_without_cases_but_otherwise_takes_everybody(journey):
    world = journey(branch({"otherwise": True, "steps": [pause("rest")]}))
    lead = enter(world)
    world.advance(0)
    assert stage(world, lead) == "rest"


# --- splits and variants


def test_a_split_draws_by_weight_and_always_the_same_way(journey):
    ways = [{"name": name, "weight": weight, "steps": [pause(name)]} for name, weight in [("a", 3), ("b", 1), ("c", 0)]]
    world = journey({"id": "try", "split": ways})
    leads = world.leads([{} for _ in range(400)])
    world.freeze(0)
    world.advance(0)
    drawn = Counter(world.values("select stage from rekindle_state.journey_state"))
    assert set(drawn) == {"a", "b"}
    assert 260 < drawn["a"] < 340  # 300 ± 4.6 standard deviations
    assert len(leads) == sum(drawn.values())


def test_a_household_is_drawn_together_and_another_step_draws_anew(journey):
    def split(step_id, *names):
        return {"id": step_id, "split": [{"name": name, "weight": 1, "steps": [pause(name)]} for name in names]}

    world = journey(split("try", "a", "b"))
    pairs = [world.leads([{"phone": f"+1415666{pair:04d}"}] * 2) for pair in range(30)]
    world.freeze(0)
    world.advance(0)
    found = [[stage(world, lead) for lead in pair] for pair in pairs]
    assert all(one == other for one, other in found)
    assert {one for one, _ in found} == {"a", "b"}


def test_variants_are_drawn_at_entry_and_a_branch_follows_them(journey):
    world = journey(
        branch(case({"variant": "story"}, "told")),
        pause("plain"),
        variants=[{"name": "plain", "weight": 50}, {"name": "story", "weight": 50}],
    )
    world.leads([{} for _ in range(60)])
    world.freeze(0)
    world.advance(0)
    rows = world.query(
        "select entries.variant, journeys.stage, count(*) as entries from rekindle_state.journey_entries as entries"
        " inner join rekindle_state.journey_state as journeys on entries.entry_id = journeys.entry_id group by all"
    )
    found = {(row["variant"], row["stage"]): row["entries"] for row in rows}
    assert set(found) == {("plain", "plain"), ("story", "told")}
    assert 15 < found["story", "told"] < 45


# --- questions

ASK = {
    "id": "question",
    "ask": {"sms": TEXT, "expect": {"yes": ["sure"], "no": [], "later": ["later"]}, "within": "48h"},
    "answers": {"yes": [pause("said_yes")], "no": [{"id": "done", "end": "replied"}]},
    "otherwise": [pause("silent")],
}


def asked(world, **words):
    """A lead who was asked on day 0, at the very start of the day."""
    lead = world.lead(email=None, **words)
    world.tick(0)
    return lead


def answers(world, lead, answer, day, key="key-1"):
    entry = world.values("select entry_id from rekindle_state.journey_entries where lead_id = $id", id=lead.lead_id)
    row = {"entry_id": entry[0], "step_id": "question", "answer": answer, "event_key": key}
    world.insert("rekindle_state.question_answers", row | {"answered_at": world.at(day), "recorded_at": world.at(day)})


@pytest.mark.parametrize(
    ("answer", "day", "looked_at", "expected"),
    [
        ("yes", 1, 1, "said_yes"),
        ("yes", 2, 2, "said_yes"),  # the last instant
        ("yes", 2.001, 3, "silent"),
        ("no", 1, 1, "replied"),
        ("later", 1, 1, "after"),  # an answer nobody named goes on
        ("maybe", 1, 1, "question"),  # not expected: as if nothing had been said
        (None, 0, 1.99, "question"),
        (None, 0, 2, "silent"),
    ],
)
def test_an_answer_decides_where_the_lead_goes(journey, answer, day, looked_at, expected):
    world = journey(ASK, pause("after"))
    lead = asked(world)
    assert stage(world, lead) == "question"
    assert world.state(lead)["due_at"] == world.at(2)
    if answer:
        answers(world, lead, answer, day)
    world.advance(looked_at)
    assert stage(world, lead) == expected
    assert [message["step_id"] for message in world.messages(lead)] == ["question"]
    assert world.broken() == {}


def test_who_changes_her_mind_in_time_is_taken_at_the_last_word(journey):
    world = journey(ASK)
    lead = asked(world)
    answers(world, lead, "no", 0.5)
    answers(world, lead, "yes", 0.6, "key-2")
    world.advance(1)
    assert stage(world, lead) == "said_yes"
    assert story(world, lead)[-1] == ("question", "said_yes", "answered", 0.6)


def test_who_is_held_out_is_asked_nothing_and_has_not_answered(journey):
    world = journey(ASK, holdout={"share": 0.5, "salt": "salt"})
    leads = world.leads([{"email": None} for _ in range(12)])
    world.tick(0)
    held = [lead for lead in leads if world.state(lead)["arm"] == "holdout"]
    assert held
    for lead in held:
        assert (stage(world, lead), world.message(lead)["status"]) == ("question", "withheld")
    world.tick(2)
    assert {stage(world, lead) for lead in leads} == {"silent"}
    assert world.broken() == {}


def test_a_question_that_can_not_be_asked_is_not_answered(journey):
    world = journey(
        {"id": "hello", "email": EMAIL},
        pause("listen", "1d"),
        ASK | {"otherwise": [pause("silent"), {"id": "mail", "email": EMAIL}]},
    )
    lead = world.lead(phone=None)
    world.tick(0)
    world.tick(1)
    assert stage(world, lead) == "mail"  # past the wait: nothing was asked that it could wait for
    world.tick(2)
    assert (stage(world, lead), len(world.messages(lead))) == ("archived", 2)


def test_a_reply_in_other_words_still_ends_the_entry(journey):
    world = journey(ASK)
    lead = asked(world)
    world.land("twilio_inbound", world.inbound_text(lead.phone, "who are you", world.at(0.5)))
    world.now(1)
    world.ingest(1)
    assert stage(world, lead) == "replied"


def test_a_later_branch_remembers_the_answer(journey):
    world = journey(
        ASK | {"answers": {}, "otherwise": []},
        branch(case({"reply": "yes", "to": "question"}, "said_yes")),
        pause("said_no"),
    )
    one, other = world.leads([{"email": None}, {"email": None}])
    world.tick(0)
    answers(world, one, "yes", 0.5)
    answers(world, other, "no", 0.5, "key-2")
    world.advance(1)
    assert [stage(world, lead) for lead in (one, other)] == ["said_yes", "said_no"]


def test_asked_and_answered_from_the_plan_to_the_text_back(journey):
    """Every hand in between is the real one: planner, sender, landing zone, ingest, tick."""
    world = journey(ASK)
    lead = asked(world)
    (text,) = world.sms.sent
    assert text.outgoing.to == lead.phone
    world.land("twilio_inbound", world.inbound_text(lead.phone, " Sure!! ", world.at(0.5)))
    world.now(1)
    world.ingest(1)
    assert stage(world, lead) == "question"  # the answer did not end the entry
    world.advance(1)
    assert stage(world, lead) == "said_yes"
    assert world.broken() == {}


# --- tags and webhooks


def test_a_tag_step_writes_its_rows_once_and_goes_on(journey):
    world = journey({"id": "mark", "tag": {"add": ["hot", "called"], "remove": ["cold"]}}, pause("after"))
    lead = enter(world)
    world.advance(0)
    world.advance(0)
    rows = world.query("select lead_id, tag, action, step_id, tagged_at from rekindle_state.lead_tags order by tag")
    assert [(row["tag"], row["action"]) for row in rows] == [("called", "added"), ("cold", "removed"), ("hot", "added")]
    assert {(row["lead_id"], row["step_id"], row["tagged_at"]) for row in rows} == {(lead.lead_id, "mark", world.at(0))}
    assert stage(world, lead) == "after"


# --- several at once


def test_steps_that_take_no_time_are_passed_in_one_tick(journey):
    world = journey(
        {"id": "mark", "tag": {"add": ["seen"]}},
        {"id": "try", "split": [{"name": "a", "weight": 1}, {"name": "b", "weight": 0}]},
        branch({"when": {"score": {"above": 10}}, "steps": [{"id": "again", "tag": {"add": ["cold"]}}]}),
        {"id": "hello", "email": EMAIL},
        pause("listen", "1d"),
    )
    lead = enter(world)
    counts = world.advance(0)
    assert stage(world, lead) == "hello"
    assert counts == {"ended": 0, "advanced": 4}
    world.dispatch(world.plan(0), world.email, 0)
    world.advance(0)
    assert stage(world, lead) == "listen"
    world.advance(1)
    assert stage(world, lead) == "archived"
    assert world.broken() == {}


@pytest.mark.parametrize("steps", [[WAIT_FOR], [ASK], [pause("long")]])
def test_a_sign_of_life_ends_who_waits_for_whatever(journey, steps):
    world = journey(*steps)
    lead = asked(world)
    world.sign_of_life(lead, world.at(0.5))
    world.advance(1)
    assert stage(world, lead) == "re_engaged"


def test_a_step_nobody_is_due_at_costs_no_statement(journey, monkeypatch):
    world = journey(*[pause(f"wait_{number}") for number in range(20)])
    enter(world)
    ran = []
    kind = type(world.warehouse.transaction().__enter__())
    execute = kind.execute
    monkeypatch.setattr(
        kind, "execute", lambda self, name, /, **values: ran.append(name) or execute(self, name, **values)
    )
    world.advance(1)
    assert [name for name in ran if name.startswith("journey/")] == ["journey/insert_ending_transitions"]


# --- exits of the campaign


def test_an_event_after_entering_ends_the_entry_as_the_campaign_says(journey):
    world = journey(pause("long"), exits=[{"event": "purchase", "exit": "converted"}])
    before, after, other = world.leads([{}, {}, {}])
    world.freeze(0)
    happened(world, before, "purchase", 0)
    happened(world, after, "purchase", 0.5)
    happened(world, other, "refund", 0.5)
    world.advance(1)
    assert [stage(world, lead) for lead in (before, after, other)] == ["long", "converted", "long"]
    assert world.state(after)["exited_at"] == world.at(0.5)
    assert world.broken() == {}


def test_a_condition_ends_the_entry_and_the_order_in_the_file_decides(journey):
    exits = [
        {"sql": "plan = 'it''s enterprise' and not country in ('US', 'CA')", "exit": "superseded"},
        {
            "sql": "cold_score >= 10.5 or last_purchase_on between date '2026-01-01' and date '2026-12-31'",
            "exit": "converted",
        },
    ]
    world = journey(pause("long"), exits=exits)
    leads = world.leads([{} for _ in range(5)])
    world.freeze(0)
    facts = [
        {"plan": "it's enterprise", "country": "DE", "cold_score": 50.0},
        {"plan": "it's enterprise", "country": "US", "cold_score": 10.4},
        {"plan": "it's enterprise", "country": None},
        {"last_purchase_on": date(2026, 1, 1)},
        {},
    ]
    for lead, known in zip(leads, facts, strict=True):
        knows(world, lead, **known)
    world.advance(1)
    assert [stage(world, lead) for lead in leads] == ["superseded", "long", "long", "converted", "long"]


@pytest.mark.parametrize(
    "exits", [{"event": "purchase", "exit": "converted"}, {"sql": "plan = 'pro'", "exit": "converted"}]
)
def test_an_exit_counts_at_the_last_moment_too(journey, exits):
    world = journey({"id": "hello", "email": EMAIL}, pause("listen"), exits=[exits])
    ended, stays = world.leads([{}, {}])
    world.freeze(0)
    world.advance(0)
    batches = world.plan(0)
    assert [batch.message_count for batch in batches] == [2]
    # between the plan and the claim
    happened(world, ended, "purchase", 0.01)
    knows(world, ended, plan="pro")
    world.now(0.02)
    world.dispatch(batches, world.email, 0.02)
    assert [item.outgoing.lead_id for item in world.email.sent] == [stays.lead_id]
    assert stage(world, ended) == "converted"
    assert world.decisions(ended) == ["entry_ended"]
    assert world.message(ended)["status"] == "expired"
    assert world.broken() == {}


# --- offers


def test_an_offer_ends_so_long_after_the_planned_send(journey):
    offers = [
        {"name": "first", "code": "BACK10", "description": "10 % off", "valid_for": "48h"},
        {"name": "last", "code": "BACK20", "description": "20 % off"},
    ]
    world = journey(
        {"id": "hello", "email": EMAIL | {"offer": "first"}},
        pause("listen", "3d"),
        {"id": "nudge", "sms": TEXT | {"offer": "last"}},
        pause("listen_again"),
        offers=offers,
    )
    lead = enter(world)
    for day in (0, 3):
        world.tick(day)
    found = [(row["offer_code"], row["offer_ends_at"]) for row in world.messages(lead)]
    assert found == [("BACK10", world.at(2)), ("BACK20", None)]


# --- versions


def edited(world, *steps, **changes):
    """The campaign after an edit of its file."""
    words = {"steps": [*steps, ARCHIVE]} | changes
    return world.campaign_with(**words)


def test_who_is_in_flight_stays_on_the_version_of_the_day_of_entering(journey):
    hello = {"id": "hello", "email": EMAIL | {"subject": "Old words"}}
    sender = {"name": "Mara", "reply_to": "mara@shop.example"}
    world = journey(hello, pause("listen", "3d"), pause("more", "1d"), sender=sender)
    old = enter(world)
    world.tick(0)
    first = world.campaign
    # the step is gone, the mail is called differently, and says something else
    world.campaign = edited(world, {"id": "hi", "email": EMAIL | {"subject": "New words"}}, pause("new_wait", "20d"))
    new = world.lead(on=3)
    world.tick(3)
    assert (stage(world, old), stage(world, new)) == ("more", "new_wait")
    assert [(item.outgoing.subject, item.outgoing.reply_to) for item in world.email.sent] == [
        ("Old words", "mara@shop.example"),
        ("New words", None),
    ]
    world.tick(4)
    assert (stage(world, old), stage(world, new)) == ("archived", "new_wait")
    versions = world.values("select journey_version from rekindle_state.journey_state order by lead_id")
    assert versions == [first.journey_version, world.campaign.journey_version]
    assert world.broken() == {}


def test_a_message_of_an_old_version_is_planned_checked_and_written_in_its_own_words(journey):
    world = journey(pause("listen", "1d"), {"id": "hello", "email": EMAIL | {"subject": "Old words"}}, pause("after"))
    lead = enter(world)
    world.advance(0)
    world.campaign = edited(world, {"id": "hello", "email": EMAIL | {"subject": "New words"}}, pause("after"))
    other = world.lead(on=1)
    world.freeze(1)
    world.advance(1)
    batches = world.plan(1)
    assert [batch.message_count for batch in batches] == [1, 1]
    for batch in batches:
        world.dispatch([batch], world.email, 1)
    subjects = {item.outgoing.lead_id: item.outgoing.subject for item in world.email.sent}
    assert subjects == {lead.lead_id: "Old words", other.lead_id: "New words"}


def test_moves_take_leads_over_to_the_new_version_once(journey):
    world = journey(pause("listen", "3d"), pause("more", "1d"))
    lead = enter(world)
    world.campaign = edited(world, pause("pause", "9d"), pause("more", "1d"), moves={"listen": "pause"})
    with world.warehouse.transaction() as transaction:
        (line,) = in_flight_report(transaction, world.campaign)
    assert str(line) == "1 person waits on the step you delete, `listen`, and go on from `pause` of the new version"
    world.advance(1)
    world.advance(1)
    assert story(world, lead) == [("listen", "pause", "moved_to_version", 1.0)]
    assert world.state(lead)["journey_version"] == world.campaign.journey_version
    # what was due stays due then
    assert world.state(lead)["due_at"] == world.at(3)
    world.advance(3)
    assert stage(world, lead) == "more"
    assert world.broken() == {}


def test_a_forgotten_step_stops_the_move_before_anything_changed(journey):
    world = journey(pause("listen", "3d"), pause("more", "1d"))
    world.leads([{}] * 2)
    world.freeze(0)
    world.campaign = edited(world, pause("more", "1d"), moves={})
    before = world.fingerprint()
    with pytest.raises(Exception, match="2 people wait on the step you delete, `listen`: say in `moves` where they go"):
        world.advance(1)
    assert world.fingerprint() == before


def test_a_message_under_way_is_not_sent_again_under_another_name(journey):
    world = journey({"id": "hello", "email": EMAIL}, pause("listen", "3d"))
    lead = enter(world)
    world.advance(0)
    batches = world.plan(0)
    world.campaign = edited(world, {"id": "hi", "email": EMAIL}, pause("listen", "3d"), moves={"hello": "hi"})
    world.advance(0)
    assert stage(world, lead) == "hello"
    world.dispatch(batches, world.email, 0)
    world.tick(1)
    world.tick(2)
    assert len(world.email.sent) == 1
    assert (stage(world, lead), world.state(lead)["journey_version"]) == ("listen", world.campaign.journey_version)


def test_without_moves_the_report_says_who_finishes_on_which_version(journey):
    world = journey(pause("listen", "3d"), pause("more", "1d"))
    world.leads([{}] * 17)
    world.freeze(0)
    old = world.campaign.journey_version
    world.campaign = edited(world, pause("more", "1d"))
    with world.warehouse.transaction() as transaction:
        (line,) = in_flight_report(transaction, world.campaign)
    assert str(line) == f"17 people wait on the step you delete, `listen`, and finish on version {old}"


def test_what_was_planned_before_versions_were_kept_is_written_in_todays_words(journey):
    world = journey({"id": "hello", "email": EMAIL}, pause("listen"))
    enter(world)
    world.advance(0)
    (batch,) = world.plan(0, Channel.EMAIL)
    world.execute("update rekindle_state.messages set journey_version = null")
    assert version_of_batch(world.warehouse, world.campaign, batch.batch_id) is world.campaign
