with

holidays as (
    select * from {{ ref('holidays') }}
),

activity as (
    select * from {{ ref('int_lead_activity_aggregated') }}
),

last_scoring as (
    select * from {{ ref('int_last_scoring') }}
),

audience_rules as (
    select * from {{ ref('activation_rules') }}
    where rule = 'holiday_audience'
),

engaged as (
    select activity.lead_id
    from activity
    cross join last_scoring
    cross join audience_rules
    where
        {{ days_between('activity.last_seen_at', 'last_scoring.scored_as_of') }} <= audience_rules.engaged_within_days
),

candidates as (
    select
        engaged.lead_id,
        holidays.holiday as occasion,
        cast(
            {{ days_before_date('holidays.occurs_on', 'holidays.days_before') }} as {{ dbt.type_timestamp() }}
        ) as happened_at
    from engaged
    cross join holidays
),

{{ offered_by_rule('holiday_audience', besides=['occasion']) }}

select * from offered
