create table if not exists {{ state }}.messages (
    message_id {{ text }} not null,
    entry_id {{ text }} not null,
    campaign_id {{ text }} not null,
    lead_id {{ text }} not null,
    arm {{ text }} not null,
    step_id {{ text }} not null,
    channel {{ text }} not null,
    attempt_class {{ text }} not null,
    address_hash {{ text }} not null,
    status {{ text }} not null,
    status_rank {{ bigint }} not null,
    batch_id {{ text }} not null,
    attempt_id {{ text }},
    claimed_at {{ timestamp }},
    lease_expires_at {{ timestamp }},
    attempting_at {{ timestamp }},
    accepted_at {{ timestamp }},
    settled_at {{ timestamp }},
    provider {{ text }},
    provider_message_id {{ text }},
    error_code {{ text }},
    error_class {{ text }},
    template_hash {{ text }} not null,
    body_hash {{ text }},
    segments {{ bigint }},
    cost {{ float }},
    time_zones {{ text }},
    window_opens_at {{ timestamp }} not null,
    planned_at {{ timestamp }} not null,
    expires_at {{ timestamp }} not null,
    run_id {{ text }} not null
){{ stored_by(["campaign_id", "status", "batch_id", "message_id"], month_of="planned_at") }};

-- Append-only provider truth, one row per natural key.
create table if not exists {{ state }}.message_events (
    event_key {{ text }} not null,
    message_id {{ text }},
    provider {{ text }} not null,
    event_type {{ text }} not null,
    provider_event {{ text }} not null,
    occurred_at {{ timestamp }} not null,
    received_at {{ timestamp }} not null,
    provider_message_id {{ text }},
    error_code {{ text }},
    address_hash {{ text }},
    is_human boolean,
    detail {{ text }},
    landing_file {{ text }} not null,
    recorded_at {{ timestamp }} not null
){{ stored_by(["message_id", "event_type"], month_of="recorded_at") }};

create table if not exists {{ state }}.contact_checks (
    address_hash {{ text }} not null,
    channel {{ text }} not null,
    is_usable boolean not null,
    reason {{ text }} not null,
    line_type {{ text }},
    time_zones {{ text }},
    cost {{ float }},
    checked_at {{ timestamp }} not null
);
