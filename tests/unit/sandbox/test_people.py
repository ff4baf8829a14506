"""The made-up people: deterministic, of the promised sizes, and never ahead of time."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.sandbox import people
from rekindle.sandbox.people import Dice, ReactionKind, Unreliability
from rekindle.vocabulary import LineType

START = 1_784_397_600
MANY = 20_000


def deliveries(seed: int = 3) -> list[list[people.MailEvent]]:
    return [people.mail_delivery(seed, f"p{n}@mail.example", f"m{n}", START) for n in range(MANY)]


class TestDice:
    @given(st.integers(), st.text(max_size=20), st.text(max_size=20))
    def test_a_draw_depends_on_its_name_only(self, seed, part, name):
        dice = Dice.of(seed, part)
        first = dice.unit(name)
        dice.unit("another")
        assert 0 <= first < 1
        assert first == Dice.of(seed, part).unit(name)

    @given(st.text(max_size=9), st.integers(-50, 50), st.integers(0, 100))
    def test_between_stays_between(self, name, low, width):
        assert low <= Dice.of(1, "x").between(name, low, low + width) <= low + width

    def test_is_even(self):
        tenths = Counter(int(Dice.of(5, str(n)).unit("x") * 10) for n in range(MANY))
        assert all(abs(count / MANY - 0.1) < 0.01 for count in tenths.values())


class TestMail:
    def test_shares(self):
        ends = Counter(events[-1].fields.get("type") or events[-1].event for events in deliveries())
        assert ends["bounce"] / MANY == pytest.approx(0.03, abs=0.005)
        assert ends["blocked"] / MANY == pytest.approx(0.01, abs=0.003)
        assert 0 < ends["dropped"] + ends["expired"] < 0.005 * MANY
        assert ends["delivered"] / MANY > 0.95
        assert set(ends) == {"bounce", "blocked", "dropped", "expired", "delivered"}

    def test_a_dead_mailbox_stays_dead_whatever_is_sent(self):
        dead = [n for n, events in enumerate(deliveries()) if events[-1].fields.get("type") == "bounce"]
        again = [people.mail_delivery(3, f"P{n}@mail.example", f"other-{n}", START + 9)[-1] for n in dead]
        assert {event.fields["type"] for event in again} == {"bounce"}

    def test_time_runs_forward_within_seconds_to_minutes_or_the_72_hours_of_a_deferral(self):
        for events in deliveries():
            instants = [event.at for event in events]
            assert START < instants[0] <= START + 5
            assert instants == sorted(instants)
            limit = 73 * 3600 if any(event.event == "deferred" for event in events) else 15 * 60
            assert instants[-1] - START <= limit
            assert events[0].event in {"processed", "dropped"}

    def test_attempts_of_a_deferral_are_numbered(self):
        deferred = [events for events in deliveries() if any(event.event == "deferred" for event in events)]
        assert deferred
        for events in deferred:
            attempts = [int(event.fields["attempt"]) for event in events if event.event == "deferred"]
            assert attempts == list(range(1, len(attempts) + 1))

    def test_reactions(self):
        drawn = [people.mail_reactions(3, f"p{n}@mail.example", f"m{n}", START) for n in range(MANY)]
        count = Counter(reaction.kind for reactions in drawn for reaction in reactions)
        assert count[ReactionKind.CLICK] / MANY == pytest.approx(0.05, abs=0.006)
        assert count[ReactionKind.SCAN] / MANY == pytest.approx(0.05, abs=0.006)
        assert count[ReactionKind.UNSUBSCRIBE] / MANY == pytest.approx(0.007, abs=0.002)
        assert count[ReactionKind.COMPLAIN] / MANY == pytest.approx(0.0015, abs=0.001)
        clicks = [reaction for reactions in drawn for reaction in reactions if reaction.kind is ReactionKind.CLICK]
        assert sum(click.signs_in_after is not None for click in clicks) / len(clicks) == pytest.approx(0.5, abs=0.07)
        assert all(3600 <= click.at - START <= 3 * 86400 for click in clicks)
        scans = [reaction for reactions in drawn for reaction in reactions if reaction.kind is ReactionKind.SCAN]
        assert all(1 <= scan.at - START <= 20 and scan.text in {"HEAD", "GET"} for scan in scans)

    def test_who_clicks_has_opened(self):
        for n in range(2000):
            kinds = {r.kind: r.at for r in people.mail_reactions(3, f"p{n}@x.example", f"m{n}", START)}
            if ReactionKind.CLICK in kinds:
                assert kinds[ReactionKind.OPEN] < kinds[ReactionKind.CLICK]


class TestTexts:
    def test_line_types(self):
        kinds = Counter(people.line_type(3, f"+1415{2000000 + n}") for n in range(MANY))
        assert kinds[LineType.MOBILE] / MANY == pytest.approx(0.88, abs=0.01)
        assert kinds[LineType.NON_FIXED_VOIP] / MANY == pytest.approx(0.04, abs=0.006)
        assert kinds[LineType.LANDLINE] / MANY == pytest.approx(0.06, abs=0.006)

    def test_failures(self):
        codes: Counter[int | None] = Counter()
        for n in range(MANY):
            number = f"+1415{2000000 + n}"
            last = people.sms_delivery(3, number, f"t{n}", START)[-1]
            codes[last.error_code] += 1
            assert (last.error_code == 30006) == (people.line_type(3, number) is LineType.LANDLINE)
            assert (last.status == "undelivered") == (last.error_code is not None)
        others = sum(count for code, count in codes.items() if code not in {None, 30006})
        assert others / (MANY - codes[30006]) == pytest.approx(0.02, abs=0.004)
        assert set(codes) == {None, 30003, 30005, 30006, 30007, 30008}

    def test_replies(self):
        replies = [
            reaction
            for n in range(MANY)
            for reaction in people.sms_reactions(3, f"+1415{2000000 + n}", f"t{n}", START)
            if reaction.kind is ReactionKind.REPLY
        ]
        stops = [reply for reply in replies if reply.text in people.STOP_REPLIES]
        assert len(stops) / MANY == pytest.approx(0.02, abs=0.004)
        assert (len(replies) - len(stops)) / MANY == pytest.approx(0.01, abs=0.003)


class TestPostings:
    def test_reliable_webhooks_post_once_at_once(self):
        reliable = Unreliability(0, 0, 0)
        assert all(people.postings(1, str(n), reliable) == [people.Posting(0)] for n in range(200))

    def test_shares_and_bounds(self):
        shares = Unreliability(late=0.02, repeated=0.05, overtaken=0.03)
        drawn = [people.postings(1, str(n), shares) for n in range(MANY)]
        first = [postings[0].lag for postings in drawn]
        assert sum(lag >= 7200 for lag in first) / MANY == pytest.approx(0.02, abs=0.004)
        assert sum(0 < lag < 7200 for lag in first) / MANY == pytest.approx(0.03, abs=0.005)
        twice = [postings for postings in drawn if len(postings) == 2]
        assert len(twice) / MANY == pytest.approx(0.05, abs=0.006)
        assert sum(second.renamed for _, second in twice) / len(twice) == pytest.approx(1 / 3, abs=0.05)
        assert all(first.lag < second.lag <= first.lag + 29 * 3600 and not first.renamed for first, second in twice)
