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
        max(attribution_window_days) as attribution_window_days,
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
        coalesce(entries_by_campaign.{{ arm }}_entered, 0) as {{ arm }}_entered,
        {% for window in measured_windows() %}
        coalesce(entries_by_campaign.{{ arm }}_matured_{{ window }}, 0) as {{ arm }}_matured_{{ window }},
        coalesce(entries_by_campaign.{{ arm }}_reactivated_{{ window }}, 0) as {{ arm }}_reactivated_{{ window }},
        {% endfor %}
        {% endfor %}
        entries_by_campaign.attribution_window_days,
        coalesce(entries_by_campaign.has_made_up_leads, false) as has_made_up_leads
    from campaigns
    left join entries_by_campaign on campaigns.campaign_id = entries_by_campaign.campaign_id
),

compared as (
    select
        *,
        {% for window, lift in [('30d', 'lift'), ('in_window', 'lift_in_window')] %}
        {{ arm_rate('treatment', window) }} as treatment_rate_{{ window }},
        {{ arm_rate('holdout', window) }} as holdout_rate_{{ window }},
        {{ arm_rate('treatment', window) }} - {{ arm_rate('holdout', window) }} as {{ lift }},
        {{ lift_limit(window, 'lower') }} as {{ lift }}_ci_low,
        {{ lift_limit(window, 'upper') }} as {{ lift }}_ci_high,
        {% endfor %}
        {{ as_of_timestamp() }} as measured_as_of
    from counted
)

select * from compared
