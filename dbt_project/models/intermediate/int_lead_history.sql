{#
  The log, a row per lead, as known at as_of. Incremental: a run looks only at the leads of which anything was loaded, or
  came to be in the past, since the last one; everybody else stays what it was, because nothing here depends on how long
  ago it is. Going back to an earlier instant computes everybody anew, so that scoring a past day sees that day.

  Who goes on is continued: the new days are added to what is known. Of the old ones only those are read that fall out
  of the windows (the last 30, 60, 90 and 365 days up to when it was last seen), or, of who was away for longer, those of
  the new windows. So a day costs the same however long the history is. Who is new, or has news of the days before it was
  last seen, is computed from all its days.
#}
{{ config(
    materialized='incremental',
    incremental_strategy='merge' if target.type == 'bigquery' else 'delete+insert',
    unique_key='lead_id',
    on_schema_change='append_new_columns',
    pre_hook="{% if is_incremental() and leads_with_news(this) == 'true' %}delete from {{ this }} where true{% endif %}",
) }}

{%- set news = leads_with_news(this) if is_incremental() else 'true' %}
{#- Days of silence after which the windows are counted anew. Under 30, so that no new day leaves a window at once. #}
{%- set away_days = 7 %}
{%- set latest = [
    'last_seen_at', 'last_log_in_at', 'last_key_action_at', 'last_purchase_at', 'last_email_click_at',
    'last_email_open_at', 'last_payment_failure_at',
] %}
{#- The days before are read several times: each time as few of them, and of their columns, as it takes. #}
{%- set day_columns =
    ['lead_id', 'active_on', 'first_event_at'] + latest + ['key_actions', 'purchases', 'is_made_up'] %}
{#- Window: its last day that counts no more, in days before the last one seen; and what of a day counts. #}
{%- set windows = [
    (30, 30, 'last_seen_at is not null'), (60, 60, 'last_seen_at is not null'), (90, 91, 'key_actions > 0'),
    (365, 365, 'last_seen_at is not null'),
] %}
{%- set window_counts = {
    'key_actions_in_last_active_90_days': 'cast(sum(case when days.active_on >= '
    ~ days_before_date('last_days.last_seen_on', 90) ~ ' then days.key_actions else 0 end) as '
    ~ dbt.type_bigint() ~ ')',
    'active_days_in_last_active_year': count_if(
        'days.last_seen_at is not null and days.active_on > ' ~ days_before_date('last_days.last_seen_on', 365)
    ),
    'active_days_in_last_active_30_days': count_if(
        'days.last_seen_at is not null and days.active_on > ' ~ days_before_date('last_days.last_seen_on', 30)
    ),
    'active_days_in_30_days_before': count_if(
        'days.last_seen_at is not null and days.active_on <= ' ~ days_before_date('last_days.last_seen_on', 30)
        ~ ' and days.active_on > ' ~ days_before_date('last_days.last_seen_on', 60)
    ),
} %}

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
leads_going_on as (
    select
        news_by_lead.lead_id,
        known_leads.last_seen_on as known_on,
        cast({{ latest_of('known_leads.last_seen_at', 'news_by_lead.last_seen_at') }} as date) as last_on
    from news_by_lead
    inner join known_leads on news_by_lead.lead_id = known_leads.lead_id
    where news_by_lead.first_news_on >= known_leads.last_seen_on
),

continued_leads as (
    select
        *,
        known_on < {{ days_before_date(as_of_date(), away_days) }} and known_on < last_on as was_away
    from leads_going_on
    where known_on = last_on or last_on >= {{ days_before_date(as_of_date(), away_days) }}
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

-- The days that may fall out of a window, whoever's they are: a few, however long the history is. Each counts no more
-- once the lead was seen on out_on.
days_at_the_edges as (
    {%- for name, days, what_counts in windows %}
    select
        lead_id,
        {{ name }} as window_days,
        key_actions,
        {{ days_before_date('active_on', -days) }} as out_on
    from {{ ref('int_lead_days') }}
    where
        {{ what_counts }}
        and active_on between {{ days_before_date(as_of_date(), days + away_days) }}
        and {{ days_before_date(as_of_date(), days) }}
    {{- '\n    union all' if not loop.last }}
    {%- endfor %}
),

fallen_out as (
    select
        continued_leads.lead_id,
        {%- for days in [30, 60, 365] %}
        {{ count_if('days_at_the_edges.window_days = ' ~ days) }} as active_days_{{ days }},
        {%- endfor %}
        cast(
            sum(case when days_at_the_edges.window_days = 90 then days_at_the_edges.key_actions else 0 end)
            as {{ dbt.type_bigint() }}
        ) as key_actions_90
    from continued_leads
    inner join days_at_the_edges
        on
            continued_leads.lead_id = days_at_the_edges.lead_id
            and continued_leads.known_on < days_at_the_edges.out_on
            and continued_leads.last_on >= days_at_the_edges.out_on
    where not continued_leads.was_away
    group by continued_leads.lead_id
),

leads_back as (
    select
        lead_id,
        last_on as last_seen_on
    from continued_leads
    where was_away
),

days_of_leads_back as (
    select
        lead_id,
        active_on,
        last_seen_at,
        key_actions
    from lead_days
    union all
    select
        lead_id,
        active_on,
        last_seen_at,
        key_actions
    from {{ ref('int_lead_days') }}
    where active_on < {{ as_of_date() }} and active_on > {{ days_before_date(as_of_date(), 365 + away_days) }}
),

windows_of_leads_back as (
    select
        last_days.lead_id,
    {%- for column, count in window_counts.items() %}
        {{ count }} as {{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
    from leads_back as last_days
    inner join days_of_leads_back as days on last_days.lead_id = days.lead_id
    group by last_days.lead_id
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
        coalesce(
            back.key_actions_in_last_active_90_days,
            known_leads.key_actions_in_last_active_90_days + news_by_lead.key_actions
            - case when new_days.known_on_days > 0 then known_leads.key_actions_on_last_day else 0 end
            - coalesce(fallen_out.key_actions_90, 0)
        ) as key_actions_in_last_active_90_days,
        coalesce(
            back.active_days_in_last_active_year,
            known_leads.active_days_in_last_active_year + new_days.active_days
            - coalesce(fallen_out.active_days_365, 0)
        ) as active_days_in_last_active_year,
        coalesce(
            back.active_days_in_last_active_30_days,
            known_leads.active_days_in_last_active_30_days + new_days.active_days
            - coalesce(fallen_out.active_days_30, 0)
        ) as active_days_in_last_active_30_days,
        coalesce(
            back.active_days_in_30_days_before,
            known_leads.active_days_in_30_days_before + coalesce(fallen_out.active_days_30, 0)
            - coalesce(fallen_out.active_days_60, 0)
        ) as active_days_in_30_days_before,
    {%- for column in ['key_actions_on_last_day', 'purchases_on_last_day'] %}
    case when new_days.last_on_days > 0 then new_days.{{ column }} else known_leads.{{ column }} end as {{ column }}
    {{- ',' if not loop.last }}
    {%- endfor %}
    from new_days
    inner join news_by_lead on new_days.lead_id = news_by_lead.lead_id
    inner join known_leads on new_days.lead_id = known_leads.lead_id
    left join fallen_out on new_days.lead_id = fallen_out.lead_id
    left join windows_of_leads_back as back on new_days.lead_id = back.lead_id
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
        days.lead_id,
        min(days.first_event_at) as first_event_at,
        {%- for column in latest %}
        max(days.{{ column }}) as {{ column }},
        {%- endfor %}
        cast(sum(days.key_actions) as {{ dbt.type_bigint() }}) as key_actions,
        cast(sum(days.purchases) as {{ dbt.type_bigint() }}) as purchases,
        {{ dbt.bool_or('days.is_made_up') }} as is_made_up,
        {%- for column, count in window_counts.items() %}
        {{ count }} as {{ column }},
        {%- endfor %}
    {%- for column in ['key_actions', 'purchases'] %}
    cast(
        sum(case when days.active_on = last_days.last_seen_on then days.{{ column }} else 0 end)
        as {{ dbt.type_bigint() }}
    ) as {{ column }}_on_last_day
    {{- ',' if not loop.last }}
    {%- endfor %}
    from known_days as days
    inner join last_days on days.lead_id = last_days.lead_id
    group by days.lead_id
),

histories as (
    {%- for part in parts %}
    select * from {{ part }}
    {{- '\n    union all' if not loop.last }}
    {%- endfor %}
),

-- one row, also while nothing is in the log
newest as (
    select coalesce(max(revision), 0) as revision
    from {{ ref('int_lead_days') }}
),

stamped as (
    select
        histories.*,
        {{ as_of_timestamp() }} as known_as_of,
        newest.revision as days_revision,
        {{ lead_history_fingerprint() }} as kinds_digest
    from histories
    cross join newest
)

select * from stamped
