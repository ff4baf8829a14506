"""Five days of the whole journey on each engine: every table then holds the same rows as on DuckDB.

Who enters, what is planned, checked, sent, heard and settled runs through the functions the DAGs call; the providers
answer from a script. The campaign has every kind of step (`every_step.py`). The people differ in what can go
differently: time zones, missing addresses, consents, opt-outs, what is known of them, what they do and answer.
"""

from __future__ import annotations

from datetime import timedelta

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


@pytest.fixture(scope="session")
def state_tables(relations):
    """Every table the migrations make but their own ledger, whose hashes are of each engine's text."""
    return sorted(
        name
        for name in relations.for_bigquery()
        if name.split(".")[0] in ("rekindle_state", "rekindle_raw")
        and "INFORMATION_SCHEMA" not in name
        and not name.endswith("schema_migrations")
    )


@pytest.fixture(scope="session")
def play_on(
    world_module, empty_warehouse, tmp_path_factory, relations, every_step, every_statement, state_tables, traced
):
    """Plays the days on a warehouse, then every other statement; returns what there is to compare."""
    emptied = [*state_tables, *relations.stand_ins()]

    def on(warehouse):
        folder = tmp_path_factory.mktemp("played") / "world"
        changes = every_step.CHANGES | {"holdout": {"share": 0.2, "salt": "five days"}}
        world = world_module.World(folder, empty_warehouse, **changes)
        world.let_go()
        world.warehouse = traced.TracedWarehouse(warehouse)
        # whoever used the warehouse before left something
        warehouse.run_script("".join(f"delete from {table} where true;\n" for table in emptied))
        play(world, world_module.activation_columns()["sync_lead_context"])
        assert world.broken() == {}
        every_statement.run_the_rest(world)
        with warehouse.transaction() as transaction:
            tables = {table: traced.in_order(transaction.query(f"select * from {table}")) for table in state_tables}
        return {"tables": tables, "trace": world.warehouse.trace, "executed": world.warehouse.executed()}

    return on


@pytest.fixture(scope="session")
def reference(request, once, play_on):
    """The five days on DuckDB."""
    return once("five_days", lambda: play_on(request.getfixturevalue("duckdb_warehouse")))


def test_every_statement_and_migration_has_run(reference, relations):
    # whoever adds a statement lets the days bring it about, or says in every_statement.py with which values it runs
    assert sorted(set(relations.STATEMENTS) - set(reference["executed"])) == []
    applied = next(rows for name, rows in reference["trace"] if name == "audit/list_migrations")
    assert [row["migration"] for row in applied] == sorted(path.name for path in relations.MIGRATIONS.glob("*.sql"))


def test_the_reference_has_something_to_say(reference):
    reference = reference["tables"]
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
def test_every_statement_writes_and_returns_what_it_does_on_duckdb(engine, request, reference, play_on):
    # Given an empty warehouse of the engine, when the same days are played
    found = play_on(request.getfixturevalue(f"{engine}_warehouse"))
    # then every statement told the same, one by one, and no table differs at the end
    told = zip(found["trace"], reference["trace"], strict=False)
    assert [(there, on_duckdb) for there, on_duckdb in told if there != on_duckdb] == []
    assert len(found["trace"]) == len(reference["trace"])
    differing = {
        table: {
            "only there": [row for row in found["tables"][table] if row not in rows],
            "only on duckdb": [row for row in rows if row not in found["tables"][table]],
        }
        for table, rows in reference["tables"].items()
        if found["tables"][table] != rows
    }
    assert differing == {}
    assert found["executed"] == reference["executed"]
