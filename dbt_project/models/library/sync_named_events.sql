{#
  A view without an upper bound: an exit ends on what arrived five minutes ago. Whoever reads it says up to when.
#}
with

arrivals as (
    select * from {{ ref('base_app__event_arrivals') }}
),

last_scoring as (
    select * from {{ ref('int_last_scoring') }}
),

-- Grouped and not numbered, so that the engines look for the names asked for before they look for repeats.
named_events as (
    select
        arrivals.lead_id,
        arrivals.event_type as event_name,
        arrivals.occurred_at
    from arrivals
    cross join last_scoring
    where
        arrivals.event_kind != 'passive'
        and arrivals.occurred_at
        >= {{ days_after('last_scoring.scored_as_of', '-' ~ var('rekindle__named_event_days')) }}
    group by arrivals.lead_id, arrivals.event_type, arrivals.occurred_at
)

select * from named_events
