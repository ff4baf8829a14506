{#
  The log, a row per lead, as known at as_of. Incremental: a run looks only at the leads of which anything was loaded, or
  came to be in the past, since the last one; everybody else stays what it was, because nothing here depends on how long
  ago it is. Going back to an earlier instant computes everybody anew, so that scoring a past day sees that day.

  Who was seen lately and goes on is continued: the new days are added to what is known, and of the old ones only those
  are read that fall out of the windows (the last 30, 60, 90 and 365 days up to when it was last seen). So a day costs
  the same however long the history is. Who was away for longer, is new, or has news of the days before it was last seen
  is computed from all its days.
#}
{{ config(
    materialized='incremental',
    incremental_strategy='merge' if target.type == 'bigquery' else 'delete+insert',
    unique_key='lead_id',
    on_schema_change='append_new_columns',
    pre_hook="{% if is_incremental() and leads_with_news(this) == 'true' %}delete from {{ this }} where true{% endif %}",
) }}

{%- set news = leads_with_news(this) if is_incremental() else 'true' %}
{#- Days of silence after which a lead is computed anew. Under 30, so that no new day leaves a window at once. #}
{%- set away_days = 7 %}
{%- set windows = [30, 60, 90, 365] %}
{%- set latest = [
    'last_seen_at', 'last_log_in_at', 'last_key_action_at', 'last_purchase_at', 'last_email_click_at',
    'last_email_open_at', 'last_payment_failure_at', 'last_loaded_at',
] %}
{#- The days before are read three times over: each time as few of them, and of their columns, as it takes. #}
{%- set day_columns =
    ['lead_id', 'active_on', 'first_event_at'] + latest + ['key_actions', 'purchases', 'is_made_up'] %}

with

-- The day of as_of is not over: what was known at that instant is read from the log.
{{ lead_days(
    'occurred_at >= cast(' ~ as_of_date() ~ ' as ' ~ dbt.type_timestamp() ~ ') and occurred_at < ' ~ as_of_timestamp()
) }},

{% if news == 'true' -%}
{%- set parts = ['computed_anew'] -%}
known_days as (
    select {{ day_columns | join(', ') }} from lead_days
    union all
    select {{ day_columns | join(', ') }} from {{ ref('int_lead_days') }}
    where active_on < {{ as_of_date() }}
),
{%- else -%}
{%- set parts = ['computed_anew', 'continued'] -%}
days_with_news as (
    select {{ day_columns | join(', ') }} from lead_days
    where {{ news }}
    union all
    select {{ day_columns | join(', ') }} from {{ ref('int_lead_days') }}
    where active_on < {{ as_of_date() }} and ({{ news }})
),

news_by_lead as (
    select
        lead_id,
        min(active_on) as first_news_on,
        min(first_event_at) as first_event_at,
        {%- for column in latest %}
        max({{ column }}) as {{ column }},
        {%- endfor %}
        cast(sum(key_actions) as {{ dbt.type_bigint() }}) as key_actions,
        cast(sum(purchases) as {{ dbt.type_bigint() }}) as purchases,
        {{ dbt.bool_or('is_made_up') }} as is_made_up
    from days_with_news
    group by lead_id
),

known_leads as (
    select
        *,
        cast(last_seen_at as date) as last_seen_on
    from {{ this }}
    where last_seen_at is not null
),

-- Seen on known_on at last, and now on last_on.
continued_leads as (
    select
        news_by_lead.lead_id,
        known_leads.last_seen_on as known_on,
        cast({{ latest_of('known_leads.last_seen_at', 'news_by_lead.last_seen_at') }} as date) as last_on
    from news_by_lead
    inner join known_leads on news_by_lead.lead_id = known_leads.lead_id
    where
        known_leads.last_seen_on >= {{ days_before_date(as_of_date(), away_days) }}
        and news_by_lead.first_news_on >= known_leads.last_seen_on
),

new_days as (
    select
        continued_leads.lead_id,
        {{ count_if(
            'days_with_news.active_on > continued_leads.known_on and days_with_news.last_seen_at is not null'
        ) }} as active_days,
        {{ count_if('days_with_news.active_on = continued_leads.known_on') }} as known_on_days,
        {{ count_if('days_with_news.active_on = continued_leads.last_on') }} as last_on_days,
        cast(
            sum(
                case when days_with_news.active_on = continued_leads.last_on then days_with_news.key_actions else 0 end
            ) as {{ dbt.type_bigint() }}
        ) as key_actions_on_last_day,
        cast(
            sum(case when days_with_news.active_on = continued_leads.last_on then days_with_news.purchases else 0 end)
            as {{ dbt.type_bigint() }}
        ) as purchases_on_last_day
    from continued_leads
    inner join days_with_news on continued_leads.lead_id = days_with_news.lead_id
    group by continued_leads.lead_id
),

-- The days that may fall out of a window, whoever's they are: a few, however long the history is.
days_at_the_edges as (
    select
        lead_id,
        active_on,
        key_actions,
        last_seen_at
    from {{ ref('int_lead_days') }}
    where
    {%- for days in windows %}
        {{ 'or ' if not loop.first }}active_on between {{ days_before_date(as_of_date(), days + away_days) }}
        and {{ days_before_date(as_of_date(), days) }}
    {%- endfor %}
),

fallen_out as (
    select
        continued_leads.lead_id,
        {%- for days in [30, 60, 365] %}
        {{ count_if(
            'days_at_the_edges.last_seen_at is not null and days_at_the_edges.active_on > '
            ~ days_before_date('continued_leads.known_on', days) ~ ' and days_at_the_edges.active_on <= '
            ~ days_before_date('continued_leads.last_on', days)
        ) }} as active_days_{{ days }},
        {%- endfor %}
        cast(
            sum(
                case
                    when
                        days_at_the_edges.active_on >= {{ days_before_date('continued_leads.known_on', 90) }}
                        and days_at_the_edges.active_on < {{ days_before_date('continued_leads.last_on', 90) }}
                        then days_at_the_edges.key_actions
                    else 0
                end
            ) as {{ dbt.type_bigint() }}
        ) as key_actions_90
    from continued_leads
    inner join days_at_the_edges on continued_leads.lead_id = days_at_the_edges.lead_id
    where continued_leads.last_on > continued_leads.known_on
    group by continued_leads.lead_id
),

continued as (
    select
        news_by_lead.lead_id,
        {{ earliest_of('known_leads.first_event_at', 'news_by_lead.first_event_at') }} as first_event_at,
        {%- for column in latest %}
        {{ latest_of('known_leads.' ~ column, 'news_by_lead.' ~ column) }} as {{ column }},
        {%- endfor %}
        {%- for column in ['key_actions', 'purchases'] %}
        known_leads.{{ column }} + news_by_lead.{{ column }}
        - case when new_days.known_on_days > 0 then known_leads.{{ column }}_on_last_day else 0 end as {{ column }},
        {%- endfor %}
        coalesce(
            known_leads.is_made_up or news_by_lead.is_made_up, known_leads.is_made_up, news_by_lead.is_made_up
        ) as is_made_up,
        known_leads.key_actions_in_last_active_90_days + news_by_lead.key_actions
        - case when new_days.known_on_days > 0 then known_leads.key_actions_on_last_day else 0 end
        - coalesce(fallen_out.key_actions_90, 0) as key_actions_in_last_active_90_days,
        known_leads.active_days_in_last_active_year + new_days.active_days
        - coalesce(fallen_out.active_days_365, 0) as active_days_in_last_active_year,
        known_leads.active_days_in_last_active_30_days + new_days.active_days
        - coalesce(fallen_out.active_days_30, 0) as active_days_in_last_active_30_days,
        known_leads.active_days_in_30_days_before + coalesce(fallen_out.active_days_30, 0)
        - coalesce(fallen_out.active_days_60, 0) as active_days_in_30_days_before,
    {%- for column in ['key_actions_on_last_day', 'purchases_on_last_day'] %}
    case when new_days.last_on_days > 0 then new_days.{{ column }} else known_leads.{{ column }} end as {{ column }}
    {{- ',' if not loop.last }}
    {%- endfor %}
    from new_days
    inner join news_by_lead on new_days.lead_id = news_by_lead.lead_id
    inner join known_leads on new_days.lead_id = known_leads.lead_id
    left join fallen_out on new_days.lead_id = fallen_out.lead_id
),

leads_anew as (
    select news_by_lead.lead_id
    from news_by_lead
    left join continued_leads on news_by_lead.lead_id = continued_leads.lead_id
    where continued_leads.lead_id is null
),

known_days as (
    select lead_days.{{ day_columns | join(', lead_days.') }}
    from lead_days
    inner join leads_anew on lead_days.lead_id = leads_anew.lead_id
    union all
    select days_before.{{ day_columns | join(', days_before.') }}
    from {{ ref('int_lead_days') }} as days_before
    inner join leads_anew on days_before.lead_id = leads_anew.lead_id
    where days_before.active_on < {{ as_of_date() }}
),
{%- endif %}

last_days as (
    select
        lead_id,
        cast(max(last_seen_at) as date) as last_seen_on
    from known_days
    group by lead_id
),

-- The lead's last active year ends on the day it was last seen.
computed_anew as (
    select
        known_days.lead_id,
        min(known_days.first_event_at) as first_event_at,
        {%- for column in latest %}
        max(known_days.{{ column }}) as {{ column }},
        {%- endfor %}
        cast(sum(known_days.key_actions) as {{ dbt.type_bigint() }}) as key_actions,
        cast(sum(known_days.purchases) as {{ dbt.type_bigint() }}) as purchases,
        {{ dbt.bool_or('known_days.is_made_up') }} as is_made_up,
        cast(
            sum(
                case
                    when known_days.active_on >= {{ days_before_date('last_days.last_seen_on', 90) }}
                        then known_days.key_actions
                    else 0
                end
            ) as {{ dbt.type_bigint() }}
        ) as key_actions_in_last_active_90_days,
        {{ count_if(
            'known_days.last_seen_at is not null and known_days.active_on > '
            ~ days_before_date('last_days.last_seen_on', 365)
        ) }} as active_days_in_last_active_year,
        {{ count_if(
            'known_days.last_seen_at is not null and known_days.active_on > '
            ~ days_before_date('last_days.last_seen_on', 30)
        ) }} as active_days_in_last_active_30_days,
        {{ count_if(
            'known_days.last_seen_at is not null and known_days.active_on <= '
            ~ days_before_date('last_days.last_seen_on', 30)
            ~ ' and known_days.active_on > ' ~ days_before_date('last_days.last_seen_on', 60)
        ) }} as active_days_in_30_days_before,
    {%- for column in ['key_actions', 'purchases'] %}
    cast(
        sum(case when known_days.active_on = last_days.last_seen_on then known_days.{{ column }} else 0 end)
        as {{ dbt.type_bigint() }}
    ) as {{ column }}_on_last_day
    {{- ',' if not loop.last }}
    {%- endfor %}
    from known_days
    inner join last_days on known_days.lead_id = last_days.lead_id
    group by known_days.lead_id
),

histories as (
    {%- for part in parts %}
    select * from {{ part }}
    {{- '\n    union all' if not loop.last }}
    {%- endfor %}
),

stamped as (
    select
        *,
        {{ as_of_timestamp() }} as known_as_of,
        '{{ lead_history_fingerprint() }}' as kinds_fingerprint
    from histories
)

select * from stamped
