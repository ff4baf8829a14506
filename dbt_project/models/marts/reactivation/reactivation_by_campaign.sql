with

campaign_versions as (
    select * from {{ source('rekindle_state', 'campaign_versions') }}
    where first_used_at <= {{ as_of_timestamp() }}
),

entries as (
    select * from {{ ref('fct_journey_entries') }}
),

-- A campaign that nobody entered has a row too: zero entries must not look like no campaign.
campaigns as (
    select campaign_id from campaign_versions
    union distinct
    select campaign_id from entries
),

entries_by_campaign as (
    select
        campaign_id,
        count(*) as entered,
        {{ count_if('is_active') }} as active,
        {{ count_if('not is_active') }} as exited,
        {% for exit in var('rekindle__exits') %}
        {{ count_if("exit_reason = '" ~ exit ~ "'") }} as exited_{{ exit }},
        {% endfor %}
        {{ arm_counts('treatment') }},
        {{ arm_counts('holdout') }},
        {{ dbt.bool_or('is_made_up') }} as has_made_up_leads
    from entries
    group by campaign_id
),

counted as (
    select
        campaigns.campaign_id,
        {% for measure in ['entered', 'active', 'exited'] %}
        coalesce(entries_by_campaign.{{ measure }}, 0) as {{ measure }},
        {% endfor %}
        {% for exit in var('rekindle__exits') %}
        coalesce(entries_by_campaign.exited_{{ exit }}, 0) as exited_{{ exit }},
        {% endfor %}
        {% for arm in ['treatment', 'holdout'] %}
        {% for measure in ['entered', 'matured_30d', 'reactivated_30d'] %}
        coalesce(entries_by_campaign.{{ arm }}_{{ measure }}, 0) as {{ arm }}_{{ measure }},
        {% endfor %}
        {% endfor %}
        coalesce(entries_by_campaign.has_made_up_leads, false) as has_made_up_leads
    from campaigns
    left join entries_by_campaign on campaigns.campaign_id = entries_by_campaign.campaign_id
),

compared as (
    select
        *,
        {{ arm_rate('treatment') }} as treatment_rate_30d,
        {{ arm_rate('holdout') }} as holdout_rate_30d,
        {{ arm_rate('treatment') }} - {{ arm_rate('holdout') }} as lift,
        {{ newcombe_limit(
            'treatment_reactivated_30d', 'treatment_matured_30d', 'holdout_reactivated_30d', 'holdout_matured_30d', 'lower'
        ) }} as lift_ci_low,
        {{ newcombe_limit(
            'treatment_reactivated_30d', 'treatment_matured_30d', 'holdout_reactivated_30d', 'holdout_matured_30d', 'upper'
        ) }} as lift_ci_high,
        {{ as_of_timestamp() }} as measured_as_of
    from counted
)

select * from compared
