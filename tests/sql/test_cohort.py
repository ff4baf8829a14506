"""Who enters, in which arm, how often, and never more than asked for."""

from __future__ import annotations

from collections import Counter

import pytest

from rekindle.errors import ConfigurationError, RefusedError
from rekindle.journey import freeze_cohort
from rekindle.run import Run

HELD_OUT = {"share": 0.2, "salt": "salt"}


def arms(world):
    return {row["lead_id"]: row["arm"] for row in world.query("select * from rekindle_state.journey_entries")}


def test_the_holdout_is_drawn_at_about_its_share_and_by_its_salt(new_world):
    drawn = {}
    for salt in ("one", "two"):
        world = new_world(holdout={"share": 0.2, "salt": salt})
        world.leads([{"consents": ()} for _ in range(1_500)])
        world.freeze(0)
        drawn[salt] = arms(world)
        share = Counter(drawn[salt].values())["holdout"] / 1_500
        assert 0.16 < share < 0.24
        assert world.broken() == {}
    held_out = {salt: {lead for lead, arm in of.items() if arm == "holdout"} for salt, of in drawn.items()}
    # two salts, two draws: about a fifth of one holdout is in the other, not all and not none
    overlap = len(held_out["one"] & held_out["two"]) / len(held_out["one"])
    assert 0.1 < overlap < 0.35


@pytest.mark.parametrize(("share", "arm"), [(0.0, "treatment"), (0.5, None)])
def test_a_share_of_nothing_holds_nobody_out(new_world, share, arm):
    world = new_world(holdout={"share": share, "salt": "salt"})
    world.leads([{} for _ in range(60)])
    world.freeze(0)
    assert set(arms(world).values()) == ({arm} if arm else {"treatment", "holdout"})


def test_the_draw_depends_on_nothing_but_salt_campaign_and_person(new_world):
    first, second = new_world(holdout=HELD_OUT), new_world(holdout=HELD_OUT)
    first.leads([{"lead_id": f"l{number}"} for number in range(80)])
    # another order, another day, other scores
    second.leads([{"lead_id": f"l{number}", "cold_score": 60.0 + number % 7} for number in reversed(range(80))], on=3)
    first.freeze(0)
    second.freeze(3)
    assert arms(first) == arms(second)


def test_one_lead_per_person_enters_and_it_is_the_coldest(world):
    world.lead(lead_id="mild", person_id="p", cold_score=71.0)
    world.lead(lead_id="cold", person_id="p", cold_score=90.0)
    world.lead(lead_id="also", person_id="p", cold_score=90.0)
    assert world.freeze(0) == 1
    assert list(arms(world)) == ["also"]


def test_the_second_lead_of_a_person_does_not_enter_while_the_first_is_active(world):
    world.lead(lead_id="first", person_id="p")
    world.freeze(0)
    world.lead(lead_id="second", person_id="p", on=1)
    assert world.freeze(1) == 0


@pytest.mark.parametrize("shared", ["email", "phone", "person_id"])
@pytest.mark.parametrize("arm", ["treatment", "holdout"])
def test_whoever_shares_an_address_stays_in_the_arm_of_the_earlier_entry(new_world, shared, arm):
    world = new_world(holdout={"share": 0.5, "salt": "salt"})
    common = {"email": "shared@mail.example", "phone": "+14155550199", "person_id": "p"}[shared]
    world.lead(lead_id="first", **{shared: common})
    world.freeze(0)
    world.execute("update rekindle_state.journey_entries set arm = $arm", arm=arm)
    world.execute("update rekindle_state.journey_state set arm = $arm, exit_reason = 're_engaged'", arm=arm)
    campaign = world.campaign_with(
        holdout={"share": 0.5, "salt": "salt"}, enter={"activation_model": "sync_cold_leads", "re_entry": "each_time"}
    )
    world.leads([{"lead_id": f"later{number}", shared: common} for number in range(8)], on=1)
    for number in range(8):  # one by one: the others of a person wait
        world.freeze(1 + number, campaign)
        world.execute("update rekindle_state.journey_state set exit_reason = 're_engaged'")
        world.execute("update rekindle_activation.sync_cold_leads set scored_as_of = $then", then=world.at(2 + number))
    assert len(arms(world)) > (1 if shared == "person_id" else 7)
    assert set(arms(world).values()) == {arm}
    assert world.verdicts()[7].holds


