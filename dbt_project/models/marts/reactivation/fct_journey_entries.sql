{#
  Stage and exit are folded from the transitions up to as_of, so that measuring a past day gives that day's table.
#}
with

entries as (
    select
        entry_id,
        campaign_id,
        lead_id,
        person_id,
        journey_version,
        arm,
        variant,
        segment,
        cold_score,
        coalesce(attribution_window_days, {{ var('rekindle__attribution_days') }}) as attribution_window_days,
        cohort_date,
        entered_at
    from {{ source('rekindle_state', 'journey_entries') }}
    where entered_at <= {{ as_of_timestamp() }}
),

transitions as (
    select * from {{ source('rekindle_state', 'journey_transitions') }}
    where happened_at <= {{ as_of_timestamp() }}
),

leads as (
    select * from {{ ref('stg_app__leads') }}
),

life_signs as (
    select * from {{ ref('base_app__event_arrivals') }}
    where
        event_kind in ('log_in', 'key_action')
        and occurred_at < {{ as_of_timestamp() }}
),

latest_transitions as (
    select * from transitions
    where true
    qualify row_number() over (partition by entry_id order by sequence desc nulls last) = 1
),

-- The app's own log only: a click is something a holdout can not do, so it may not count in either arm.
first_life_signs as (
    select
        entries.entry_id,
        min(life_signs.occurred_at) as first_life_sign_at
    from entries
    inner join life_signs
        on
            entries.lead_id = life_signs.lead_id
            and entries.entered_at < life_signs.occurred_at
    group by entries.entry_id
),

joined as (
    select
        -- ids
        entries.entry_id,
        entries.campaign_id,
        entries.lead_id,
        entries.person_id,

        -- strings
        entries.journey_version,
        entries.arm,
        entries.variant,
        entries.segment,
        latest_transitions.to_stage as stage,
        latest_transitions.exit_reason,

        -- numerics
        entries.cold_score,
        entries.attribution_window_days,

        -- booleans
        latest_transitions.exit_reason is null as is_active,
        {% for window, days in [('30d', 30), ('in_window', 'entries.attribution_window_days')] %}
        coalesce(
            first_life_signs.first_life_sign_at <= {{ days_after('entries.entered_at', days) }},
            false
        ) as is_reactivated_{{ window }},
        {{ days_after('entries.entered_at', days) }} <= {{ as_of_timestamp() }} as is_matured_{{ window }},
        {% endfor %}
        coalesce(leads.is_made_up, false) as is_made_up,

        -- dates and timestamps
        entries.cohort_date,
        entries.entered_at,
        latest_transitions.happened_at as stage_entered_at,
        latest_transitions.due_at,
        case when latest_transitions.exit_reason is not null then latest_transitions.happened_at end as exited_at,
        first_life_signs.first_life_sign_at,
        {{ as_of_timestamp() }} as measured_as_of
    from entries
    left join latest_transitions on entries.entry_id = latest_transitions.entry_id
    left join first_life_signs on entries.entry_id = first_life_signs.entry_id
    left join leads on entries.lead_id = leads.lead_id
)

select * from joined
