with

activity as (
    select * from {{ ref('int_lead_activity_aggregated') }}
),

candidates as (
    select
        lead_id,
        last_purchase_at as happened_at
    from activity
    where last_purchase_at is not null
),

{{ offered_by_rule('lapsed_buyers') }}

select * from offered
