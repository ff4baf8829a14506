-- What a provider told about messages that are not ours (the account sends other mail too): counted, and kept apart.
create table if not exists {{ state }}.foreign_events (
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
);
