{#
  Only what happened strictly before as_of counts, so that scoring a past day sees what was known on that day.
#}
with

leads as (
    select *
    from {{ ref('stg_app__leads') }}
    where signed_up_at is null or signed_up_at < {{ as_of_timestamp() }}
),

events_by_lead as (
    select * from {{ ref('int_lead_history') }}
),

messages as (
    select * from {{ source('rekindle_state', 'messages') }}
    where channel = 'email'
),

engagements as (
    select * from {{ ref('int_engagements_scored') }}
    where is_human and occurred_at < {{ as_of_timestamp() }}
),

tickets as (
    select * from {{ ref('stg_app__support_tickets') }}
    where opened_at < {{ as_of_timestamp() }}
),

mail_by_lead as (
    select
        messages.lead_id,
        min(case when messages.accepted_at < {{ as_of_timestamp() }} then messages.accepted_at end) as first_mailed_at,
        max(case when engagements.event_type = 'clicked' then engagements.occurred_at end) as last_email_click_at,
        max(case when engagements.event_type = 'opened' then engagements.occurred_at end) as last_email_open_at
    from messages
    left join engagements on messages.message_id = engagements.message_id
    group by messages.lead_id
),

-- A ticket is bad while it is open, and for good once it was rated 1 or 2 of 5.
bad_tickets as (
    select
        lead_id,
        case
            when closed_at is null or closed_at >= {{ as_of_timestamp() }} then opened_at
            when satisfaction <= 2 then closed_at
        end as bad_at
    from tickets
),

tickets_by_lead as (
    select
        lead_id,
        max(bad_at) as last_bad_ticket_at
    from bad_tickets
    group by lead_id
),

lead_ids as (
    select lead_id from leads
    union distinct
    select lead_id from events_by_lead
),

joined as (
    select
        lead_ids.lead_id,
        leads.plan,
        {{ earliest_of('leads.signed_up_at', 'events_by_lead.first_event_at') }} as known_since,
        {{ latest_of('leads.signed_up_at', 'events_by_lead.last_seen_at') }} as last_seen_at,
        events_by_lead.last_log_in_at,
        events_by_lead.last_key_action_at,
        events_by_lead.last_purchase_at,
        {{ latest_of('events_by_lead.last_email_click_at', 'mail_by_lead.last_email_click_at') }}
            as last_email_click_at,
        {{ latest_of('events_by_lead.last_email_open_at', 'mail_by_lead.last_email_open_at') }} as last_email_open_at,
        mail_by_lead.first_mailed_at,
        tickets_by_lead.last_bad_ticket_at,
        -- a failure is made good by the next sale
        case
            when
                events_by_lead.last_purchase_at is null
                or events_by_lead.last_purchase_at < events_by_lead.last_payment_failure_at
                then events_by_lead.last_payment_failure_at
        end as last_payment_failure_at,
        coalesce(events_by_lead.key_actions, 0) as key_actions,
        coalesce(events_by_lead.key_actions_in_last_active_90_days, 0) as key_actions_in_last_active_90_days,
        coalesce(events_by_lead.purchases, 0) as purchases,
        coalesce(events_by_lead.active_days_in_last_active_year, 0) as active_days_in_last_active_year,
        coalesce(events_by_lead.active_days_in_last_active_30_days, 0) as active_days_in_last_active_30_days,
        coalesce(events_by_lead.active_days_in_30_days_before, 0) as active_days_in_30_days_before,
        coalesce(leads.is_made_up, events_by_lead.is_made_up) as is_made_up
    from lead_ids
    left join leads on lead_ids.lead_id = leads.lead_id
    left join events_by_lead on lead_ids.lead_id = events_by_lead.lead_id
    left join mail_by_lead on lead_ids.lead_id = mail_by_lead.lead_id
    left join tickets_by_lead on lead_ids.lead_id = tickets_by_lead.lead_id
)

select * from joined
