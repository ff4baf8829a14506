"""The tick between two days: what arrived holds at once, and no day notices."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from rekindle.ingest import landing, listen, load_landing_zone, parcels
from rekindle.run import Run
from rekindle.vocabulary import Channel

RUNS = "select activity, as_of from rekindle_state.campaign_runs where activity in ('ingest', 'listen') order by 1, 2"


def tick(world: Any, day: float, as_of: float | None = None) -> dict[str, int]:
    """A tick at that time of the clock; Airflow's idea of when it is may differ."""
    now = world.now(day)
    instant = world.at(day if as_of is None else as_of)
    return listen(world.warehouse, world.landing, Run(instant, f"tick__{instant.isoformat()}", now))


def test_an_opt_out_heard_between_two_days_stops_what_is_claimed_after_the_tick(world: Any) -> None:
    # Given two messages that are planned and not sent yet
    staying, leaving = world.lead(), world.lead()
    world.freeze(0)
    batches = world.plan(0)
    # When one of the two says no, and the next tick comes
    world.land("unsubscribes", world.unsubscribe(None, leaving.email_hash, "email", world.at(0)))
    counts = tick(world, 0.002)
    # Then only the other one is written to, and the entry is over
    world.dispatch(batches, world.email, 0)
    assert [item.message_id for item in world.email.sent] == [world.message(staying)["message_id"]]
    assert (counts["files"], counts["suppressed"], counts["ended"]) == (1, 1, 1)
    assert world.state(leaving)["exit_reason"] == "unsubscribed"
    assert world.broken() == {}


def test_a_day_that_starts_or_is_done_again_after_a_tick_is_not_an_older_one(world: Any) -> None:
    world.lead()
    world.tick(0)
    world.land("twilio_inbound", world.inbound_text("+14155559999", "STOP", world.at(1.1)))
    tick(world, 1.1)
    # the day of an hour before was late
    load_landing_zone(world.warehouse, world.landing, world.run(1))
    world.ingest(0.5 + 0.5)
    assert world.query(RUNS) == [
        {"activity": "ingest", "as_of": world.at(0)},
        {"activity": "ingest", "as_of": world.at(1)},
        {"activity": "listen", "as_of": world.at(1.1)},
    ]


@pytest.mark.parametrize(
    ("as_of", "acts_as_of"),
    [
        (4, 4),  # its own instant
        (1, 3),  # triggered as of a day that is over: an opt-out is never too old to be heard
        (400, 4),  # nothing happens in the clock's future
    ],
)
def test_a_tick_is_never_refused_and_never_moves_time(world: Any, as_of: float, acts_as_of: float) -> None:
    world.now(3)
    world.ingest(3)
    world.land("twilio_inbound", world.inbound_text("+14155559999", "STOP", world.at(3.5)))
    assert tick(world, 4, as_of)["suppressed"] == 1
    assert world.query(RUNS)[-1] == {"activity": "listen", "as_of": world.at(acts_as_of)}
    assert world.values("select loaded_as_of from rekindle_raw.landing_files") == [min(world.at(as_of), world.at(4))]


def test_a_tick_that_finds_nothing_writes_nothing(world: Any) -> None:
    world.lead()
    world.tick(0)
    before = world.fingerprint()
    assert set(tick(world, 0.1).values()) == {0}
    world.land("twilio_inbound", world.inbound_text("+14155559999", "hello?", world.at(0.1)))
    assert tick(world, 0.2)["files"] == 1
    loaded = world.fingerprint()
    assert loaded != before
    assert set(tick(world, 0.3).values()) == {0}
    assert world.fingerprint() == loaded


def test_a_tick_looks_at_the_last_days_and_the_day_at_all_of_them(world: Any) -> None:
    world.land("twilio_inbound", world.inbound_text("+14155559999", "STOP", world.at(0)))
    assert tick(world, 5)["files"] == 0
    assert world.ingest(5)["files"] == 1
    world.land("twilio_inbound", world.inbound_text("+14155558888", "STOP", world.at(5)))
    assert tick(world, 6.5)["files"] == 1


