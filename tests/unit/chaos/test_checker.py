"""Each promise is broken by one small story, and by no other."""

from __future__ import annotations

import pytest

from rekindle.chaos.checker import Accepted, Evidence, check
from rekindle.chaos.report import Story
from rekindle.invariants import Verdict

HOLDS = Verdict(2, "no message is accepted twice", 0, 10, "sends")


def row(message_id, status="delivered", **words):
    return {
        "message_id": message_id,
        "entry_id": f"entry of {message_id}",
        "lead_id": f"lead of {message_id}",
        "step_id": "probe",
        "channel": "email",
        "arm": "treatment",
        "status": status,
        "deferrals": 0,
    } | words


def story(accepted, ledger, **words):
    defaults = {
        "accepted": [Accepted(one, f"address of {one}") for one in accepted],
        "ledger": ledger,
        "held_out": frozenset(),
        "permitted": {},
        "ever_unknown": frozenset(),
        "verdicts": [HOLDS],
    }
    return Evidence(**defaults | words)


GOOD = [row("a"), row("b", "aged_out"), row("c", "expired"), row("d", "withheld", arm="holdout"), row("e", "failed")]


def test_a_good_story_holds():
    assert check(story(["a"], GOOD)).hold


@pytest.mark.parametrize(
    ("evidence", "broken"),
    [
        (story(["a", "a"], [row("a")]), "duplicates"),
        (story(["a", "b"], [row("a", entry_id="x"), row("b", entry_id="x")]), "duplicates"),
        (story(["a"], [row("a"), row("b", "planned")]), "lost"),
        (story(["a"], [row("a"), row("b", "unknown")]), "lost"),
        (story(["a"], [row("a"), row("b", "claimed")]), "lost"),
        (story(["a"], [row("a"), row("b", "attempting")]), "lost"),
        (story(["a"], [row("a")], permitted={"lead of a": frozenset()}), "after_exit"),
        (story(["a"], [row("a")], held_out=frozenset({"address of a"})), "to_holdout"),
        (story(["a"], [row("a", "aged_out")]), "unproved"),
        (story(["a"], []), "unproved"),
        (story([], [row("a")]), "invented"),
        (story([], [], verdicts=[Verdict(5, "caps hold", 3, 9, "sends")]), "broken_invariants"),
    ],
)
def test_a_broken_promise_is_named(evidence, broken):
    findings = check(evidence)
    assert not findings.hold
    assert {name for name in vars(findings) if getattr(findings, name)} == {broken}


def test_what_had_left_before_an_opt_out_is_no_violation():
    assert check(story(["a"], [row("a")], permitted={"lead of a": frozenset({"a"})})).hold


def test_the_story_counts_each_message_where_it_ended():
    ledger = [*GOOD, row("f", deferrals=2)]
    fates = Story.of(story(["a", "f"], ledger, ever_unknown=frozenset({"b", "f"}))).fates
    assert dict(fates) == {
        "planned": 5,
        "sent": 2,
        "refused": 1,
        "expired or no longer wanted": 1,
        "deferred at least once": 1,
        "unknown at some time": 2,
        "unknown, then settled": 1,
        "unknown, then aged out": 1,
        "withheld from the holdout": 1,
    }
