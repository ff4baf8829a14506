"""Histories are dealt like cards: the seed decides the order, and every card is in every deck."""

from __future__ import annotations

from itertools import islice

from rekindle.chaos.history import History, OrdealKind
from rekindle.chaos.jobs import Deed
from rekindle.chaos.places import BOUNDARIES, FREE_OF_THE_WAREHOUSE, Place


def deal(seed, count=200):
    return list(islice(History(seed).ordeals(), count))


def test_the_same_seed_deals_the_same_and_another_one_does_not():
    assert deal(7) == deal(7)
    assert deal(7) != deal(8)
    first, second = History(7), History(7)
    assert [first.interlude() for _ in range(20)] == [second.interlude() for _ in range(20)]


def test_one_deck_holds_every_kind_and_every_boundary_twice():
    deck_size = 24 + 24
    deck = deal(3, deck_size)
    assert {ordeal.kind for ordeal in deck} == set(OrdealKind)
    killed = [ordeal.fate for ordeal in deck if ordeal.kind is OrdealKind.KILLED_AT_BOUNDARY]
    places = [place for place in BOUNDARIES if place not in (Place.DURING_CALL, Place.ACCEPTED)]
    assert sorted(fate.place for fate in killed) == sorted(places * 2)
    assert {fate.deed for fate in killed} == {Deed.KILL}
    assert [one.kind for one in deck] != [one.kind for one in deal(3, 2 * deck_size)[deck_size:]]


def test_a_zombie_holds_no_transaction_and_no_clock_goes_back_further_than_a_lease():
    for ordeal in deal(1, 500):
        if ordeal.kind is OrdealKind.ZOMBIE:
            assert ordeal.fate.place in FREE_OF_THE_WAREHOUSE
        assert ordeal.step_back.total_seconds() < 30 * 60
    history = History(1)
    assert all(history.interlude().step_back.total_seconds() < 30 * 60 for _ in range(200))


def test_never_more_is_chosen_than_there_is():
    history = History(1)
    assert sorted(history.choose(5, 3)) == [0, 1, 2]
    assert history.choose(2, 0) == []