def test_a_day_and_a_tick_that_meet_load_a_file_once(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the day load what the tick is about to load, because two processes can not be timed so exactly."""
    for sender in range(3):
        world.land("twilio_inbound", world.inbound_text(f"+1415555999{sender}", "STOP", world.at(0)))
    real = landing.read_parcels

    def meet(paths: Any, root: Any) -> Any:
        monkeypatch.setattr(landing, "read_parcels", real)
        (world.landing / "twilio_inbound").rename(world.landing / "away")
        first = sorted((world.landing / "away").rglob("*.jsonl"))[0]
        again = world.landing / first.relative_to(world.landing / "away").parent.name
        folder = world.landing / "twilio_inbound" / again.name
        folder.mkdir(parents=True)
        first.rename(folder / first.name)
        world.ingest(0)
        for other in (world.landing / "away").rglob("*.jsonl"):
            other.rename(folder / other.name)
        return real(paths, root)

    monkeypatch.setattr(landing, "read_parcels", meet)
    assert tick(world, 0.1)["files"] == 2
    assert len(world.values("select landing_file from rekindle_raw.landing_files")) == 3
    assert len(world.values("select payload from rekindle_raw.webhook_elements")) == 3
    assert world.broken() == {}


def decided(world: Any) -> dict[str, Any]:
    """Every table's hash, but for what the last run itself counted and which attempt sent a message."""
    found = world.fingerprint()
    del found["rekindle_state.campaign_runs"]
    found["rekindle_state.messages"] = world.query(
        "select * exclude (attempt_id, batch_id) from rekindle_state.messages order by message_id"
    )
    return dict(found)


def story(world: Any) -> None:
    """Two leads mailed, and twelve files about them."""
    leads = [world.lead() for _ in range(2)]
    world.tick(0)
    world.now(1)
    for number in range(6):
        for lead in leads:
            name = ("processed", "delivered", "open", "bounce", "spamreport", "unsubscribe")[number]
            event = world.mail_event(world.message(lead)["message_id"], name, world.at(0.1 * number), lead.email)
            world.land_mail_events(event)
    world.land("app_events", world.line(world.at(0.5), json.dumps({"type": "track", "userId": "u", "event": "e"})))


def test_parcels_of_one_file_come_to_the_same_as_one_parcel(new_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for size in (1, parcels.PARCEL_BYTES):
        monkeypatch.setattr(parcels, "PARCEL_BYTES", size)
        world = new_world()
        story(world)
        assert world.ingest(1)["files"] == 13
        found.append(decided(world))
        assert world.broken() == {}
    assert found[0] == found[1]


def test_a_load_that_dies_between_two_parcels_is_finished_by_the_next(
    new_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails the fourth parcel, as a machine that goes away does."""
    monkeypatch.setattr(parcels, "PARCEL_BYTES", 1)
    whole, broken = new_world(), new_world()
    for world in (whole, broken):
        story(world)
    whole.ingest(1)
    real, calls = landing._load_parcel, []

    def die(*arguments: Any) -> Any:
        calls.append(1)
        real(*arguments)
        if len(calls) == 4:
            raise OSError("the machine goes away")
        return {}

    monkeypatch.setattr(landing, "_load_parcel", die)
    with pytest.raises(OSError, match="goes away"):
        broken.ingest(1)
    assert len(broken.values("select landing_file from rekindle_raw.landing_files")) == 3
    monkeypatch.setattr(landing, "_load_parcel", real)
    assert broken.ingest(1)["files"] == 10
    assert decided(whole) == decided(broken)


def test_a_claim_after_the_tick_sees_what_the_tick_heard_on_the_other_channel(world: Any) -> None:
    lead = world.lead(email=None)
    world.freeze(0)
    world.plan(0)
    world.advance(0)
    batches = world.plan(0, Channel.SMS)
    world.land("twilio_inbound", world.inbound_text(lead.phone, "please stop texting me", world.at(0)))
    tick(world, timedelta(minutes=5) / timedelta(days=1))
    world.dispatch(batches, world.sms, 0)
    assert world.sms.sent == []
