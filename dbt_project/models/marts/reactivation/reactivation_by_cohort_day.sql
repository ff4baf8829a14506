with

entries as (
    select * from {{ ref('fct_journey_entries') }}
),

counted as (
    select
        campaign_id,
        cohort_date,
        count(*) as entered,
        {{ count_if('is_active') }} as active,
        {{ count_if('not is_active') }} as exited,
        {{ arm_counts('treatment') }},
        {{ arm_counts('holdout') }},
        {{ dbt.bool_or('is_made_up') }} as has_made_up_leads
    from entries
    group by campaign_id, cohort_date
),

compared as (
    select
        *,
        {{ arm_rate('treatment') }} as treatment_rate_30d,
        {{ arm_rate('holdout') }} as holdout_rate_30d
    from counted
)

select * from compared
