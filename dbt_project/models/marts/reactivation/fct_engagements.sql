{# A view: the judgement itself is one. #}
{{ config(materialized='view') }}

with

engagements as (
    select * from {{ ref('int_engagements_scored') }}
),

messages as (
    select * from {{ source('rekindle_state', 'messages') }}
),

joined as (
    select
        -- ids
        engagements.event_key,
        engagements.message_id,
        messages.entry_id,
        messages.campaign_id,
        messages.lead_id,
        messages.step_id,

        -- strings
        messages.channel,
        engagements.event_type,
        engagements.reasons,

        -- numerics
        engagements.human_probability,

        -- booleans
        engagements.is_human,

        -- timestamps
        engagements.occurred_at,
        engagements.delivered_at
    from engagements
    inner join messages on engagements.message_id = messages.message_id
)

select * from joined
