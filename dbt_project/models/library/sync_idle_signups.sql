with

leads as (
    select * from {{ ref('stg_app__leads') }}
),

activity as (
    select * from {{ ref('int_lead_activity_aggregated') }}
),

candidates as (
    select
        leads.lead_id,
        leads.signed_up_at as happened_at
    from leads
    inner join activity on leads.lead_id = activity.lead_id
    where activity.key_actions = 0 and leads.signed_up_at is not null
),

{{ offered_by_rule('idle_signups') }}

select * from offered
