-- The version of the campaign that an entry is on. In a transition: the version it moved to, null when it stayed.
alter table {{ state }}.journey_state add column if not exists journey_version {{ text }};
alter table {{ state }}.journey_transitions add column if not exists journey_version {{ text }};

update {{ state }}.journey_state as journeys
set journey_version = entries.journey_version
from {{ state }}.journey_entries as entries
where journeys.entry_id = entries.entry_id and journeys.journey_version is null;

-- Who is drawn together: the smallest person id among those who entered on the same day and share an address.
alter table {{ state }}.journey_entries add column if not exists household_id {{ text }};

-- The version whose words the message uses, and what it offers until when.
alter table {{ state }}.messages add column if not exists journey_version {{ text }};
alter table {{ state }}.messages add column if not exists offer_code {{ text }};
alter table {{ state }}.messages add column if not exists offer_ends_at {{ timestamp }};

-- Versions may have different hours.
alter table {{ state }}.send_windows add column if not exists journey_version {{ text }};

-- Append-only: what a lead answered to a question of a campaign, one row per inbound text.
create table if not exists {{ state }}.question_answers (
    entry_id {{ text }} not null,
    step_id {{ text }} not null,
    answer {{ text }} not null,
    answered_at {{ timestamp }} not null,
    event_key {{ text }} not null,
    recorded_at {{ timestamp }} not null
);

-- Append-only: tags put on leads and taken away; the newest row per lead and tag counts.
create table if not exists {{ state }}.lead_tags (
    lead_id {{ text }} not null,
    tag {{ text }} not null,
    action {{ text }} not null,
    campaign_id {{ text }} not null,
    entry_id {{ text }} not null,
    step_id {{ text }} not null,
    tagged_at {{ timestamp }} not null,
    recorded_at {{ timestamp }} not null,
    run_id {{ text }} not null
);

-- What other systems are to be told: written with the transition, told at least once under `call_id`.
create table if not exists {{ state }}.webhook_calls (
    call_id {{ text }} not null,
    entry_id {{ text }} not null,
    campaign_id {{ text }} not null,
    lead_id {{ text }} not null,
    step_id {{ text }} not null,
    connection_id {{ text }} not null,
    event {{ text }} not null,
    happened_at {{ timestamp }} not null,
    status {{ text }} not null,
    attempts {{ bigint }} not null,
    next_attempt_at {{ timestamp }},
    error {{ text }},
    told_at {{ timestamp }},
    recorded_at {{ timestamp }} not null,
    run_id {{ text }} not null
);

-- When a wait for a time of day ends, for each instant it was reached at and each evidence of where the lead is.
create table if not exists {{ state }}.local_waits (
    campaign_id {{ text }} not null,
    minute {{ bigint }} not null,
    reached_at {{ timestamp }} not null,
    profile_time_zone {{ text }},
    phone_time_zones {{ text }},
    country {{ text }},
    time_zones {{ text }},
    waits_until {{ timestamp }} not null
);
