with

rule_events as (
    select * from {{ ref('int_last_rule_events') }}
    where rule = 'pricing'
),

activity as (
    select * from {{ ref('int_lead_activity_aggregated') }}
),

-- Who bought since is done.
candidates as (
    select
        rule_events.lead_id,
        rule_events.occurred_at as happened_at
    from rule_events
    left join activity on rule_events.lead_id = activity.lead_id
    where activity.last_purchase_at is null or activity.last_purchase_at < rule_events.occurred_at
),

{{ offered_by_rule('pricing_viewers') }}

select * from offered
