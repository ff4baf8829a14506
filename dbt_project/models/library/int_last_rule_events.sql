with

arrivals as (
    select * from {{ ref('base_app__event_arrivals') }}
),

rule_events as (
    select * from {{ ref('rule_events') }}
),

last_look as (
    select * from {{ ref('int_last_look') }}
),

recent as (
    select
        arrivals.lead_id,
        rule_events.rule,
        arrivals.event_id,
        arrivals.event_type,
        arrivals.properties,
        arrivals.occurred_at
    from arrivals
    inner join rule_events on lower(trim(arrivals.event_type)) = rule_events.event_type
    cross join last_look
    where
        arrivals.occurred_at < last_look.looked_as_of
        and arrivals.occurred_at
        >= {{ days_after('last_look.looked_as_of', '-' ~ var('rekindle__rule_event_days')) }}
),

last_ones as (
    select
        lead_id,
        rule,
        event_id,
        event_type,
        coalesce(
            {{ json_text('properties', ['product_name']) }},
            {{ json_text('properties', ['name']) }},
            {{ json_text('properties', ['product']) }},
            {{ json_text('properties', ['title']) }}
        ) as item,
        occurred_at
    from recent
    where true
    qualify row_number() over (
        partition by lead_id, rule
        order by occurred_at desc nulls last, event_id desc nulls last
    ) = 1
)

select * from last_ones
