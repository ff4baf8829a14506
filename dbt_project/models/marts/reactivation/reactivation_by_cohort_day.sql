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
        {{ arm_rate('treatment', '30d') }} as treatment_rate_30d,
        {{ arm_rate('holdout', '30d') }} as holdout_rate_30d,
        {{ arm_rate('treatment', 'in_window') }} as treatment_rate_in_window,
        {{ arm_rate('holdout', 'in_window') }} as holdout_rate_in_window
    from counted
)

select * from compared
