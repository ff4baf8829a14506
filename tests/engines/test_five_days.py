"""Five days of the whole journey on each engine: every table then holds the same rows as on DuckDB.

Who enters, what is planned, checked, sent, heard and settled runs through the functions the DAGs call; the providers
answer from a script. The campaign has every kind of step (`every_step.py`). The people differ in what can go
differently: time zones, missing addresses, consents, opt-outs, what is known of them, what they do and answer.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from rekindle.vocabulary import Channel

LEADS = 24


def people(world):
    """Cold leads who differ in all that the statements look at."""
    zones = ["America/New_York", "Europe/Berlin", None, "Asia/Tokyo", "America/Los_Angeles"]
    return [
        {
            "lead_id": f"lead-{number:03d}",
            "time_zone": zones[number % len(zones)],
            "country": ["US", "DE", "US", "JP", None][number % 5],
            "email": None if number % 7 == 3 else f"person{number}@mail.example",
            "phone": None if number % 6 == 4 else f"+1415555{number:04d}",
            "consents": [("email", "sms"), ("email",), ("sms",), ()][0 if number % 4 else (number // 4) % 4],
            "cold_score": 60.0 + number / 7,
            "first_name": ["Zoë", "O'Neil", "李", 'Ann "A"'][number % 4],
        }
        for number in range(LEADS)
    ]


def known_of(world, number, columns):
    """A row of `sync_lead_context`."""
    return dict.fromkeys(columns) | {
        "lead_id": f"lead-{number:03d}",
        "plan": "enterprise" if number == 17 else ["pro", "free", None, "team"][number % 4],
        "country": "FR" if number == 13 else "US",
        "cold_score": 60.0 + number / 7,
        "renewal_on": (world.at(4) + timedelta(days=number % 3)).date() if number % 3 else None,
        "segment": "low_engagement",
    }


def play(world, context_columns):
    """The five days; what providers and people say follows from the ledger, so it is the same on every engine."""
    leads = world.leads(people(world))
    by_id = {lead.lead_id: lead for lead in leads}
    world.leads([{"lead_id": "twin", "email": "person1@mail.example", "phone": "+14155559999", "cold_score": 99.5}])
    world.suppress(by_id["lead-005"].email_hash)
    world.insert(
        "rekindle_activation.sync_lead_context", *(known_of(world, number, context_columns) for number in range(LEADS))
    )
    world.insert(
        "rekindle_activation.sync_named_events",
        *(
            {"lead_id": f"lead-{number:03d}", "event_name": name, "occurred_at": world.at(day)}
            for number, name, day in (
                *((1, "viewed", -2), (7, "viewed", -31), (14, "viewed", 0), (21, "viewed", -29.5)),
                *((2, "used", 0.3), (6, "used", 0.7), (9, "used", -1), (16, "used", 3)),
                *((11, "subscription_started", 1.5), (12, "subscription_started", -3)),
            )
        ),
    )
    for day in range(5):
        world.tick(day)
        world.clock.step_to(world.at(day + 0.4))
        accepted = [message for message in world.messages() if message["status"] == "accepted"]
        hears(world, day, accepted)
        if day == 1:
            world.sign_of_life(by_id["lead-010"], world.at(1.2))
        if day == 2:
            world.consent(by_id["lead-008"], "sms", occurred_at=world.at(2.1), recorded_at=world.at(2.1))
    world.ingest(5)
    world.reconcile(5)
    world.advance(5)


def hears(world, day, accepted):
    """Delivered, bounced, clicked, stopped and unsubscribed: by turns."""
    people = {row["lead_id"]: row for row in contacts(world)}
    now = world.clock.now()
    mails = [message for message in accepted if message["channel"] == "email"]
    events = []
    for place, message in enumerate(mails):
        kind = ["delivered", "bounce", "click", "delivered", "spamreport"][(place + day) % 5]
        more = {"bounce": {"type": "bounce", "status": "5.1.1"}, "click": {"url": "https://app.example/"}}.get(kind, {})
        events.append(world.mail_event(message["message_id"], kind, now, people[message["lead_id"]]["email"], **more))
    if events:
        world.land_mail_events(*events, *events[:2])  # told twice, as SendGrid does
    for place, message in enumerate(message for message in accepted if message["channel"] == "sms"):
        number = people[message["lead_id"]]["phone"]
        world.land("twilio_status", world.text_status(message["message_id"], "delivered", now, number))
        said = ["STOP", "Yes!", "what is this?", None][(place + day) % 4]
        if said:
            world.land("twilio_inbound", world.inbound_text(number, said, now))
    if day == 3 and mails:
        last = mails[-1]
        world.land("unsubscribe", world.unsubscribe(last["message_id"], last["address_hash"], "email", now))


def contacts(world):
    return world.query("select lead_id, email, phone from rekindle_activation.sync_lead_contacts")


#: Drawn by chance: it names who tried, not what was done.
DRAWN = frozenset({"attempt_id"})


def rows_of(warehouse, tables):
    """Table → its rows in an order of their own, instants and numbers in one writing."""

    def plain(value):
        if isinstance(value, datetime):
            return value.astimezone(UTC).isoformat()
        if isinstance(value, date):
            return value.isoformat()
        return round(float(value), 9) if isinstance(value, (int, float)) and not isinstance(value, bool) else value

    with warehouse.transaction() as transaction:
        return {
            table: sorted(
                (
                    {name: plain(value) for name, value in row.items() if name not in DRAWN}
                    for row in transaction.query(f"select * from {table}")
                ),
                key=lambda row: [(value is None, str(value)) for value in row.values()],
            )
            for table in tables
        }


@pytest.fixture(scope="session")
def state_tables(relations):
    """Every table the migrations make but their own ledger, whose hashes are of each engine's text."""
    return sorted(
        name
        for name in relations.for_bigquery()
        if name.split(".")[0] in ("rekindle_state", "rekindle_raw")
        and not name.endswith(("schema_migrations", "INFORMATION_SCHEMA.TABLES"))
    )


