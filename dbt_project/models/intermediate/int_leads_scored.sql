{#
  A view: arithmetic over a table that the same run makes. Keeping its eighty columns of everybody costs more than
  working out again the few of them that each reader asks for.
#}
{{ config(materialized='view') }}

with

activity as (
    select * from {{ ref('int_lead_activity_aggregated') }}
),

presets as (
    select * from {{ ref('int_score_presets_pivoted') }}
),

plan_presets as (
    select * from {{ ref('score_plan_presets') }}
    -- A preset asked for by name holds for everybody.
    where '{{ var("rekindle__score_preset") }}' = 'default'
),

signals as (
    select
        activity.lead_id,
        activity.is_made_up,
        activity.known_since,
        activity.last_seen_at,
        activity.last_key_action_at,
        activity.key_actions,
        activity.key_actions_in_last_active_90_days,
        activity.purchases,
        activity.active_days_in_last_active_year,
        presets.*,
        {{ days_between('activity.known_since', as_of_timestamp()) }} as known_age_days,
        {{ days_between('activity.last_seen_at', as_of_timestamp()) }} as last_seen_age_days,
        {{ days_between('activity.last_log_in_at', as_of_timestamp()) }} as log_in_age_days,
        {{ days_between('activity.last_email_click_at', as_of_timestamp()) }} as email_click_age_days,
        {{ days_between('activity.last_email_open_at', as_of_timestamp()) }} as email_open_age_days,
        {{ days_between('activity.last_key_action_at', as_of_timestamp()) }} as key_action_age_days,
        {{ days_between('activity.last_bad_ticket_at', as_of_timestamp()) }} as support_age_days,
        {{ days_between('activity.last_payment_failure_at', as_of_timestamp()) }} as payment_failure_age_days,
        {{ days_between('activity.first_mailed_at', as_of_timestamp()) }} as first_mailed_age_days,
        case
            when activity.last_bad_ticket_at < activity.last_seen_at
                then {{ days_between('activity.last_bad_ticket_at', 'activity.last_seen_at') }}
        end as support_gap_days,
        case
            when activity.last_payment_failure_at < activity.last_seen_at
                then {{ days_between('activity.last_payment_failure_at', 'activity.last_seen_at') }}
        end as payment_failure_gap_days,
        case
            when activity.active_days_in_30_days_before > activity.active_days_in_last_active_30_days
                then
                    1.0 - cast(activity.active_days_in_last_active_30_days as {{ type_double() }})
                    / activity.active_days_in_30_days_before
            else 0.0
        end as usage_trend_share,
        case
            when activity.plan is null or lower(trim(activity.plan)) in ({{ event_types('rekindle__unpaid_plans') }})
                then 1.0
            else 0.0
        end as plan_share
    from activity
    left join plan_presets on activity.plan = plan_presets.plan
    inner join presets on coalesce(plan_presets.preset, '{{ var("rekindle__score_preset") }}') = presets.preset
),

pointed as (
    select
        {% for signal in score_signals() %}
        {{ signal_points(signal) }} as {{ signal }}_points,
        {% endfor %}
        signals.*
    from signals
),

scored as (
    select
        *,
        {{ total_points() }} as cold_score
    from pointed
)

select * from scored
