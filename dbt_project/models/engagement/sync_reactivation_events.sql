{#
  The app's own log, told back to whoever measures or steers campaigns. Last touch: of several messages that were
  accepted before the event, the latest has it.
#}
with

messages as (
    select * from {{ source('rekindle_state', 'messages') }}
    where accepted_at is not null
),

entries as (
    select
        entry_id,
        variant,
        coalesce(attribution_window_days, {{ var('rekindle__attribution_days') }}) as attribution_window_days
    from {{ source('rekindle_state', 'journey_entries') }}
),

life_signs as (
    select * from {{ ref('stg_app__events') }}
    where event_kind in ('log_in', 'key_action')
),

touched as (
    select
        life_signs.event_id,
        life_signs.lead_id,
        life_signs.event_type,
        life_signs.event_kind,
        life_signs.occurred_at,
        messages.message_id,
        messages.entry_id,
        messages.campaign_id,
        messages.step_id,
        messages.channel,
        messages.accepted_at,
        entries.variant
    from messages
    inner join entries on messages.entry_id = entries.entry_id
    inner join life_signs
        on
            messages.lead_id = life_signs.lead_id
            and messages.accepted_at < life_signs.occurred_at
            and life_signs.occurred_at
            <= {{ days_after('messages.accepted_at', 'entries.attribution_window_days') }}
    where true
    qualify row_number() over (
        partition by life_signs.event_id
        order by messages.accepted_at desc nulls last, messages.message_id asc nulls last
    ) = 1
),

reactivations as (
    select
        -- ids
        touched.event_id,
        touched.lead_id,
        touched.campaign_id,
        touched.step_id,
        touched.entry_id,
        touched.message_id,

        -- strings
        touched.variant,
        touched.channel,
        touched.event_type,
        touched.event_kind as kind,

        -- numerics
        {{ days_between('touched.accepted_at', 'touched.occurred_at') }} as days_after_touch,

        -- booleans
        row_number() over (
            partition by touched.entry_id
            order by touched.occurred_at asc nulls last, touched.event_id asc nulls last
        ) = 1 as is_first_of_entry,

        -- timestamps
        touched.accepted_at as touched_at,
        touched.occurred_at as event_at
    from touched
)

select * from reactivations
