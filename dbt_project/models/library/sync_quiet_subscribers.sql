with

leads as (
    select * from {{ ref('stg_app__leads') }}
),

consents as (
    select * from {{ ref('stg_state__consents') }}
    where channel = 'email' and action = 'granted' and lead_id is not null
),

cold_scores as (
    select * from {{ ref('fct_cold_scores') }}
),

activity as (
    select * from {{ ref('int_lead_activity_aggregated') }}
),

quiet_rules as (
    select * from {{ ref('activation_rules') }}
    where rule = 'quiet_subscribers'
),

subscribers as (
    select lead_id from leads
    where email_consented_at is not null
    union distinct
    select lead_id from consents
),

-- Whoever is cold is for the campaign that wins back.
silent as (
    select
        subscribers.lead_id,
        cold_scores.scored_as_of,
        {{ latest_of(
            latest_of('activity.last_seen_at', 'activity.last_email_click_at'), 'activity.last_email_open_at'
        ) }} as engaged_at
    from subscribers
    inner join cold_scores on subscribers.lead_id = cold_scores.lead_id
    inner join activity on subscribers.lead_id = activity.lead_id
    where not cold_scores.is_cold
),

laps as (
    select
        silent.lead_id,
        silent.engaged_at,
        quiet_rules.every_days,
        floor(
            ({{ days_between('silent.engaged_at', 'silent.scored_as_of') }} - quiet_rules.after_days)
            / nullif(quiet_rules.every_days, 0)
        ) as lap
    from silent
    cross join quiet_rules
),

candidates as (
    select
        lead_id,
        {{ seconds_after('engaged_at', 'cast(round(lap * every_days * 86400) as bigint)') }} as happened_at
    from laps
    where lap >= 0
),

{{ offered_by_rule('quiet_subscribers') }}

select * from offered
