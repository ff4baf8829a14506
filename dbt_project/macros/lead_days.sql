{#
  What the arrivals of some time come to per lead and day. Latest instants and days do not change when an event arrives
  twice, so only key actions, which are counted, are looked through for repeats. `when` is a condition on `occurred_at`.
#}
{% macro lead_days(when) -%}
arrivals as (
    select
        *,
        cast(occurred_at as date) as active_on
    from {{ ref('base_app__event_arrivals') }}
    where {{ when }}
),

days as (
    select
        lead_id,
        active_on,
        min(occurred_at) as first_event_at,
        max(case when event_kind in ('log_in', 'key_action', 'seen') then occurred_at end) as last_seen_at,
        max(case when event_kind = 'log_in' then occurred_at end) as last_log_in_at,
        max(case when event_kind = 'key_action' then occurred_at end) as last_key_action_at,
        max(case when event_kind = 'key_action' and is_purchase then occurred_at end) as last_purchase_at,
        max(case when event_kind = 'email_click' then occurred_at end) as last_email_click_at,
        max(case when event_kind = 'email_open' then occurred_at end) as last_email_open_at,
        max(case when is_payment_failure then occurred_at end) as last_payment_failure_at,
        {{ count_if("event_kind = 'key_action'") }} as key_actions,
        {{ count_if("event_kind = 'key_action' and is_purchase") }} as purchases,
        {{ dbt.bool_or('is_made_up') }} as is_made_up,
        max(loaded_at) as last_loaded_at
    from arrivals
    group by lead_id, active_on
),

-- How often too many. Repeats are few: taking them off is cheaper than counting distinct events everywhere.
repeats as (
    select
        lead_id,
        active_on,
        count(*) - 1 as key_actions,
        greatest({{ count_if('is_purchase') }} - 1, 0) as purchases
    from arrivals
    where event_kind = 'key_action'
    group by lead_id, active_on, event_id
    having count(*) > 1
),

repeat_days as (
    select
        lead_id,
        active_on,
        sum(key_actions) as key_actions,
        sum(purchases) as purchases
    from repeats
    group by lead_id, active_on
),

lead_days as (
    select
        days.lead_id,
        days.active_on,
        days.first_event_at,
        days.last_seen_at,
        days.last_log_in_at,
        days.last_key_action_at,
        days.last_purchase_at,
        days.last_email_click_at,
        days.last_email_open_at,
        days.last_payment_failure_at,
        cast(days.key_actions - coalesce(repeat_days.key_actions, 0) as {{ dbt.type_bigint() }}) as key_actions,
        cast(days.purchases - coalesce(repeat_days.purchases, 0) as {{ dbt.type_bigint() }}) as purchases,
        days.is_made_up,
        days.last_loaded_at
    from days
    left join repeat_days
        on
            days.lead_id = repeat_days.lead_id
            and days.active_on = repeat_days.active_on
)
{%- endmacro %}


{#
  The condition on `occurred_at` that takes the days with anything new: those of rows loaded since the newest row in the
  table, and some hours before it (rekindle__late_window_hours), because a load that began earlier may commit later.
  Literals, so that every engine reads the days' own partitions. Everything, if what counts as what has changed since.
#}
{% macro days_with_news(relation, fingerprint) -%}
    {%- if not execute -%}
        {{ return('true') }}
    {%- endif -%}
    {%- set last = run_query(
        'select max(last_loaded_at) as loaded_until, min(kinds_fingerprint) as one, max(kinds_fingerprint) as other '
        ~ 'from ' ~ relation
    ).rows[0] -%}
    {%- if not last[0] or last[1] != fingerprint or last[2] != fingerprint -%}
        {{ return('true') }}
    {%- endif -%}
    {%- set since = last[0] - modules.datetime.timedelta(hours=var('rekindle__late_window_hours')) -%}
    {%- set new_days = run_query(
        'select distinct cast(occurred_at as date) as active_on from ' ~ ref('base_app__event_arrivals')
        ~ " where loaded_at >= cast('" ~ since.strftime('%Y-%m-%d %H:%M:%S.%f') ~ "' as " ~ dbt.type_timestamp()
        ~ ') order by 1'
    ).columns[0].values() -%}
    {%- set ranges = [] -%}
    {%- for day in new_days -%}
        {%- if ranges and ranges[-1][1] == day -%}
            {%- do ranges[-1].append(ranges[-1].pop() + modules.datetime.timedelta(days=1)) -%}
        {%- else -%}
            {%- do ranges.append([day, day + modules.datetime.timedelta(days=1)]) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set conditions = ['false'] -%}
    {%- for first, after in ranges -%}
        {%- do conditions.append(
            "(occurred_at >= cast('" ~ first ~ "' as " ~ dbt.type_timestamp() ~ ") and occurred_at < cast('" ~ after
            ~ "' as " ~ dbt.type_timestamp() ~ '))'
        ) -%}
    {%- endfor -%}
    {{ return('(' ~ conditions | join(' or ') ~ ')') }}
{%- endmacro %}


{# What counts as what, and how it is summed up: what was summed up otherwise is computed anew. #}
{% macro history_fingerprint() -%}
    {{ return(local_md5([
        event_kind('event_type'), event_types('rekindle__purchase_events'),
        event_types('rekindle__payment_failure_events'), lead_days('true'),
    ] | join('/'))) }}
{%- endmacro %}


{# The same of a lead's history. The number changes with what its rows hold: the last one added the last day's counts. #}
{% macro lead_history_fingerprint() -%}
    {{ return(local_md5(history_fingerprint() ~ '/2')) }}
{%- endmacro %}


{#
  The condition on lead days that finds the leads to compute anew: a day since the last run's, or anything loaded since
  the newest row that is known. Everybody, when this run's as_of is before the last one's.
#}
{% macro leads_with_news(relation) -%}
    {%- if not execute -%}
        {{ return('true') }}
    {%- endif -%}
    {%- set last = run_query(
        'select max(last_loaded_at) as loaded_until, max(known_as_of) as known_as_of, '
        ~ 'min(kinds_fingerprint) as one, max(kinds_fingerprint) as other from ' ~ relation
    ).rows[0] -%}
    {%- set pattern = '%Y-%m-%d %H:%M:%S.%f' -%}
    {%- if not last[0] or last[2] != lead_history_fingerprint() or last[3] != lead_history_fingerprint()
        or last[1].strftime(pattern) > as_of_text(pattern) -%}
        {{ return('true') }}
    {%- endif -%}
    {%- set since = last[0] - modules.datetime.timedelta(hours=var('rekindle__late_window_hours')) -%}
    {{ return(
        "active_on >= cast('" ~ last[1].strftime('%Y-%m-%d') ~ "' as date) or last_loaded_at >= cast('"
        ~ since.strftime(pattern) ~ "' as " ~ dbt.type_timestamp() ~ ')'
    ) }}
{%- endmacro %}
