-- Append-only; expires_at null means it does not run out by itself.
create table if not exists {{ state }}.consents (
    consent_id {{ text }} not null,
    address_hash {{ text }} not null,
    lead_id {{ text }},
    channel {{ text }} not null,
    topic {{ text }} not null,
    action {{ text }} not null,
    wording_version {{ text }},
    source {{ text }} not null,
    evidence {{ text }},
    jurisdiction {{ text }},
    occurred_at {{ timestamp }} not null,
    expires_at {{ timestamp }},
    recorded_at {{ timestamp }} not null
);

-- Never deleted: lifted_at is set by a later consent row only.
create table if not exists {{ state }}.suppressions (
    address_hash {{ text }} not null,
    channel {{ text }} not null,
    topic {{ text }} not null,
    reason {{ text }} not null,
    source {{ text }} not null,
    event_key {{ text }},
    suppressed_at {{ timestamp }} not null,
    lifted_at {{ timestamp }},
    recorded_at {{ timestamp }} not null
);
