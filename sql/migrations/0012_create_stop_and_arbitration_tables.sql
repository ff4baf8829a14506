-- What a person stopped, by hand; in force until it is lifted. `name` is null for everything.
create table if not exists {{ state }}.stops (
    stop_id {{ text }} not null,
    scope {{ text }} not null,
    name {{ text }},
    mode {{ text }} not null,
    reason {{ text }} not null,
    set_by {{ text }} not null,
    set_at {{ timestamp }} not null,
    lifted_at {{ timestamp }},
    lifted_by {{ text }}
);

-- Append-only: which campaigns took part in the tick of an instant, and with which priority.
create table if not exists {{ state }}.campaign_turns (
    campaign_id {{ text }} not null,
    as_of {{ timestamp }} not null,
    priority {{ bigint }} not null,
    run_id {{ text }} not null
);

-- The entries whose person another campaign won at that instant: the same for whoever asks first.
create table if not exists {{ state }}.lost_turns (
    as_of {{ timestamp }} not null,
    entry_id {{ text }} not null,
    campaign_id {{ text }} not null,
    winning_campaign_id {{ text }} not null
);

-- Messages that other tools sent to the same people: they count against the caps.
create table if not exists {{ raw }}.external_messages (
    external_message_id {{ text }} not null,
    lead_id {{ text }},
    address_hash {{ text }},
    channel {{ text }} not null,
    sent_at {{ timestamp }} not null,
    tool {{ text }} not null,
    is_made_up boolean not null,
    source_file {{ text }} not null,
    source_row {{ bigint }} not null,
    loaded_at {{ timestamp }} not null
);

alter table {{ state }}.due_entries add column if not exists detail {{ text }};

-- The evidence of where a lead is, and which rung of the ladder decided.
alter table {{ state }}.send_windows add column if not exists region {{ text }};
alter table {{ state }}.send_windows add column if not exists postal_code {{ text }};
alter table {{ state }}.send_windows add column if not exists zone_evidence {{ text }};
