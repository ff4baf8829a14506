{#
  The log, a row per lead, as known at as_of. Incremental: a run computes anew the leads of which anything was loaded, or
  came to be in the past, since the last one; everybody else stays what it was, because nothing here depends on how long
  ago it is. Going back to an earlier instant computes everybody anew, so that scoring a past day sees that day.
#}
{{ config(
    materialized='incremental',
    incremental_strategy='merge' if target.type == 'bigquery' else 'delete+insert',
    unique_key='lead_id',
    on_schema_change='append_new_columns',
    pre_hook="{% if is_incremental() and leads_with_news(this) == 'true' %}delete from {{ this }} where true{% endif %}",
) }}

{%- set news = leads_with_news(this) if is_incremental() else 'true' %}

with

-- The day of as_of is not over: what was known at that instant is read from the log.
{{ lead_days(
    'occurred_at >= cast(' ~ as_of_date() ~ ' as ' ~ dbt.type_timestamp() ~ ') and occurred_at < ' ~ as_of_timestamp()
) }},

all_days as (
    select * from lead_days
    union all
    select
        lead_id,
        active_on,
        first_event_at,
        last_seen_at,
        last_log_in_at,
        last_key_action_at,
        last_purchase_at,
        last_email_click_at,
        last_email_open_at,
        last_payment_failure_at,
        key_actions,
        purchases,
        is_made_up,
        last_loaded_at
    from {{ ref('int_lead_days') }}
    where active_on < {{ as_of_date() }}
),

{% if news == 'true' -%}
known_days as (
    select * from all_days
),
{%- else -%}
leads_with_news as (
    select distinct lead_id
    from all_days
    where {{ news }}
),

known_days as (
    select all_days.*
    from all_days
    inner join leads_with_news on all_days.lead_id = leads_with_news.lead_id
),
{%- endif %}

events_by_lead as (
    select
        lead_id,
        min(first_event_at) as first_event_at,
        max(last_seen_at) as last_seen_at,
        max(last_log_in_at) as last_log_in_at,
        max(last_key_action_at) as last_key_action_at,
        max(last_purchase_at) as last_purchase_at,
        max(last_email_click_at) as last_email_click_at,
        max(last_email_open_at) as last_email_open_at,
        max(last_payment_failure_at) as last_payment_failure_at,
        cast(sum(key_actions) as {{ dbt.type_bigint() }}) as key_actions,
        cast(sum(purchases) as {{ dbt.type_bigint() }}) as purchases,
        {{ dbt.bool_or('is_made_up') }} as is_made_up,
        max(last_loaded_at) as last_loaded_at
    from known_days
    group by lead_id
),

-- The lead's last active year ends on the day it was last seen.
last_active_year as (
    select
        known_days.lead_id,
        cast(
            sum(
                case
                    when
                        known_days.active_on
                        >= {{ days_before_date('cast(events_by_lead.last_seen_at as date)', 90) }}
                        then known_days.key_actions
                    else 0
                end
            ) as {{ dbt.type_bigint() }}
        ) as key_actions_in_last_active_90_days,
        {{ count_if('known_days.last_seen_at is not null') }} as active_days_in_last_active_year,
        {{ count_if(
            'known_days.last_seen_at is not null and known_days.active_on > '
            ~ days_before_date('cast(events_by_lead.last_seen_at as date)', 30)
        ) }} as active_days_in_last_active_30_days,
        {{ count_if(
            'known_days.last_seen_at is not null and known_days.active_on <= '
            ~ days_before_date('cast(events_by_lead.last_seen_at as date)', 30)
            ~ ' and known_days.active_on > ' ~ days_before_date('cast(events_by_lead.last_seen_at as date)', 60)
        ) }} as active_days_in_30_days_before
    from known_days
    inner join events_by_lead on known_days.lead_id = events_by_lead.lead_id
    where known_days.active_on > {{ days_before_date('cast(events_by_lead.last_seen_at as date)', 365) }}
    group by known_days.lead_id
),

histories as (
    select
        events_by_lead.*,
        coalesce(last_active_year.key_actions_in_last_active_90_days, 0) as key_actions_in_last_active_90_days,
        coalesce(last_active_year.active_days_in_last_active_year, 0) as active_days_in_last_active_year,
        coalesce(last_active_year.active_days_in_last_active_30_days, 0) as active_days_in_last_active_30_days,
        coalesce(last_active_year.active_days_in_30_days_before, 0) as active_days_in_30_days_before,
        {{ as_of_timestamp() }} as known_as_of,
        '{{ history_fingerprint() }}' as kinds_fingerprint
    from events_by_lead
    left join last_active_year on events_by_lead.lead_id = last_active_year.lead_id
)

select * from histories