def test_where_earlier_entries_disagree_the_person_is_held_out(world):
    world.lead(lead_id="treated", email="e@mail.example", phone="+14155550001")
    world.lead(lead_id="held", email="f@mail.example", phone="+14155550002")
    world.freeze(0)
    world.execute("update rekindle_state.journey_entries set arm = 'holdout' where lead_id = 'held'")
    world.lead(lead_id="both", email="e@mail.example", phone="+14155550002", on=1)
    world.freeze(1)
    assert arms(world)["both"] == "holdout"


@pytest.mark.parametrize("shared", ["email", "phone"])
def test_two_who_share_an_address_and_enter_on_the_same_day_are_in_one_arm(new_world, shared):
    world = new_world(holdout={"share": 0.5, "salt": "salt"})
    common = {"email": "shared@mail.example", "phone": "+14155550199"}[shared]
    world.leads([{shared: common} for _ in range(12)])
    world.freeze(0)
    assert len(set(arms(world).values())) == 1


def test_a_chain_of_shared_addresses_that_enters_on_one_day_is_in_one_arm(new_world):
    world = new_world(holdout={"share": 0.5, "salt": "salt"})
    world.leads(
        {
            "lead_id": f"{chain:02d}-{place}",
            "email": f"e{chain}-{place // 2}@mail.example",
            "phone": f"+1415555{chain:02d}{(place + 1) // 2:02d}",
        }
        for chain in range(12)
        for place in range(3)
    )
    world.freeze(0)
    assert world.verdicts()[7].violations == 0


def becomes(world, lead, **columns):
    """The company's table says something else of a lead from now on."""
    changes = ", ".join(f"{name} = ${name}" for name in columns)
    world.execute(
        f"update rekindle_activation.sync_lead_contacts set {changes} where lead_id = $lead_id",
        lead_id=lead.lead_id,
        **columns,
    )


def two_people_in_two_arms(world):
    """One treated, one held out, both through with it."""
    treated, held = world.lead(lead_id="treated", person_id="t"), world.lead(lead_id="held", person_id="h")
    world.freeze(0)
    for table in ("journey_entries", "journey_state"):
        world.execute(f"update rekindle_state.{table} set arm = 'holdout' where lead_id = 'held'")
    for lead in (treated, held):
        world.sign_of_life(lead, world.at(0.1))
    world.advance(0.5)
    return treated, held


def each_time(world):
    return world.campaign_with(enter={"activation_model": "sync_cold_leads", "re_entry": "each_time"})


def test_two_people_who_turn_out_to_be_one_are_held_out_from_then_on_and_nobody_is_blamed(world):
    treated, held = two_people_in_two_arms(world)
    becomes(world, held, person_id="t", email=treated.email, email_hash=treated.email_hash)
    world.crosses_again(treated, on=1, person_id="t")
    world.crosses_again(held, on=1, person_id="t")
    assert world.freeze(1, each_time(world)) == 1
    newest = world.query("select arm from rekindle_state.journey_entries order by entered_at desc")[0]
    assert newest["arm"] == "holdout"
    assert world.broken() == {}


def test_two_who_come_to_share_an_address_and_enter_on_one_day_are_held_out_both(world):
    treated, held = two_people_in_two_arms(world)
    for lead in (treated, held):
        becomes(world, lead, phone="+14155550777", phone_hash="shared")
    world.crosses_again(treated, on=1, person_id="t")
    world.crosses_again(held, on=1, person_id="h")
    assert world.freeze(1, each_time(world)) == 2
    on = world.at(1).date()
    later = world.values("select arm from rekindle_state.journey_entries where cohort_date = $on", on=on)
    assert later == ["holdout", "holdout"]


