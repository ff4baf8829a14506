"""Journeys of any shape: the statements move every lead as a small interpreter of the steps says they should."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rekindle.campaigns.conditions import CONTEXT_FIELDS

SALT = "salt"
DAYS = (0, 0.5, 1, 3, 3.25, 7, 12, 30)  # when anybody looks
EMAIL = {"template": "probe.txt.j2", "subject": "Hello"}
TEXT = {"template": "nudge.txt.j2"}


@dataclass(frozen=True)
class Persona:
    """One lead: what is known, what it does and when (days), what it answers how long after being asked."""

    score: float
    plan: str | None
    renews_on: date | None
    events: tuple[tuple[str, float], ...]
    answer: tuple[str, float] | None


PERSONAS = (
    Persona(95, "pro", date(2026, 1, 17), (("used", 0.4), ("viewed", -2)), ("yes", 0.4)),
    Persona(85, "free", None, (("used", 2), ("viewed", 2.5)), ("no", 1)),
    Persona(70, None, date(2026, 1, 1), (("viewed", 0), ("used", 9)), ("yes", 1.5)),
    Persona(60, "team", date(2026, 2, 20), (), None),
    Persona(50, "pro", None, (("used", 3), ("used", 6)), ("later", 0.1)),
    Persona(40, "free", date(2026, 1, 13), (("viewed", 11.9),), ("no", 2.25)),
)

# --- steps, made at random

hours = st.sampled_from(["1h", "12h", "24h", "60h", "72h"])
events = st.sampled_from(["used", "viewed"])
conditions = st.one_of(
    st.builds(lambda event, within: {"event": event, "within": within}, events, hours),
    st.sampled_from(
        [
            {"field": "plan", "is": "pro"},
            {"field": "plan", "not_one_of": ["pro", "free"]},
            {"field": "renewal_on", "known": True},
            {"score": {"above": 60}},
            {"score": {"above": 45, "below": 86}},
            {"segment": "low_engagement"},
            {"segment": "another"},
        ]
    ),
)


def lists(of: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(of, max_size=2)


plain = st.one_of(
    st.builds(lambda duration: {"wait": duration}, hours),
    st.builds(
        lambda plus: {"wait": {"until_field": "renewal_on"} | ({"plus": plus} if plus else {})},
        st.sampled_from(["", "-3d", "36h"]),
    ),
    st.just({"tag": {"add": ["seen"]}}),
    st.just({"email": EMAIL}),
)


def nesting(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(
            lambda event, within, then, otherwise: {
                "wait_for": {"event": event, "within": within},
                "then": then,
                "otherwise": otherwise,
            },
            events,
            hours,
            lists(inner),
            lists(inner),
        ),
        st.builds(
            lambda cases, rest: {
                "branch": [{"when": when, "steps": steps} for when, steps in cases]
                + ([] if rest is None else [{"otherwise": True, "steps": rest}])
            },
            st.lists(st.tuples(conditions, lists(inner)), min_size=1, max_size=3),
            st.one_of(st.none(), lists(inner)),
        ),
        st.builds(
            lambda weights, steps: {
                "split": [
                    {"name": name, "weight": weight, "steps": each}
                    for name, weight, each in zip("abc", weights, steps, strict=False)
                ]
            },
            st.sampled_from([(1, 1, 1), (3, 1, 0), (0, 1, 2)]),
            st.lists(lists(inner), min_size=2, max_size=3),
        ),
        st.builds(
            lambda within, yes, no, otherwise: {
                "ask": {"sms": TEXT, "expect": {"yes": [], "no": []}, "within": within},
                "answers": {"yes": yes, "no": no},
                "otherwise": otherwise,
            },
            st.sampled_from(["12h", "24h", "60h"]),
            lists(inner),
            lists(inner),
            lists(inner),
        ),
    )


any_step = st.recursive(plain, nesting, max_leaves=6)
journeys = st.lists(any_step, min_size=1, max_size=3)


def named(steps: list[Any], prefix: str = "s") -> list[Any]:
    """The same steps with ids, unique over all lists."""
    found = []
    for number, step in enumerate(steps):
        step_id = f"{prefix}{number}"
        given = {"id": step_id} | step
        for place, key in enumerate(("then", "otherwise")):
            if isinstance(given.get(key), list):
                given[key] = named(given[key], f"{step_id}_{place}_")
        for kind in ("branch", "split"):
            if kind in given:
                given[kind] = [
                    option | {"steps": named(option["steps"], f"{step_id}_o{place}_")}
                    for place, option in enumerate(given[kind])
                ]
        if "answers" in given:
            given["answers"] = {
                answer: named(inner, f"{step_id}_{answer}_") for answer, inner in given["answers"].items()
            }
        found.append(given)
    return found


# --- the interpreter: it knows steps inside steps, and nothing of graphs, stages or statements


def moment(day: float) -> datetime:
    return datetime(2026, 1, 12, 18, tzinfo=UTC) + timedelta(days=day)


def length(text: str) -> timedelta:
    sign = -1 if text.startswith("-") else 1
    number, unit = int(text.lstrip("-")[:-1]), text[-1]
    return sign * number * {"h": timedelta(hours=1), "d": timedelta(days=1)}[unit]


@dataclass
class Walk:
    """One lead on its way. `ahead` are the steps to come, the nearest first."""

    persona: Persona
    campaign_id: str
    lead_id: str
    ahead: list[Any]
    reached: datetime
    tags: list[str] = field(default_factory=list)
    due: datetime | None = None  # of a date that was read
    accepted: datetime | None = None  # of the message of this step
    exited: datetime | None = None

    @property
    def stage(self) -> str:
        return "exited" if self.exited else str(self.ahead[0]["id"])

    def go(self, at: datetime, steps: list[Any] | None = None) -> None:
        self.ahead = [*(steps or []), *self.ahead[1:]]
        self.reached, self.due, self.accepted = at, None, None

    def look(self, now: datetime) -> None:
        """Go as far as one gets by now."""
        while not self.exited and self._step(self.ahead[0], now):
            pass

    def send(self, now: datetime) -> None:
        if not self.exited and self.accepted is None and {"email", "ask"} & self.ahead[0].keys():
            self.accepted = now

    def _step(self, step: Any, now: datetime) -> bool:
        before = (self.reached, len(self.ahead), self.ahead[0]["id"])
        if "end" in step:
            self.exited = self.reached
        elif "tag" in step:
            self.tags.append(step["id"])
            self.go(self.reached)
        elif "wait" in step:
            self._wait(step["wait"], now)
        elif "email" in step:
            if self.accepted is not None:
                self.go(self.accepted)
        elif "wait_for" in step:
            self._wait_for(step, now)
        elif "branch" in step:
            cases = (case for case in step["branch"] if case.get("otherwise") or self._holds(case["when"], now))
            self.go(self.reached, next(cases, {"steps": []})["steps"])
        elif "split" in step:
            self.go(self.reached, self._drawn(step))
        elif "ask" in step and self.accepted is not None:
            self._answer(step, self.accepted, now)
        return not self.exited and before != (self.reached, len(self.ahead), self.ahead[0]["id"])

    def _wait(self, wait: Any, now: datetime) -> None:
        if isinstance(wait, str):
            self.due = self.reached + length(wait)
        elif self.due is None:
            renewal = self.persona.renews_on
            day = datetime(renewal.year, renewal.month, renewal.day, tzinfo=UTC) if renewal else None
            self.due = max(self.reached, day + length(wait.get("plus", "0h"))) if day else self.reached
        if self.due <= now:
            self.go(self.due)

    def _wait_for(self, step: Any, now: datetime) -> None:
        until = self.reached + length(step["wait_for"]["within"])
        came = [moment(day) for event, day in self.persona.events if event == step["wait_for"]["event"]]
        came = sorted(at for at in came if self.reached < at <= min(until, now))
        if came:
            self.go(came[0], step["then"])
        elif until <= now:
            self.go(until, step["otherwise"])

    def _answer(self, step: Any, asked: datetime, now: datetime) -> None:
        until = asked + length(step["ask"]["within"])
        if self.persona.answer and self.persona.answer[0] in step["ask"]["expect"]:
            at = asked + timedelta(days=self.persona.answer[1])
            if at <= min(until, now):
                self.go(at, step["answers"][self.persona.answer[0]])
                return
        if until <= now:
            self.go(until, step["otherwise"])

    def _holds(self, when: Any, now: datetime) -> bool:
        if "event" in when:
            since = now - length(when["within"])
            return any(event == when["event"] and since <= moment(day) <= now for event, day in self.persona.events)
        if "score" in when:
            bounds = when["score"]
            return bounds.get("above", 0) < self.persona.score < bounds.get("below", 1000)
        if "segment" in when:
            return bool(when["segment"] == "low_engagement")
        if "known" in when:
            return self.persona.renews_on is not None
        if "is" in when:
            return self.persona.plan == when["is"]
        return self.persona.plan not in when["not_one_of"]

    def _drawn(self, step: Any) -> Any:
        text = f"{SALT}|{self.campaign_id}|{step['id']}|{self.lead_id}"
        draw = int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32
        total, upper = sum(way["weight"] for way in step["split"]), 0
        for way in step["split"]:
            upper += way["weight"]
            if way["weight"] and draw * 1_000_000 < upper * 1_000_000 // total:
                return way["steps"]
        return next(way["steps"] for way in reversed(step["split"]) if way["weight"])


# --- both, side by side


@pytest.fixture
def peopled(new_world):
    """A world with the personas in it; every example is a campaign of its own."""
    world = new_world()
    columns = {"text": "varchar", "date": "date", "number": "double"}
    described = ", ".join(f"{name} {columns[kind]}" for name, kind in CONTEXT_FIELDS.items())
    world.execute(f"create table if not exists rekindle_activation.sync_lead_context (lead_id varchar, {described})")
    world.execute(
        "create table if not exists rekindle_activation.sync_named_events"
        " (lead_id varchar, event_name varchar, occurred_at timestamp)"
    )
    leads = world.leads([{"cold_score": persona.score} for persona in PERSONAS])
    facts, events = [], []
    for lead, persona in zip(leads, PERSONAS, strict=True):
        known = {"lead_id": lead.lead_id, "plan": persona.plan, "renewal_on": persona.renews_on}
        facts.append({"lead_id": None} | dict.fromkeys(CONTEXT_FIELDS) | known)
        for name, day in persona.events:
            events.append({"lead_id": lead.lead_id, "event_name": name, "occurred_at": moment(day)})
    world.insert("rekindle_activation.sync_lead_context", *facts)
    world.insert("rekindle_activation.sync_named_events", *events)
    world.examples = 0
    return world, leads


def send(world, campaign, day):
    """What planner and sender would do: a message for everybody who stands on a send step and has none."""
    channels = {step.step_id: str(step.channel) for step in campaign.message_steps}
    standing = world.query(
        "select journeys.* from rekindle_state.journey_state as journeys"
        " left join rekindle_state.messages as messages"
        " on journeys.entry_id = messages.entry_id and journeys.stage = messages.step_id"
        " where journeys.campaign_id = $campaign_id and journeys.exit_reason is null and messages.entry_id is null",
        campaign_id=campaign.campaign_id,
    )
    rows = [
        {
            "message_id": f"{row['entry_id']}{row['stage']}",
            "entry_id": row["entry_id"],
            "campaign_id": campaign.campaign_id,
            "lead_id": row["lead_id"],
            "arm": row["arm"],
            "step_id": row["stage"],
            "channel": channels[row["stage"]],
            "attempt_class": "attempt-1",
            "address_hash": "hash",
            "status": "accepted",
            "status_rank": 50,
            "batch_id": "batch",
            "attempting_at": moment(day),
            "accepted_at": moment(day),
            "template_hash": "hash",
            "window_opens_at": moment(day),
            "planned_at": moment(day),
            "expires_at": moment(day + 1),
            "run_id": "test",
        }
        for row in standing
        if row["stage"] in channels
    ]
    if rows:
        world.insert("rekindle_state.messages", *rows)


def answer(world, campaign, leads, day):
    """The answers that have come by this day and were not told yet."""
    questions = [step.step_id for step in campaign.steps if step.kind == "ask"]
    persona_of = {lead.lead_id: persona for lead, persona in zip(leads, PERSONAS, strict=True)}
    known = set(world.values("select event_key from rekindle_state.question_answers"))
    rows = []
    for message in world.query(
        "select * from rekindle_state.messages where campaign_id = $campaign_id", campaign_id=campaign.campaign_id
    ):
        given = persona_of[message["lead_id"]].answer
        if message["step_id"] in questions and given and message["message_id"] not in known:
            at = message["accepted_at"] + timedelta(days=given[1])
            if at <= moment(day):
                place = {"entry_id": message["entry_id"], "step_id": message["step_id"], "answer": given[0]}
                rows.append(place | {"answered_at": at, "event_key": message["message_id"], "recorded_at": moment(day)})
    if rows:
        world.insert("rekindle_state.question_answers", *rows)


@given(journeys, st.lists(st.sampled_from(DAYS[1:]), unique=True, max_size=5))
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_leads_stand_where_the_steps_say(peopled, steps, days):
    world, leads = peopled
    world.examples += 1
    campaign_id = f"campaign_{world.examples}"
    steps = [*named(steps), {"id": "archive", "end": "archived"}]
    campaign = world.campaign_with(campaign_id, steps=steps, holdout={"share": 0.0, "salt": SALT})
    walks = {
        lead.lead_id: Walk(persona, campaign_id, lead.lead_id, list(steps), moment(0))
        for lead, persona in zip(leads, PERSONAS, strict=True)
    }
    world.freeze(0, campaign)
    for day in [0, *sorted(days)]:
        answer(world, campaign, leads, day)
        world.advance(day, campaign)
        send(world, campaign, day)
        world.advance(day, campaign)
        for walk in walks.values():
            walk.look(moment(day))
            walk.send(moment(day))
            walk.look(moment(day))
        found = world.query(
            "select lead_id, stage, stage_entered_at, exited_at from rekindle_state.journey_state"
            " where campaign_id = $campaign_id",
            campaign_id=campaign_id,
        )
        at = {row["lead_id"]: (row["stage"], row["exited_at"] or row["stage_entered_at"]) for row in found}
        assert at == {lead_id: (walk.stage, walk.exited or walk.reached) for lead_id, walk in walks.items()}
    tags = world.query(
        "select lead_id, step_id from rekindle_state.lead_tags where campaign_id = $campaign_id order by tagged_at",
        campaign_id=campaign_id,
    )
    for lead_id, walk in walks.items():
        assert sorted(walk.tags) == sorted(row["step_id"] for row in tags if row["lead_id"] == lead_id)
    assert world.verdicts([campaign])[1].holds
