"""A campaign with every kind of step, exit and condition, and the statements that its journeys render."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rekindle.campaigns.models import Campaign
from rekindle.journey.cohort import freeze_cohort
from rekindle.journey.exits import end_by_exits
from rekindle.journey.moving import move_from
from rekindle.journey.versions import Standing, VersionInFlight, move_to_newest
from rekindle.run import Run
from rekindle.warehouse.dialect import DUCKDB
from rekindle.warehouse.statements import with_words

EMAIL = {"template": "probe.txt.j2", "subject": "Hello"}
STEPS: list[dict[str, Any]] = [
    {
        "id": "known",
        "branch": [
            {
                "when": {"event": "viewed", "within": "30d"},
                "steps": [{"id": "seen", "tag": {"add": ["seen"], "remove": ["cold"]}}],
            },
            {
                "when": {"score": {"above": 60.5, "below": 61.5}},
                "steps": [{"id": "near_renewal", "wait": {"until_field": "renewal_on", "plus": "-3d"}}],
            },
            {
                "when": {"field": "plan", "one_of": ["pro", "team"]},
                "steps": [{"id": "morning", "wait": {"until_local": "10:00"}}],
            },
            {"when": {"segment": "another"}, "steps": [{"id": "other", "end": "archived"}]},
            {"otherwise": True, "steps": []},
        ],
    },
    {
        "id": "proof",
        "split": [
            {"name": "story", "weight": 50, "steps": [{"id": "probe", "email": EMAIL}]},
            {"name": "sums", "weight": 50, "steps": [{"id": "sums", "email": EMAIL}]},
        ],
    },
    {
        "id": "decide",
        "wait_for": {"event": "used", "within": "24h"},
        "then": [{"id": "came", "end": "converted"}],
    },
    {
        "id": "question",
        "ask": {
            "sms": {"template": "nudge.txt.j2", "max_segments": 2},
            "expect": {"yes": ["sure"], "no": ["later"]},
            "within": "24h",
        },
        "answers": {
            "yes": [
                {"id": "tell_the_crm", "webhook": {"connection": "crm", "event": "wants_a_call"}},
                {"id": "handed_over", "end": "replied"},
            ],
            "no": [{"id": "leave_in_peace", "end": "archived"}],
        },
    },
    {"id": "a_week", "wait": "7d"},
    {"id": "archive", "end": "archived"},
]
#: What the file says beside its steps.
CHANGES: dict[str, Any] = {
    "steps": STEPS,
    "enter": {
        "activation_model": "sync_cold_leads",
        "audience": [{"field": "cold_score", "above": 60.1}, {"field": "country", "is_not": "FR"}],
        "re_entry": "never",
        "maximum_cohort_size": 2_000,
    },
    "variants": [{"name": "plain", "weight": 60}, {"name": "warm", "weight": 40}],
    "exits": [
        {"event": "subscription_started", "exit": "converted"},
        {"sql": "plan = 'enterprise' and cold_score > 60.25", "exit": "cancelled"},
    ],
}
#: Every comparison, of every kind of value; played nowhere, read by the gates.
AUDIENCE = [
    {"field": "plan", "is": "pro"},
    {"field": "plan", "is_not": "free"},
    {"field": "locale", "one_of": ["en", "de"]},
    {"field": "country", "not_one_of": ["US", "DE"]},
    {"field": "cold_score", "above": 60.5},
    {"field": "cold_score", "below": 90},
    {"field": "renewal_on", "above": "2026-01-01"},
    {"field": "last_ticket_on", "below": "2026-01-01"},
    {"field": "first_name", "known": True},
    {"field": "cart_item", "known": False},
]
CONDITIONS = [
    *AUDIENCE,
    {"event": "viewed", "within": "30d"},
    {"score": {"above": 80}},
    {"segment": "lapsed_buyer"},
    {"variant": "warm"},
    {"reply": "yes", "to": "asked_before"},
]
SQL_EXITS = [
    "not (plan like 'ent%' or locale in ('de', 'fr')) and renewal_on between date '2026-01-01' and date '2026-02-01'",
    "cart_item is null or cold_score <= -1.5 or last_product_viewed != country",
]


def acceptance(requests: int, run: Run) -> dict[str, Any]:
    """What an acceptance in so many requests binds."""
    proofs = {f"provider_message_id_{n}": f"proof {n}" for n in range(1, requests + 1)}
    ends = {f"last_message_id_{n}": f"message {n}" for n in range(1, max(requests, 2))}
    return {"now": run.as_of, "batch_id": "b", "attempt_id": "a"} | proofs | ends


class _Recorder:
    """A warehouse with nothing in it that remembers what it was asked."""

    dialect = DUCKDB

    def __init__(self) -> None:
        self.asked: dict[str, dict[str, Any]] = {}

    @contextmanager
    def transaction(self) -> Iterator[_Recorder]:
        yield self

    def execute(self, statement: str, /, **values: Any) -> int:
        self.asked.setdefault(statement, values)
        return 1

    def fetch(self, statement: str, /, **values: Any) -> list[dict[str, Any]]:
        self.asked.setdefault(statement, values)
        if statement == "audit/fetch_watermark":
            return [{"newest_as_of": None}]
        if statement == "journey/fetch_oldest_entry":
            return [{"under_way": 1, "entered_since": 1, "oldest_entered_at": values["since"]}]
        # somebody is offered, or nobody would be asked to enter
        return [{"lead_id": "somebody"}] if statement.startswith("cohort/list_an_offer") else []

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> int:
        return len(rows)


def rendered_statements(campaign_with: Any, run: Run) -> dict[str, dict[str, Any]]:
    """Statement with its words → the values bound to it, of the journeys of campaigns that say everything there is."""
    recorder = _Recorder()
    asked_before = {
        "id": "asked_before",
        "ask": {"sms": {"template": "nudge.txt.j2"}, "expect": {"yes": []}, "within": "24h"},
        "answers": {"yes": []},
    }
    cases = [{"when": when, "steps": []} for when in CONDITIONS]
    campaigns: list[Campaign] = [
        campaign_with(**CHANGES),
        campaign_with(
            steps=[asked_before, {"id": "known", "branch": cases}, {"id": "archive", "end": "archived"}],
            enter=CHANGES["enter"] | {"audience": AUDIENCE},
            variants=CHANGES["variants"],
            exits=[{"sql": sql, "exit": "cancelled"} for sql in SQL_EXITS],
        ),
        campaign_with(
            enter={"keyword": ["JOIN", "START"], "re_entry": "each_time", "maximum_cohort_size": 5},
            moves={"before": "probe", "archive": "archive"},
        ),
    ]
    for campaign in campaigns:
        freeze_cohort(recorder, campaign, run)  # type: ignore[arg-type]
        for step in campaign.steps:
            move_from(recorder, campaign, step, run, run.as_of)  # type: ignore[arg-type]
        for batch_id in (None, "batch"):
            end_by_exits(recorder, campaign, run, batch_id)  # type: ignore[arg-type]
    older = campaign_with(steps=[{"id": "before", "email": EMAIL}, {"id": "archive", "end": "archived"}])
    flying = [VersionInFlight(each, {step: Standing(1, None)}) for each, step in ((older, "before"),)]
    move_to_newest(recorder, campaigns[-1], flying, run)  # type: ignore[arg-type]
    for context in ("", "joined"):
        recorder.fetch(with_words("dispatch/list_due_messages", context=context), batch_id="b", now=run.as_of)
    for requests in ("1", "3"):
        recorder.execute(with_words("dispatch/record_acceptance", requests=requests), **acceptance(int(requests), run))
    recorder.fetch(with_words("backtest/list_columns", schema="rekindle_state"), table="erasures")
    recorder.fetch(with_words("report/fetch_scores_age", activation_model="sync_cold_leads"))
    return recorder.asked