@pytest.fixture(scope="session")
def play_on(world_module, empty_warehouse, tmp_path_factory, relations, every_step, state_tables):
    """Plays the days on a warehouse and returns the world."""
    emptied = [*state_tables, *relations.stand_ins()]

    def on(warehouse):
        folder = tmp_path_factory.mktemp("played") / "world"
        changes = every_step.CHANGES | {"holdout": {"share": 0.2, "salt": "five days"}}
        world = world_module.World(folder, empty_warehouse, **changes)
        world.let_go()
        world.warehouse = warehouse
        # whoever used the warehouse before left something
        warehouse.run_script("".join(f"delete from {table} where true;\n" for table in emptied))
        play(world, world_module.activation_columns()["sync_lead_context"])
        return world

    return on


@pytest.fixture(scope="session")
def reference(request, once, play_on, state_tables):
    """The five days on DuckDB."""

    def played():
        warehouse = request.getfixturevalue("duckdb_warehouse")
        assert play_on(warehouse).broken() == {}
        return rows_of(warehouse, state_tables)

    return once("five_days", played)


def test_the_reference_has_something_to_say(reference):
    filled = {table.removeprefix("rekindle_state.") for table, rows in reference.items() if rows}
    assert {
        "campaign_runs",
        "campaign_versions",
        "consents",
        "contact_checks",
        "decisions",
        "journey_entries",
        "journey_state",
        "journey_transitions",
        "lead_tags",
        "local_waits",
        "message_events",
        "messages",
        "number_time_zones",
        "question_answers",
        "reply_queue",
        "send_windows",
        "suppressions",
        "webhook_calls",
    } <= filled
    reasons = {row["reason"] for row in reference["rekindle_state.journey_transitions"]}
    assert {
        *("entered", "branched", "drawn", "wait_over", "passed", "message_accepted", "message_withheld"),
        *("waits_for_date", "waits_for_time_of_day", "event_came", "event_did_not_come", "answered", "no_answer"),
        *("exit_on_event", "exit_on_condition"),
    } <= reasons
    assert {row["variant"] for row in reference["rekindle_state.journey_entries"]} == {"plain", "warm"}
    state = reference["rekindle_state.journey_state"]
    assert {row["arm"] for row in state} == {"treatment", "holdout"}
    assert len({row["exit_reason"] for row in state}) >= 4
    assert {row["channel"] for row in reference["rekindle_state.messages"]} == {Channel.EMAIL, Channel.SMS}


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("engine", ["bigquery", "snowflake"])
def test_five_days_leave_the_same_rows_as_on_duckdb(engine, request, reference, play_on, state_tables):
    # Given an empty warehouse of the engine, when the same five days are played
    warehouse = request.getfixturevalue(f"{engine}_warehouse")
    world = play_on(warehouse)
    # then no table differs from the reference, and the ten promises hold there as well
    found = rows_of(warehouse, state_tables)
    differing = {
        table: {
            "only there": [row for row in found[table] if row not in rows],
            "only on duckdb": [row for row in rows if row not in found[table]],
        }
        for table, rows in reference.items()
        if found[table] != rows
    }
    assert differing == {}
    assert world.broken() == {}
