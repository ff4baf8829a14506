create table if not exists {{ state }}.journey_entries (
    entry_id {{ text }} not null,
    campaign_id {{ text }} not null,
    journey_version {{ text }} not null,
    lead_id {{ text }} not null,
    person_id {{ text }} not null,
    arm {{ text }} not null,
    variant {{ text }},
    cohort_date date not null,
    entered_at {{ timestamp }} not null,
    cold_score {{ float }} not null,
    score_contributions {{ text }} not null,
    segment {{ text }},
    email_hash {{ text }},
    phone_hash {{ text }},
    run_id {{ text }} not null
);

-- Append-only. `sequence` counts from 1 within an entry; the last row of an entry is its state.
create table if not exists {{ state }}.journey_transitions (
    entry_id {{ text }} not null,
    campaign_id {{ text }} not null,
    sequence {{ bigint }} not null,
    from_stage {{ text }},
    to_stage {{ text }} not null,
    reason {{ text }} not null,
    due_at {{ timestamp }},
    exit_reason {{ text }},
    happened_at {{ timestamp }} not null,
    recorded_at {{ timestamp }} not null,
    run_id {{ text }} not null
){{ stored_by(["campaign_id", "entry_id"], month_of="happened_at") }};

create table if not exists {{ state }}.journey_state (
    entry_id {{ text }} not null,
    campaign_id {{ text }} not null,
    lead_id {{ text }} not null,
    person_id {{ text }} not null,
    arm {{ text }} not null,
    stage {{ text }} not null,
    stage_entered_at {{ timestamp }} not null,
    due_at {{ timestamp }},
    exit_reason {{ text }},
    exited_at {{ timestamp }},
    last_sequence {{ bigint }} not null,
    updated_at {{ timestamp }} not null
){{ stored_by(["campaign_id", "stage", "due_at"]) }};

create table if not exists {{ state }}.decisions (
    entry_id {{ text }} not null,
    message_id {{ text }},
    campaign_id {{ text }} not null,
    lead_id {{ text }} not null,
    step_id {{ text }} not null,
    channel {{ text }} not null,
    reason {{ text }} not null,
    detail {{ text }},
    decided_at {{ timestamp }} not null,
    next_due_at {{ timestamp }},
    run_id {{ text }} not null
){{ stored_by(["campaign_id", "message_id"], month_of="decided_at") }};