def test_who_turns_out_to_be_somebody_under_way_does_not_enter_beside_her(world):
    under_way = world.lead(person_id="one")
    world.freeze(0)
    other = world.lead(person_id="two", is_cold=False)
    becomes(world, under_way, person_id="two")
    world.crosses_again(other, on=1, person_id="two")
    assert world.freeze(1) == 0


def test_no_more_than_the_maximum_cohort_size_enters_also_on_a_re_run(new_world):
    world = new_world(enter={"activation_model": "sync_cold_leads", "maximum_cohort_size": 5})
    world.leads([{} for _ in range(9)])
    assert world.freeze(0) == 5
    assert world.freeze(0) == 0
    world.lead()
    assert world.freeze(0) == 0
    assert len(arms(world)) == 5


def test_the_newest_crossing_then_the_coldest_comes_first(new_world):
    world = new_world(enter={"activation_model": "sync_cold_leads", "maximum_cohort_size": 2})
    world.lead(lead_id="old", cold_score=99.0, crossed_cold_on=world.at(-2).date())
    world.lead(lead_id="mild", cold_score=70.0)
    world.lead(lead_id="cold", cold_score=80.0)
    world.freeze(0)
    assert sorted(arms(world)) == ["cold", "mild"]


def test_only_the_cohort_scored_as_of_this_very_instant_enters(world):
    world.lead(on=0)
    assert world.freeze(0.1) == 0
    assert world.freeze(1) == 0


def test_a_lead_without_contact_row_does_not_enter(world):
    lead = world.lead()
    world.execute("delete from rekindle_activation.sync_lead_contacts where lead_id = $lead", lead=lead.lead_id)
    assert world.freeze(0) == 0


@pytest.mark.parametrize(
    ("rule", "days", "enters"),
    [("never", 400, 0), ("each_time", 1, 1), ({"after_days": 30}, 29, 0), ({"after_days": 30}, 30, 1)],
)
def test_re_entry_follows_its_rule_to_the_day(new_world, rule, days, enters):
    world = new_world(enter={"activation_model": "sync_cold_leads", "re_entry": rule})
    lead = world.lead()
    world.freeze(0)
    world.sign_of_life(lead, world.at(0.1))
    world.advance(0.5)
    world.crosses_again(lead, on=days)
    assert world.freeze(days) == enters
    assert len(world.values("select entry_id from rekindle_state.journey_entries")) == 1 + enters
    assert world.broken() == {}


def test_who_entered_and_left_on_one_day_does_not_enter_again_that_day(new_world):
    world = new_world(enter={"activation_model": "sync_cold_leads", "re_entry": "each_time"})
    lead = world.lead()
    world.freeze(0)
    world.sign_of_life(lead, world.at(0.1))
    world.advance(0.15)
    world.crosses_again(lead, on=0.2)
    assert world.at(0.2).date() == world.at(0).date()
    assert world.freeze(0.2) == 0


def test_crossing_twice_while_active_is_one_entry(new_world):
    world = new_world(enter={"activation_model": "sync_cold_leads", "re_entry": "each_time"})
    lead = world.lead()
    for day in range(4):
        if day:
            world.crosses_again(lead, on=day)
        world.freeze(day)
    assert len(arms(world)) == 1


def test_an_entry_keeps_the_score_and_the_version_that_brought_it_in(world):
    lead = world.lead(cold_score=87.5)
    world.freeze(0)
    (entry,) = world.query("select * from rekindle_state.journey_entries")
    assert (entry["cold_score"], entry["journey_version"]) == (87.5, world.campaign.journey_version)
    assert (entry["email_hash"], entry["phone_hash"]) == (lead.email_hash, lead.phone_hash)
    assert (entry["entered_at"], entry["cohort_date"]) == (world.at(0), world.at(0).date())
    assert world.values("select definition from rekindle_state.campaign_versions") == [world.campaign.definition_json]


