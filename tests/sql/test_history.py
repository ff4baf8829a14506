"""What `rekindle explain` tells of one lead."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from rekindle.history import UnknownLeadError, read_history
from rekindle.history.page import history_page


def told(history):
    return [(each.kind, each.what) for each in history.happenings]


def printed(history):
    console = Console(file=io.StringIO(), width=220)
    console.print(history_page(history))
    return console.file.getvalue()


@pytest.fixture
def history_of_one(world):
    """Mailed on day 0, came back on day 1 and a half; somebody else lives beside."""
    lead = world.lead()
    world.lead()
    world.tick(0)
    world.sign_of_life(lead, world.at(1.5), "log_in")
    world.ingest(2)
    return lead, read_history(world.warehouse, lead.lead_id)


def test_it_tells_a_life_in_order_and_of_nobody_else(world, history_of_one):
    lead, history = history_of_one
    message = world.message(lead)["message_id"]
    assert [kind for kind, _ in told(history)] == [
        *("consent", "consent"),
        *("entered", "moved", "checked", "planned", "sent", "moved"),
        *("alive", "moved"),
    ]
    assert [each.happened_at for each in history.happenings] == sorted(each.happened_at for each in history.happenings)
    assert {each.why for each in history.happenings if each.kind == "planned"} == {f"message {message}"}
    assert told(history)[-1] == ("moved", "listen_after_probe -> exited, ended as re_engaged")
    (standing,) = history.standings
    assert (standing.exit_reason, standing.exited_at, standing.arm) == ("re_engaged", world.at(1.5), "treatment")


def test_it_says_why_somebody_was_not_written_to(world):
    lead = world.lead(email=None, consents=())
    world.tick(0)
    history = read_history(world.warehouse, lead.lead_id)
    reasons = {each.why.split(":")[0] for each in history.happenings if each.kind == "not sent"}
    assert reasons == {"no_reachable_channel", "consent_missing"}


def test_an_opt_out_is_told_with_who_said_so(world):
    lead = world.lead()
    world.suppress(lead.email_hash, "email")
    history = read_history(world.warehouse, lead.lead_id)
    assert told(history)[-1] == ("suppressed", "email, topic all")
    assert {kind for kind, _ in told(history)} == {"consent", "suppressed"}


def test_of_one_campaign_only_its_own_and_what_concerns_all(world, history_of_one):
    lead, history = history_of_one
    assert told(read_history(world.warehouse, lead.lead_id, world.campaign.campaign_id)) == told(history)
    other = read_history(world.warehouse, lead.lead_id, "another_campaign")
    assert {each.campaign_id for each in other.happenings} == {None}
    assert not other.standings


def test_no_address_and_no_number_is_printed(world, history_of_one):
    lead, history = history_of_one
    page = printed(history)
    assert lead.email not in page and lead.phone not in page
    assert lead.email_hash not in page
    assert "ended as re_engaged" in page
    # 18:00 UTC on a winter's Monday
    assert "Mon 13:00" in page


def test_an_unknown_lead_is_said_to_be_unknown(world):
    with pytest.raises(UnknownLeadError, match="there is no lead nobody in the warehouse; ids are"):
        read_history(world.warehouse, "nobody")


def test_the_nearest_ids_are_named_unless_they_are_addresses(world):
    world.leads([{}, {"lead_id": "Ann@mail.example"}])
    with pytest.raises(UnknownLeadError, match=r"no lead LEAD-00001 in the warehouse; nearest: lead-00001; ids"):
        read_history(world.warehouse, "LEAD-00001")
    with pytest.raises(UnknownLeadError, match="no lead ann@ in the warehouse; ids"):
        read_history(world.warehouse, "ann@")


def test_who_waits_is_told_once_and_in_words_on_a_narrow_page(world):
    lead = world.lead(time_zone="Pacific/Honolulu", on=-0.1)
    world.tick(-0.1)
    history = read_history(world.warehouse, lead.lead_id)
    assert [(kind, what) for kind, what in told(history) if "probe" in what and kind != "entered"] == [
        ("moved", "probe, due 2026-01-12 15:36:00"),
        ("not sent", "email of step probe, again from 2026-01-12 18:00:00"),
    ]
    console = Console(file=io.StringIO(), width=80)
    console.print(history_page(history))
    page = " ".join(console.file.getvalue().split())
    assert "outside_send_window: not a decent hour where the lead may be (Pacific/Honolulu)" in page
    assert "cold score 80.0 (signals not told)" in page and "{" not in page
