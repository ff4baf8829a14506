-- What was told to a provider about whom: an opt-out learned elsewhere is pushed once, and this says that it was.
create table if not exists {{ state }}.opt_out_pushes (
    address_hash {{ text }} not null,
    channel {{ text }} not null,
    provider {{ text }} not null,
    provider_list {{ text }} not null,
    reason {{ text }} not null,
    suppressed_at {{ timestamp }} not null,
    pushed_at {{ timestamp }} not null,
    withdrawn_at {{ timestamp }},
    run_id {{ text }} not null
);

-- One row per text that a person has to answer. The words themselves are in the raw element that event_key names.
create table if not exists {{ state }}.reply_queue (
    event_key {{ text }} not null,
    address_hash {{ text }} not null,
    lead_id {{ text }},
    entry_id {{ text }},
    campaign_id {{ text }},
    reading {{ text }} not null,
    replied_at {{ timestamp }} not null,
    landing_file {{ text }} not null,
    queued_at {{ timestamp }} not null,
    told_at {{ timestamp }},
    handled_at {{ timestamp }},
    handled_by {{ text }},
    run_id {{ text }} not null
);

-- Working table: the numbers a provider says were given up on a day. Emptied in the transaction that applies them.
create table if not exists {{ state }}.deactivated_numbers (
    event_key {{ text }} not null,
    phone_hash {{ text }} not null,
    deactivated_at {{ timestamp }} not null,
    landing_file {{ text }} not null
);
