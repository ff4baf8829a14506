-- Append-only: what people chose about being written to, with its evidence. Consents and caps follow from it.
create table if not exists {{ state }}.preferences (
    choice_id {{ text }} not null,
    event_key {{ text }} not null,
    message_id {{ text }},
    address_hash {{ text }} not null,
    address_channel {{ text }} not null,
    channel {{ text }} not null,
    topic {{ text }} not null,
    choice {{ text }} not null,
    wording_version {{ text }},
    source {{ text }} not null,
    evidence {{ text }} not null,
    jurisdiction {{ text }},
    occurred_at {{ timestamp }} not null,
    landing_file {{ text }} not null,
    recorded_at {{ timestamp }} not null
);

-- The choices of the landing files being loaded: emptied in the transaction that applies them.
create table if not exists {{ state }}.incoming_preferences (
    choice_id {{ text }} not null,
    event_key {{ text }} not null,
    message_id {{ text }},
    address_hash {{ text }} not null,
    address_channel {{ text }} not null,
    channel {{ text }} not null,
    topic {{ text }} not null,
    choice {{ text }} not null,
    wording_version {{ text }},
    source {{ text }} not null,
    evidence {{ text }} not null,
    jurisdiction {{ text }},
    occurred_at {{ timestamp }} not null,
    landing_file {{ text }} not null
);

-- Sign-ups through the company's own forms, one row per form and channel, with the address and the link to confirm.
create table if not exists {{ raw }}.opt_ins (
    opt_in_id {{ text }} not null,
    channel {{ text }} not null,
    user_id {{ text }},
    address {{ text }} not null,
    address_hash {{ text }} not null,
    topics {{ text }} not null,
    wording_version {{ text }} not null,
    form {{ text }} not null,
    first_name {{ text }},
    time_zone {{ text }},
    country {{ text }},
    locale {{ text }},
    is_double_opt_in boolean not null,
    confirm_token {{ text }},
    consented_at {{ timestamp }} not null,
    received_at {{ timestamp }} not null,
    landing_file {{ text }} not null,
    loaded_at {{ timestamp }} not null
);
