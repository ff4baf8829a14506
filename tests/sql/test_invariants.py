"""Every promise has a statement that fails when it is broken: a check that can not fail is a defect."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def lived_template(world_module, empty_warehouse, tmp_path_factory):
    """Some days of life with everything in it, and every invariant holding."""
    world = world_module.World(
        tmp_path_factory.mktemp("lived") / "world", empty_warehouse, holdout={"share": 0.4, "salt": "salt"}
    )
    world.leads([{} for _ in range(14)])
    for day in range(4):
        world.tick(day)
    message = next(row for row in world.messages() if row["arm"] == "treatment")
    world.land("unsubscribes", world.unsubscribe(message["message_id"], "a hash", "email", world.at(3.5)))
    world.tick(4)
    assert world.broken() == {}
    assert all(verdict.checked for verdict in world.verdicts().values())
    world.let_go()
    return world.path


@pytest.fixture
def lived(world_module, lived_template, tmp_path):
    """A copy of that life to break."""
    world = world_module.World(tmp_path / "world", lived_template, holdout={"share": 0.4, "salt": "salt"})
    world.now(4.5)
    yield world
    world.let_go()


def breaks(world, number, sql, **values):
    world.execute(sql, **values)
    assert set(world.broken()) == {number}
    assert world.broken()[number] >= 1


STATE = "rekindle_state"
ONE_SENT = f"(select min(message_id) from {STATE}.messages where status = 'accepted' and channel = 'email')"
ONE_ACTIVE = f"(select min(entry_id) from {STATE}.journey_state where exit_reason is null)"


@pytest.mark.parametrize(
    "sql",
    [
        f"update {STATE}.journey_state set stage = 'nudge_' || stage where entry_id = {ONE_ACTIVE}",
        f"update {STATE}.journey_state set due_at = due_at + interval 1 second where entry_id = {ONE_ACTIVE}",
        f"update {STATE}.journey_state set last_sequence = last_sequence + 1 where entry_id = {ONE_ACTIVE}",
        f"update {STATE}.journey_transitions set sequence = sequence + 1 where sequence > 1 "
        f"and entry_id = {ONE_ACTIVE}",
        f"update {STATE}.journey_transitions set from_stage = 'x' where entry_id = {ONE_ACTIVE} and sequence = 2",
        f"delete from {STATE}.journey_transitions where entry_id = {ONE_ACTIVE} and sequence = 1",
    ],
    ids=["another stage", "another due date", "another sequence", "a gap", "a broken chain", "a lost beginning"],
)
def test_1_a_state_that_is_not_the_fold_of_its_transitions_is_seen(lived, sql):
    breaks(lived, 1, sql)


def test_1_a_move_after_the_exit_is_seen(lived):
    lived.execute(
        f"""
        insert into {STATE}.journey_transitions (entry_id, campaign_id, sequence, from_stage, to_stage, reason, due_at,
        exit_reason, happened_at, recorded_at, run_id)
        select entry_id, campaign_id, last_sequence + 1, 'exited', 'probe', 'zombie', due_at, null, updated_at,
        updated_at, 'run' from {STATE}.journey_state where exit_reason is not null limit 1
        """
    )
    lived.execute(
        f"""
        update {STATE}.journey_state as states set stage = 'probe', exit_reason = null, exited_at = null,
        last_sequence = moves.sequence, due_at = moves.due_at
        from {STATE}.journey_transitions as moves where moves.reason = 'zombie' and moves.entry_id = states.entry_id
        """
    )
    assert 1 in lived.broken()


def test_2_a_second_ledger_row_of_one_message_is_seen(lived):
    breaks(
        lived,
        2,
        f"insert into {STATE}.messages select * replace ('planned' as status, null as attempting_at)"
        f" from {STATE}.messages where message_id = {ONE_SENT}",
    )


def test_2_two_provider_ids_of_one_message_are_seen(lived):
    message = next(row for row in lived.messages() if row["status"] == "accepted")
    event = lived.mail_event(message["message_id"], "delivered", lived.at(4.1), "p@mail.example")
    lived.land_mail_events(event | {"sg_message_id": "another.recvd-1"})
    lived.ingest(5)
    assert set(lived.broken()) == {2}


def test_2_the_same_provider_id_in_its_two_spellings_is_no_violation(lived):
    message = next(row for row in lived.messages() if row["status"] == "accepted")
    lived.land_mail_events(lived.mail_event(message["message_id"], "delivered", lived.at(4.1), "p@mail.example"))
    lived.ingest(5)
    assert lived.broken() == {}


def test_3_a_send_after_the_recorded_exit_is_seen(lived):
    # claimed a day after the exit was in the warehouse
    lived.execute(
        f"update {STATE}.messages set claimed_at = (select max(recorded_at) from {STATE}.journey_transitions"
        f" where exit_reason is not null) where entry_id in (select entry_id from {STATE}.journey_transitions"
        " where exit_reason is not null) and channel = 'email' and status <> 'withheld'"
    )
    assert set(lived.broken()) == {3}


def test_3_an_end_right_after_the_send_step_blames_nobody_at_the_very_instant_of_the_claim(new_world):
    steps = [
        {"id": "probe", "email": {"template": "probe.txt.j2", "subject": "Hello"}},
        {"id": "archive", "end": "archived"},
    ]
    world = new_world(steps=steps)
    lead = world.lead()
    world.tick(0)  # the clock stands still all day
    (exit_,) = world.query(f"select * from {STATE}.journey_transitions where exit_reason is not null")
    assert exit_["recorded_at"] == world.message(lead)["claimed_at"]
    assert world.verdicts()[3].checked == 1 and world.broken() == {}
    # an exit for any other cause was there to be heard; and so was this one, had it been there a second before
    world.execute(f"update {STATE}.journey_transitions set reason = 'log_in' where exit_reason is not null")
    assert set(world.broken()) == {3}
    world.execute(
        f"update {STATE}.journey_transitions set reason = 'message_accepted',"
        " recorded_at = recorded_at - interval 1 second where exit_reason is not null"
    )
    assert set(world.broken()) == {3}


@pytest.mark.parametrize(
    ("reason", "address", "seen"),
    [
        ("unsubscribed", "email_hash", True),
        ("unsubscribed", "phone_hash", True),
        ("hard_bounced", "email_hash", True),
        ("hard_bounced", "phone_hash", False),
    ],
)
def test_3_a_send_to_an_opted_out_person_is_seen(lived, reason, address, seen):
    (entry,) = lived.query(
        f"select entries.* from {STATE}.journey_entries as entries inner join {STATE}.messages as messages"
        f" on entries.entry_id = messages.entry_id where messages.message_id = {ONE_SENT}"
    )
    lived.insert(
        f"{STATE}.suppressions",
        {
            "address_hash": entry[address],
            "channel": "email" if address == "email_hash" else "telex",
            "topic": "all",
            "reason": reason,
            "source": "test",
            "suppressed_at": lived.at(-1),
            "recorded_at": lived.at(-1),
        },
    )
    assert set(lived.broken()) == ({3} if seen else set())


def test_3_a_dead_number_that_says_stop_after_the_mail_blames_nobody(new_world):
    world = new_world(enter={"activation_model": "sync_cold_leads", "re_entry": "each_time"})
    lead = world.lead(consents=("email", "sms"))
    world.tick(0)
    world.tick(3)
    text = next(row for row in world.messages(lead) if row["channel"] == "sms")
    world.now(4)
    world.land("twilio_status", world.text_status(text["message_id"], "undelivered", world.at(4), lead.phone, "30005"))
    world.tick(4)
    assert world.state(lead)["exit_reason"] == "invalid_phone"
    world.crosses_again(lead, on=8)
    world.tick(8)  # a mail: the number is dead, not she
    assert world.messages(lead)[-1]["status"] == "accepted"
    world.now(9)
    world.land("twilio_inbound", world.inbound_text(lead.phone, "STOP", world.at(9)))
    world.tick(9)
    assert world.values("select reason from rekindle_state.suppressions") == ["unsubscribed"]
    assert world.broken() == {}
    world.execute(
        f"update {STATE}.messages set claimed_at = $at where claimed_at = $then", at=world.at(9), then=world.at(8)
    )
    assert set(world.broken()) == {3}


@pytest.mark.parametrize(
    "change",
    ["attempting_at = window_opens_at - interval 1 second", "attempting_at = expires_at", "time_zones = null"],
)
def test_4_a_send_outside_its_window_is_seen(lived, change):
    breaks(lived, 4, f"update {STATE}.messages set {change} where message_id = {ONE_SENT}")


def test_5_one_send_more_than_the_cap_is_seen(lived):
    lived.campaign = lived.campaign_with(caps={"messages": 1, "per_days": 7})
    assert set(lived.broken()) == {5}  # an e-mail and a text three days apart
    lived.campaign = lived.campaign_with(caps={"messages": 1, "per_days": 3})
    assert lived.broken() == {}  # three days apart to the second: the first has rolled out
    lived.execute(
        f"update {STATE}.messages set attempting_at = attempting_at - interval 1 second where channel = 'sms'"
    )
    assert set(lived.broken()) == {5}


def test_5_sends_to_one_address_under_two_leads_are_seen(lived):
    lived.campaign = lived.campaign_with(caps={"messages": 1, "per_days": 3})
    lived.execute(f"update {STATE}.messages set address_hash = 'shared' where channel = 'email' and arm = 'treatment'")
    assert 5 in lived.broken()


def test_6_two_active_entries_of_one_person_are_seen(lived):
    breaks(lived, 6, f"update {STATE}.journey_state set person_id = 'one' where exit_reason is null")


@pytest.mark.parametrize(
    "sql",
    [
        f"update {STATE}.messages set provider_message_id = 'x' || message_id where arm = 'holdout'",
        f"update {STATE}.messages set status = 'planned' where arm = 'holdout'",
        f"update {STATE}.journey_entries set person_id = 'one'",
        f"update {STATE}.journey_entries set email_hash = 'one'",
        f"update {STATE}.journey_entries set phone_hash = 'one'",
    ],
    ids=["accepted", "planned", "person in two arms", "mailbox in two arms", "number in two arms"],
)
def test_7_a_leak_of_the_holdout_is_seen(lived, sql):
    breaks(lived, 7, sql)


@pytest.mark.parametrize("identity", ["lead_id", "person_id", "email_hash", "phone_hash"])
@pytest.mark.parametrize("arms", [("holdout", "treatment"), ("treatment", "holdout"), ("holdout", "holdout")])
def test_7_an_arm_is_judged_by_what_was_known_at_entry(world, identity, arms):
    """Who is known to be the same keeps the arm; who turns out to be the same only later is not blamed."""
    for day, arm in enumerate(arms):
        world.lead(on=day)
        world.freeze(day)
        world.execute(
            f"update {STATE}.journey_entries set arm = $arm where entered_at = $at", arm=arm, at=world.at(day)
        )
    assert world.verdicts()[7].holds
    world.execute(f"update {STATE}.journey_entries set {identity} = 'one'")
    assert world.verdicts()[7].holds is (arms[0] == arms[1])


def test_7_of_relatives_in_both_arms_the_next_belongs_to_the_holdout(world):
    for day, arm in enumerate(["treatment", "holdout", "holdout"]):
        world.lead(on=day)
        world.freeze(day)
        world.execute(
            f"update {STATE}.journey_entries set arm = $arm where entered_at = $at", arm=arm, at=world.at(day)
        )
    # strangers to each other, related to the third
    world.execute(f"update {STATE}.journey_entries set email_hash = 'e' where entered_at <> $at", at=world.at(1))
    world.execute(f"update {STATE}.journey_entries set phone_hash = 'p' where entered_at <> $at", at=world.at(0))
    assert world.verdicts()[7].holds
    world.execute(f"update {STATE}.journey_entries set arm = 'treatment' where entered_at = $at", at=world.at(2))
    assert world.verdicts()[7].violations == 1


def test_8_an_entry_without_a_state_is_seen(lived):
    lived.execute(f"delete from {STATE}.journey_state where entry_id = {ONE_ACTIVE}")
    assert 8 in lived.broken()


def test_8_an_element_that_got_lost_is_seen(lived):
    breaks(lived, 8, "delete from rekindle_raw.webhook_elements")


def test_9_an_opt_out_by_get_is_seen(lived):
    breaks(lived, 9, f"update {STATE}.message_events set detail = 'get' where event_type = 'unsubscribed'")


def test_9_an_opt_out_of_an_unknown_kind_is_seen(lived):
    breaks(lived, 9, f"update {STATE}.message_events set detail = null where event_type = 'unsubscribed'")


@pytest.mark.parametrize(
    "table",
    [
        "rekindle_state.journey_entries",
        "rekindle_state.journey_transitions",
        "rekindle_state.message_events",
        "rekindle_raw.webhook_elements",
        "rekindle_state.consents",
        "rekindle_state.contact_checks",
        "rekindle_state.campaign_runs",
        "rekindle_state.decisions",
        "rekindle_state.suppressions",
        "rekindle_raw.landing_files",
    ],
)
def test_10_a_row_that_is_there_twice_is_seen(lived, table):
    lived.insert(
        f"{STATE}.decisions",
        {
            "entry_id": "e",
            "campaign_id": "c",
            "lead_id": "l",
            "step_id": "s",
            "channel": "email",
            "reason": "expired",
            "decided_at": lived.at(0),
            "run_id": "r",
        },
    )
    assert lived.broken() == {}
    lived.execute(f"insert into {table} select * from {table}")
    assert 10 in lived.broken()


def test_the_check_covers_ten_promises(lived):
    assert sorted(lived.verdicts()) == list(range(1, 11))