def test_an_older_day_is_refused_and_changes_nothing(world):
    world.leads([{} for _ in range(3)], on=2)
    world.leads([{} for _ in range(3)], on=1)
    world.freeze(2)
    before = world.fingerprint()
    with pytest.raises(RefusedError, match="nothing was changed"):
        world.freeze(1)
    assert world.fingerprint() == before


def test_who_is_on_the_way_in_one_campaign_may_enter_another(world):
    world.lead()
    world.freeze(0)
    assert world.freeze(0, world.campaign_with("second_campaign")) == 1
    assert world.verdicts()[6].holds


def test_entries_on_a_step_that_their_own_version_has_not_stop_the_run(world):
    world.lead()
    world.freeze(0)
    world.execute("update rekindle_state.journey_state set stage = 'another'")
    before = world.fingerprint()
    with pytest.raises(ConfigurationError, match="1 on `another`"):
        world.advance(0)
    assert world.fingerprint() == before


def test_entries_on_a_version_that_is_not_stored_stop_the_run(world):
    world.lead()
    world.freeze(0)
    world.execute("update rekindle_state.journey_state set journey_version = 'lost'")
    with pytest.raises(ConfigurationError, match="version lost of cold_lead_reengagement, which is not in"):
        world.advance(0)


def test_a_wait_as_the_first_step_takes_its_time(new_world):
    steps = [
        {"id": "listen", "wait": "48h"},
        {"id": "probe", "email": {"template": "probe.txt.j2", "subject": "Hello"}},
        {"id": "listen_again", "wait": "72h"},
        {"id": "archive", "end": "archived"},
    ]
    world = new_world(steps=steps)
    lead = world.lead()
    world.freeze(0)
    world.advance(1)
    assert world.state(lead)["stage"] == "listen"
    world.advance(2)
    assert world.state(lead)["stage"] == "probe"


def test_a_run_of_the_same_instant_under_another_id_enters_nobody_again(world):
    world.leads([{} for _ in range(4)])
    world.freeze(0)
    again = Run(as_of=world.at(0), run_id="manual__again", recorded_at=world.at(0.2))
    assert freeze_cohort(world.warehouse, world.campaign, again) == {"entered": 0}
    assert world.broken() == {}


def test_an_entry_keeps_the_attribution_window_that_its_campaign_had_on_that_day(world):
    world.lead(lead_id="ann")
    short, long = (world.campaign_with(f"days_{days}", attribution_window_days=days) for days in (7, 45))
    world.freeze(0, short)
    world.freeze(0, long)
    # the file is changed: who entered stays with what was promised, and who comes gets the new one
    world.lead(lead_id="bob", on=1)
    world.freeze(1, world.campaign_with("days_7", attribution_window_days=14))
    kept = world.query("select * from rekindle_state.journey_entries")
    assert {(row["campaign_id"], row["lead_id"]): row["attribution_window_days"] for row in kept} == {
        ("days_7", "ann"): 7,
        ("days_45", "ann"): 45,
        ("days_7", "bob"): 14,
    }


def test_who_enters_by_a_word_keeps_the_window_too(new_world):
    world = new_world(enter={"keyword": ["JOIN"]}, attribution_window_days=3)
    lead = world.lead(is_cold=False)
    world.insert(
        "rekindle_activation.sync_inbound_signals",
        {
            "lead_id": lead.lead_id,
            "person_id": lead.lead_id,
            "kind": "keyword",
            "name": "JOIN",
            "happened_at": world.at(-0.1),
            "scored_as_of": world.at(0),
        },
    )
    assert world.freeze(0) == 1
    assert world.values("select attribution_window_days from rekindle_state.journey_entries") == [3]
