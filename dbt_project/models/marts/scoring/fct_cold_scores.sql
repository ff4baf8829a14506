with

scores as (
    select * from {{ ref('int_leads_scored') }}
),

persons as (
    select * from {{ ref('int_leads_resolved_to_persons') }}
),

-- Rows of later days are not looked at: scoring a past day again sees the state of that day.
latest_transitions as (
    select *
    from {{ ref('fct_cold_transitions') }}
    where scored_on <= {{ as_of_date() }}
    qualify row_number() over (partition by lead_id, preset order by scored_on desc nulls last) = 1
),

joined as (
    select
        -- ids
        scores.lead_id,
        coalesce(persons.person_id, scores.lead_id) as person_id,

        -- strings
        scores.preset,
        case
            when scores.key_actions = 0 then 'never_activated'
            when scores.key_actions_in_last_active_90_days >= 3 then 'high_intent'
            when scores.purchases > 0 then 'lapsed_buyer'
            else 'low_engagement'
        end as segment,
        {{ json_object_text([
            ('last_seen', 'round(scores.last_seen_points, 2)'),
            ('log_in', 'round(scores.log_in_points, 2)'),
            ('email_click', 'round(scores.email_click_points, 2)'),
            ('email_open', 'round(scores.email_open_points, 2)'),
            ('key_action', 'round(scores.key_action_points, 2)'),
            ('habit', 'round(scores.habit_points, 2)'),
            ('support', 'round(scores.support_points, 2)'),
            ('payment_failure', 'round(scores.payment_failure_points, 2)'),
            ('usage_trend', 'round(scores.usage_trend_points, 2)'),
            ('plan', 'round(scores.plan_points, 2)'),
        ]) }} as score_contributions,

        -- numerics
        scores.score_version,
        scores.cold_score,
        {% for signal in score_signals() %}
        scores.{{ signal }}_points,
        {% endfor %}
        scores.enter_score,
        scores.leave_score,
        scores.late_window_days,
        scores.last_seen_age_days as days_since_last_seen,

        -- booleans
        coalesce(latest_transitions.is_cold, false) as is_cold,
        coalesce(
            latest_transitions.is_cold
            and latest_transitions.crossed_cold_on
            > {{ days_before_date(as_of_date(), 'scores.late_window_days') }},
            false
        ) as is_in_cohort,
        scores.is_made_up,

        -- dates and timestamps
        case when latest_transitions.is_cold then latest_transitions.crossed_cold_on end as crossed_cold_on,
        scores.last_seen_at,
        scores.last_key_action_at,
        {{ as_of_timestamp() }} as scored_as_of
    from scores
    left join persons on scores.lead_id = persons.lead_id
    left join latest_transitions
        on
            scores.lead_id = latest_transitions.lead_id
            and scores.preset = latest_transitions.preset
)

select * from joined
