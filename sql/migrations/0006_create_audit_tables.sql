create table if not exists {{ state }}.campaign_versions (
    campaign_id {{ text }} not null,
    journey_version {{ text }} not null,
    definition {{ text }} not null,
    first_used_at {{ timestamp }} not null
);

-- One row per finished piece of work (`activity`) and logical time: the watermark that never moves backwards.
create table if not exists {{ state }}.campaign_runs (
    activity {{ text }} not null,
    campaign_id {{ text }} not null,
    as_of {{ timestamp }} not null,
    run_id {{ text }} not null,
    counts {{ text }} not null
);

create table if not exists {{ state }}.approvals (
    campaign_id {{ text }} not null,
    as_of {{ timestamp }} not null,
    question {{ text }} not null,
    answer {{ text }} not null,
    answered_by {{ text }} not null,
    answered_at {{ timestamp }} not null
);

create table if not exists {{ state }}.erasures (
    lead_id {{ text }} not null,
    requested_at {{ timestamp }} not null,
    erased_at {{ timestamp }},
    requested_by {{ text }} not null
);
