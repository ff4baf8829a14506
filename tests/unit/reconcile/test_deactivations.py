"""A number that was given up is not texted any more: its next owner agreed to nothing."""

from __future__ import annotations

from datetime import date

import pytest

from rekindle.channels.ports import ProviderUnavailableError
from rekindle.errors import ConfigurationError
from rekindle.identity import address_hash
from rekindle.reconcile.deactivations import sync_deactivations


def sync(world, providers, day, **options):
    world.now(day)
    return sync_deactivations(world.warehouse, providers.twilio(**options).deactivated_numbers, world.run(day))


def day_before(world, day):
    return world.at(day - 1).date().isoformat()


def suppressed(world):
    rows = world.query("select address_hash, channel, reason, source from rekindle_state.suppressions")
    return [tuple(row.values()) for row in rows]


def test_our_numbers_of_the_file_are_suppressed_for_texts_and_nobody_elses_are_kept(world, providers):
    lead, _ = world.leads([{}, {}])
    providers.deactivate(day_before(world, 1), "+12125550199", lead.phone)
    counts = sync(world, providers, 1)
    assert (counts["numbers"], counts["new_events"], counts["suppressed"]) == (2, 1, 1)
    assert suppressed(world) == [(lead.phone_hash, "sms", "invalid_number", "twilio")]
    assert world.query("select * from rekindle_state.deactivated_numbers") == []
    assert world.broken() == {}


def test_a_file_without_plus_signs_names_the_same_numbers(world, providers):
    found = ["+14155550001", "14155550002", "4155550003", "not a number", ""]
    providers.deactivate("2026-01-12", *found)
    hashes = providers.twilio().deactivated_numbers(date(2026, 1, 12))
    assert hashes == [address_hash(f"+1415555000{number}") for number in (1, 2, 3)]


def test_a_day_without_a_file_is_asked_for_again_until_a_later_one_is_there(world, providers):
    first, second = world.leads([{}, {}])
    assert sync(world, providers, 1)["files"] == 0
    providers.deactivate(day_before(world, 1), first.phone)
    assert sync(world, providers, 2)["files"] == 1
    providers.deactivate(day_before(world, 2), second.phone)
    providers.deactivate(day_before(world, 3))
    assert sync(world, providers, 3)["files"] == 3
    assert {row[0] for row in suppressed(world)} == {first.phone_hash, second.phone_hash}
    providers.deactivate(day_before(world, 4))
    assert sync(world, providers, 4)["files"] == 1


def test_missed_days_are_caught_up(world, providers):
    lead = world.lead()
    providers.deactivate(day_before(world, 1))
    sync(world, providers, 1)
    for day in (2, 3, 4):
        providers.deactivate(day_before(world, day), *([lead.phone] if day == 2 else []))
    assert sync(world, providers, 4)["files"] == 3
    assert len(suppressed(world)) == 1
    before = world.fingerprint()
    sync(world, providers, 4)
    assert world.fingerprint() == before


def test_a_person_is_not_written_to_at_a_number_that_was_given_up(world, providers):
    lead = world.lead(email=None)
    providers.deactivate(day_before(world, 0), lead.phone)
    sync(world, providers, 0)
    world.tick(0)
    assert world.messages(lead) == []
    assert world.broken() == {}


def test_trouble_is_raised_without_a_number(world, providers):
    with pytest.raises(ConfigurationError, match="20003"):
        sync(world, providers, 1, secret="wrong")
    providers.faults({"kind": "server_error_before", "provider": "twilio", "endpoint": "deactivations"})
    with pytest.raises(ProviderUnavailableError):
        sync(world, providers, 1)
    assert len(providers.waits) == 2  # asked three times
