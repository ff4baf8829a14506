-- Raw tables hold what arrived, as it arrived. `is_made_up` marks demonstration data wherever it is shown.
create table if not exists {{ raw }}.events (
    event_id {{ text }} not null,
    user_id {{ text }} not null,
    event_type {{ text }} not null,
    occurred_at {{ timestamp }} not null,
    properties {{ text }},
    is_made_up boolean not null,
    source_file {{ text }} not null,
    source_row {{ bigint }} not null,
    loaded_at {{ timestamp }} not null
){{ stored_by(["user_id", "event_type"], month_of="occurred_at") }};

create table if not exists {{ raw }}.users (
    user_id {{ text }} not null,
    email {{ text }},
    phone {{ text }},
    first_name {{ text }},
    time_zone {{ text }},
    country {{ text }},
    locale {{ text }},
    plan {{ text }},
    signed_up_at {{ timestamp }},
    email_consented_at {{ timestamp }},
    sms_consented_at {{ timestamp }},
    properties {{ text }},
    is_made_up boolean not null,
    source_file {{ text }} not null,
    source_row {{ bigint }} not null,
    loaded_at {{ timestamp }} not null
);

create table if not exists {{ raw }}.support_tickets (
    ticket_id {{ text }} not null,
    user_id {{ text }} not null,
    opened_at {{ timestamp }} not null,
    closed_at {{ timestamp }},
    category {{ text }},
    satisfaction {{ bigint }},
    is_made_up boolean not null,
    source_file {{ text }} not null,
    source_row {{ bigint }} not null,
    loaded_at {{ timestamp }} not null
);

create table if not exists {{ raw }}.rejects (
    source_table {{ text }} not null,
    source_file {{ text }} not null,
    source_row {{ bigint }} not null,
    column_name {{ text }},
    value {{ text }},
    reason {{ text }} not null,
    remedy {{ text }} not null,
    record {{ text }},
    loaded_at {{ timestamp }} not null
);

-- One row per file of the landing zone that has been loaded: what makes loading it twice impossible.
create table if not exists {{ raw }}.landing_files (
    landing_file {{ text }} not null,
    stream {{ text }} not null,
    sha256 {{ text }} not null,
    byte_count {{ bigint }} not null,
    element_count {{ bigint }} not null,
    dead_letter_count {{ bigint }} not null,
    loaded_as_of {{ timestamp }} not null,
    run_id {{ text }} not null
);

-- One row per element of every webhook, click, unsubscribe and tracked event that was answered 2xx.
create table if not exists {{ raw }}.webhook_elements (
    landing_file {{ text }} not null,
    line_number {{ bigint }} not null,
    element_number {{ bigint }} not null,
    stream {{ text }} not null,
    received_at {{ timestamp }} not null,
    event_key {{ text }} not null,
    payload {{ text }} not null
){{ stored_by(["landing_file"], month_of="received_at") }};

create table if not exists {{ raw }}.dead_letters (
    landing_file {{ text }} not null,
    line_number {{ bigint }} not null,
    element_number {{ bigint }} not null,
    stream {{ text }} not null,
    received_at {{ timestamp }},
    reason {{ text }} not null,
    payload {{ text }} not null
);
