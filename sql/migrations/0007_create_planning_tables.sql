-- The time zones a number may be in by its numbering plan: evidence for leads whose profile names no zone.
create table if not exists {{ state }}.number_time_zones (
    phone_hash {{ text }} not null,
    time_zones {{ text }},
    determined_at {{ timestamp }} not null
);

-- The send window that was computed for each set of candidate time zones, kept as the evidence of the decision.
create table if not exists {{ state }}.send_windows (
    campaign_id {{ text }} not null,
    channel {{ text }} not null,
    as_of {{ timestamp }} not null,
    profile_time_zone {{ text }},
    phone_time_zones {{ text }},
    country {{ text }},
    time_zones {{ text }},
    window_opens_at {{ timestamp }},
    window_closes_at {{ timestamp }}
);

-- Working table of one planning pass: every due entry at a send step with its verdict. Emptied per campaign by the next
-- pass.
create table if not exists {{ state }}.due_entries (
    entry_id {{ text }} not null,
    campaign_id {{ text }} not null,
    lead_id {{ text }} not null,
    person_id {{ text }} not null,
    arm {{ text }} not null,
    step_id {{ text }} not null,
    channel {{ text }} not null,
    attempt_class {{ text }} not null,
    address_hash {{ text }},
    verdict {{ text }} not null,
    reason {{ text }} not null,
    time_zones {{ text }},
    window_opens_at {{ timestamp }},
    window_closes_at {{ timestamp }},
    next_due_at {{ timestamp }}
);

-- The chunk an attempt is about to send, and what came of it: emptied as soon as it is applied to messages.
create table if not exists {{ state }}.attempt_chunks (
    attempt_id {{ text }} not null,
    message_id {{ text }} not null,
    body_hash {{ text }} not null,
    segments {{ bigint }} not null
);

create table if not exists {{ state }}.attempt_outcomes (
    attempt_id {{ text }} not null,
    message_id {{ text }} not null,
    status {{ text }} not null,
    status_rank {{ bigint }} not null,
    provider_message_id {{ text }},
    error_code {{ text }},
    error_class {{ text }},
    suppression_reason {{ text }},
    reason {{ text }},
    next_due_at {{ timestamp }}
);

-- The events of the landing files being loaded: emptied in the transaction that applies them.
create table if not exists {{ state }}.incoming_events (
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
    landing_file {{ text }} not null
);
