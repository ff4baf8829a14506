"""What five days do not bring about: every other statement of `sql/queries`, over what the days have left."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from rekindle.identity import address_hash, stable_id
from rekindle.warehouse.dialect import DUCKDB
from rekindle.warehouse.statements import unbound_statement, with_words

#: What `rekindle backtest` makes for itself. Not in a transaction: BigQuery makes no table in one, Snowflake ends it.
DEFINITIONS = (
    "backtest/create_seed_schema",
    "backtest/create_score_weights",
    "backtest/create_score_thresholds",
    "backtest/create_score_plan_presets",
)
ASKED = ("lead-001", "lead-002", "lead-014")
HASHED = address_hash("person1@mail.example")

Asked = Iterator[tuple[str, dict[str, Any]]]


def run_the_rest(world: Any) -> None:
    """Run what the days do not: the statements that read, then one after the other those that write."""
    for name in DEFINITIONS:
        world.warehouse.run_statement(name)
    fill(world)
    for name, values in reads(world):
        with world.warehouse.transaction() as transaction:
            transaction.fetch(name, **_only(name, values))
    for name, values in writes(world):
        with world.warehouse.transaction() as transaction:
            transaction.execute(name, **_only(name, values))


def _only(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """The values that this statement binds."""
    return {told: values[told] for told in DUCKDB.parameters(unbound_statement(DUCKDB, name))}


def fill(world: Any) -> None:
    """What dbt makes, and what operators and providers bring."""
    now = world.at(6)
    people = [{"lead_id": f"lead-{number:03d}", "segment": "lapsed_buyer"} for number in range(4)]
    for number, person in enumerate(people):
        score = {"is_cold": number > 1, "cold_score": 60.0 + number / 3}
        world.insert("rekindle_marts.fct_cold_scores", {**person, **score, "scored_as_of": now})
        world.insert("rekindle_marts.scores_before", {**person, **score, "is_cold": number > 2})
        world.insert(
            "rekindle_intermediate.int_leads_scored",
            {"lead_id": person["lead_id"], "cold_score": score["cold_score"], "last_seen_age_days": number + 0.25},
        )
        world.insert(
            "rekindle_staging.base_app__event_arrivals",
            {
                "event_id": f"event-{number}",
                "lead_id": person["lead_id"],
                "occurred_at": world.at(number - 1.5),
                "event_kind": "log_in",
            },
        )
        world.insert(
            "rekindle_marts.fct_journey_entries",
            {
                "entry_id": f"entry-{number}",
                "lead_id": person["lead_id"],
                "arm": "treatment",
                "attribution_window_days": 30,
                "is_matured_in_window": True,
                "is_reactivated_in_window": number > 1,
                "is_matured_30d": True,
                "is_reactivated_30d": number > 1,
                "entered_at": world.at(-40),
                "first_life_sign_at": world.at(-40 + number / 3),
            },
        )
    world.insert("rekindle_marts.reactivation_by_campaign", {"campaign_id": world.campaign.campaign_id})
    world.insert(
        "rekindle_raw.events",
        *(
            {
                "event_id": f"event-{number}",
                "user_id": f"lead-{number % 2:03d}",
                "event_type": ["login", "purchase"][number % 2],
                "occurred_at": world.at(-number),
                "loaded_at": now,
                "properties": None,
                "source_file": "app_events/file",
                "source_row": number,
                "is_made_up": True,
            }
            for number in range(3)
        ),
    )
    world.insert(
        "rekindle_raw.rejects",
        {
            "source_table": "users",
            "source_file": "users.csv",
            "source_row": 2,
            "column_name": None,
            "reason": "no id",
            "remedy": "give one",
            "loaded_at": now,
        },
    )
    world.insert(
        "rekindle_state.opt_out_pushes",
        {
            "address_hash": HASHED,
            "channel": "email",
            "provider": "sendgrid",
            "provider_list": "group 7",
            "reason": "unsubscribed",
            "suppressed_at": world.at(2),
            "pushed_at": world.at(3),
            "run_id": "pushed",
        },
    )
    # who was pushed came back by the preference page
    back = world.query("select * from rekindle_state.consents order by consent_id limit 1")[0]
    world.insert(
        "rekindle_state.consents",
        {
            **back,
            "consent_id": "back",
            "address_hash": HASHED,
            "source": "preference_page",
            "occurred_at": world.at(4),
            "recorded_at": world.at(4),
        },
    )
    world.insert(
        "rekindle_state.deactivated_numbers",
        {
            "event_key": "gone",
            "phone_hash": address_hash("+14155550002"),
            "deactivated_at": world.at(5),
            "landing_file": "deactivations/day",
        },
    )
    world.insert(
        "rekindle_state.decisions",
        {
            "entry_id": "entry-1",
            "lead_id": "lead-001",
            "campaign_id": world.campaign.campaign_id,
            "step_id": "probe",
            "channel": "email",
            "reason": "breaker_open",
            "detail": "too many bounces",
            "decided_at": now,
            "next_due_at": world.at(8),
            "run_id": "held",
        },
    )
    # a text whose end nobody knows, one that is still open, and what is planned for a day that does not come
    texts = world.query("select * from rekindle_state.messages where channel = 'sms' order by message_id limit 1")
    mails = world.query(
        "select * from rekindle_state.messages where channel = 'email' and arm = 'treatment'"
        " order by message_id limit 3"
    )
    batch = {"batch_id": "rest", "run_id": "rest", "expires_at": world.at(9), "attempt_id": None}
    world.insert(
        "rekindle_state.messages",
        {**texts[0], "message_id": "unknown-text", "status": "unknown", "status_rank": 40, "accepted_at": None},
        {
            **texts[0],
            "message_id": "open-text",
            "status": "accepted",
            "accepted_at": world.at(5.5),
            "provider": "twilio",
        }
        | {"provider_message_id": "SM-open"},
        *(
            {**mail, **batch, "message_id": f"planned-{number}", "status": "planned", "status_rank": 10}
            | {"planned_at": now, "accepted_at": None}
            for number, mail in enumerate(mails)
        ),
        {**mails[0], **batch, "message_id": "refused", "status": "attempting", "attempt_id": "tried"}
        | {"batch_id": "tried", "status_rank": 30, "address_hash": HASHED, "attempting_at": now},
    )
    world.insert(
        "rekindle_state.attempt_chunks",
        {"attempt_id": "tried", "message_id": "refused", "body_hash": "-", "segments": 1},
    )
    world.insert(
        "rekindle_state.attempt_outcomes",
        {
            "attempt_id": "tried",
            "message_id": "refused",
            "status": "failed",
            "status_rank": 90,
            "reason": "invalid_email",
            "error_code": "400",
            "suppression_reason": "hard_bounced",
        },
    )
    # a line that nobody can read
    world.land("sendgrid_events", world.line(now, "this is no JSON"))
    world.ingest(6)


def of_run(world: Any, day: int) -> dict[str, Any]:
    """What most statements bind."""
    run = world.run(day)
    return {
        "campaign_id": world.campaign.campaign_id,
        "journey_version": world.campaign.journey_version,
        "run_id": run.run_id,
        "as_of": run.as_of,
        "recorded_at": run.recorded_at,
        "now": world.at(6),
        "since": world.at(0),
        "until": world.at(6),
        "seconds_of_day": 18 * 3_600,
    }


def reads(world: Any) -> Asked:
    """Statements that return rows."""
    first_day, last_day = of_run(world, 0), of_run(world, 5)
    (letter,) = world.query("select distinct landing_file from rekindle_raw.dead_letters")
    yield from (
        (name, last_day)
        for name in (
            *("audit/count_state_tables", "audit/list_migrations", "backtest/fetch_last_scored_as_of"),
            *("backtest/list_changed_sides", "backtest/list_event_types", "chaos/count_statuses", "chaos/list_ledger"),
            *("ingest/count_dead_letters", "journey/fetch_version", "journey/list_webhook_calls"),
            *("plan/list_due_steps", "replies/list_untold_replies"),
            *("replies/list_waiting_replies", "report/count_leads"),
            *("report/list_accepted_messages", "report/list_campaign_sends", "report/list_cohort_sizes"),
            *("report/list_decisions", "report/list_deferrals", "report/list_exits", "report/list_funnel"),
            *("report/list_holdout_addresses", "report/list_message_exits", "report/list_messages"),
            *("report/list_opt_outs", "report/list_reactivation", "report/list_rejects", "report/list_returns"),
            *("report/list_upcoming_steps", "stops/list_stops", "plan/list_campaign_turns"),
        )
    )
    for seconds in (0, 86_400):
        yield "plan/list_daily_cohorts", last_day | {"seconds_of_day": seconds}
    for values in (first_day, last_day):
        for name in (
            *("plan/count_planned_messages", "report/list_entrants", "report/list_entrant_samples"),
            *("report/list_planned_messages", "report/list_run_decisions", "report/list_run_moves"),
            "report/list_send_hours",
        ):
            yield name, values
    for lead_id in ASKED:
        for name in (
            "list_similar_leads",
            "fetch_lead",
            "fetch_lead_contact",
            "list_lead_history",
            "list_lead_standing",
        ):
            yield f"report/{name}", {"lead_id": lead_id}
    for any_activity in (False, True):
        yield "backtest/list_scored_leads", last_day | {"as_of": world.at(0), "any_activity": any_activity}
    yield with_words("report/fetch_scores_age", activation_model="sync_cold_leads"), last_day
    yield with_words("backtest/list_columns", schema="rekindle_state"), {"table": "ERASURES"}
    for name in ("list_attempting_messages", "list_claimed_messages"):
        yield f"dispatch/{name}", {"batch_id": "tried", "attempt_id": "tried"}
    for provider in ("sendgrid", "twilio"):
        yield "governor/count_receipts", last_day | {"provider": provider}
    for reason in (None, "no such reason"):
        yield "ingest/list_dead_letters", {"reason": reason}
    for landing_file in ("app_events/file", letter["landing_file"]):
        for name in ("ingest/list_elements", "ingest/list_tracked_events"):
            yield name, {"landing_file": landing_file}
    yield "sync/list_open_texts", {"accepted_after": world.at(0), "accepted_before": world.at(6), "at_most": 2}
    for provider in ("sendgrid", "twilio"):
        listed = {"provider": provider, "provider_list": "group 7"}
        yield "sync/list_pushed_addresses", listed
        yield "sync/list_withdrawable_emails", listed
        yield "sync/list_unpushed_emails", listed
        yield "sync/list_unpushed_numbers", listed


def writes(world: Any) -> Asked:
    """Statements that change rows; each finds what the one before has left."""
    told = of_run(world, 6)
    letter = world.query(
        "select landing_file, line_number, element_number from rekindle_raw.dead_letters order by line_number limit 1"
    )[0]
    reply = world.query("select event_key from rekindle_state.reply_queue order by event_key limit 1")[0]
    calls = world.query("select call_id from rekindle_state.webhook_calls order by call_id limit 1")
    batch = told | {
        "batch_id": "rest",
        "attempt_id": None,
        "next_due_at": world.at(7),
        "detail": "told",
        "reason": "held",
    }
    tried = told | {"batch_id": "tried", "attempt_id": "tried", "detail": "told"}
    yield "audit/insert_migration", {"migration": "9999", "sha256": "-", "applied_at": told["now"]}
    yield "governor/insert_hold_decisions", batch
    yield "governor/free_held_messages", told | {"channel": "email"}
    yield "dispatch/insert_stop_decisions", batch
    yield "dispatch/insert_outcome_decisions", tried
    yield "dispatch/insert_outcome_suppressions", tried
    yield "dispatch/record_outcomes", tried
    yield "dispatch/delete_attempt_outcomes", tried
    yield "chaos/cut_batches", {"batch_size": 2, "planned_at": world.at(6)}
    yield "reconcile/settle_found_text", told | {"message_id": "unknown-text", "provider_message_id": "SM-found"}
    yield "ingest/delete_dead_letter", letter
    yield "ingest/recount_landing_file", letter
    yield "sync/insert_incoming_deactivations", told
    yield "sync/delete_deactivated_numbers", {}
    yield "sync/mark_push_withdrawn", told | {"address_hash": HASHED, "provider_list": "group 7"}
    yield "replies/mark_reply_told", told | reply
    yield "replies/mark_reply_handled", told | reply | {"handled_by": "somebody"}
    for call in calls:
        yield (
            "journey/mark_webhook_call",
            call | {"status": "told", "attempts": 1, "next_attempt_at": None, "error": None, "told_at": told["now"]},
        )
    answered = {"answer": "no", "answered_by": "somebody", "answered_at": told["now"], "question": "May it be sent?"}
    yield "plan/insert_approval", told | answered
    standing = world.query(
        "select stage, count(*) as entries from rekindle_state.journey_state where exit_reason is null"
        " and arm = 'treatment' group by stage order by stage"
    )
    late = told | {"as_of": world.at(40), "answered_by": "somebody", "channel": "email"}
    for row in standing:
        yield "plan/insert_rejection_decisions", late | {"step_id": row["stage"]}
    for campaign_id, rank in ((world.campaign.campaign_id, 1), ("another", 5)):
        yield "plan/insert_campaign_turn", late | {"campaign_id": campaign_id, "priority_rank": rank}
    # another campaign, of a higher rank, wants to write to the same persons
    entries = world.query(
        "select * from rekindle_state.journey_state where exit_reason is null order by entry_id limit 3"
    )
    for row in entries:
        other = {"entry_id": stable_id("another", row["lead_id"]), "campaign_id": "another"}
        world.insert("rekindle_state.journey_state", row | other)
        (entry,) = world.query(
            "select * from rekindle_state.journey_entries where entry_id = $entry_id", entry_id=row["entry_id"]
        )
        world.insert("rekindle_state.journey_entries", entry | other)
    begun = {"day_begins_at": late["as_of"] - timedelta(hours=18), "oldest_entered_at": world.at(-1)}
    yield "plan/insert_lost_turns", late | begun
    yield with_words("journey/insert_version_moves", stages="decide.choose"), told | {"journey_version": "newer"}
    stop = {"stop_id": "stop", "scope": "campaign", "name": "another", "mode": "cancel", "reason": "told to"}
    for name in ("another", None):
        yield "stops/insert_stop", stop | {"name": name, "set_by": "somebody", "set_at": told["now"]}
        yield "stops/lift_stops", stop | {"name": name, "lifted_by": "somebody", "lifted_at": told["now"]}
    for stage in ("question", None):
        yield "stops/insert_cancelled_transitions", told | {"stage": stage}
