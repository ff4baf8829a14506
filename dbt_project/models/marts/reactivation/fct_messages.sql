with

messages as (
    select * from {{ source('rekindle_state', 'messages') }}
    where planned_at <= {{ as_of_timestamp() }}
),

message_events as (
    select * from {{ source('rekindle_state', 'message_events') }}
    where occurred_at <= {{ as_of_timestamp() }}
),

engagements as (
    select * from {{ ref('int_engagements_scored') }}
    where is_human and occurred_at <= {{ as_of_timestamp() }}
),

engagements_by_message as (
    select
        message_id,
        min(case when event_type = 'opened' then occurred_at end) as first_opened_at,
        min(case when event_type = 'clicked' then occurred_at end) as first_clicked_at
    from engagements
    group by message_id
),

events_by_message as (
    select
        message_id,
        min(case when event_type = 'delivered' then occurred_at end) as delivered_at,
        min(case when event_type in ('bounced', 'dropped', 'undelivered', 'failed') then occurred_at end)
            as not_delivered_at,
        min(case when event_type = 'complained' then occurred_at end) as complained_at,
        min(case when event_type = 'unsubscribed' then occurred_at end) as unsubscribed_at,
        min(case when event_type = 'replied' then occurred_at end) as replied_at
    from message_events
    where message_id is not null
    group by message_id
),

joined as (
    select
        -- ids
        messages.message_id,
        messages.entry_id,
        messages.campaign_id,
        messages.lead_id,
        messages.step_id,

        -- strings
        messages.arm,
        messages.channel,
        messages.attempt_class,
        messages.status,
        messages.provider,
        messages.error_code,
        messages.error_class,
        messages.template_hash,

        -- numerics
        messages.segments,
        messages.cost,

        -- booleans
        messages.accepted_at is not null as is_accepted,
        messages.status = 'unknown' as is_unknown,

        -- timestamps
        messages.planned_at,
        messages.attempting_at,
        messages.accepted_at,
        messages.settled_at,
        messages.expires_at,
        events_by_message.delivered_at,
        engagements_by_message.first_opened_at,
        engagements_by_message.first_clicked_at,
        events_by_message.not_delivered_at,
        events_by_message.complained_at,
        events_by_message.unsubscribed_at,
        events_by_message.replied_at
    from messages
    left join events_by_message on messages.message_id = events_by_message.message_id
    left join engagements_by_message on messages.message_id = engagements_by_message.message_id
)

select * from joined
