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
        count(*) as arrivals,
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
        days.arrivals,
        days.last_loaded_at
    from days
    left join repeat_days
        on
            days.lead_id = repeat_days.lead_id
            and days.active_on = repeat_days.active_on
)
{%- endmacro %}


{# Whether a relation is there and has these columns: one that an earlier release made may lack some. #}
{% macro has_columns(relation, columns) -%}
    {%- set known = adapter.get_relation(relation.database, relation.schema, relation.identifier) -%}
    {%- set there = adapter.get_columns_in_relation(known) if known else [] -%}
    {{ return(there | map(attribute='name') | map('lower') | select('in', columns) | list | length == columns | length) }}
{%- endmacro %}


{# The condition that takes some ranges of days, each a first day and the day after its last one, as literals of a type. #}
{% macro within_days(column, ranges, type) -%}
    {%- set conditions = ['false'] -%}
    {%- for first, after in ranges -%}
        {%- do conditions.append(
            '(' ~ column ~ " >= cast('" ~ first ~ "' as " ~ type ~ ') and ' ~ column ~ " < cast('" ~ after ~ "' as "
            ~ type ~ '))'
        ) -%}
    {%- endfor -%}
    {{ return('(' ~ conditions | join(' or ') ~ ')') }}
{%- endmacro %}


{# Days in ascending order as ranges for `within_days`. #}
{% macro ranges_of_days(days) -%}
    {%- set ranges = [] -%}
    {%- for day in days -%}
        {%- if ranges and ranges[-1][1] == day -%}
            {%- do ranges[-1].append(ranges[-1].pop() + modules.datetime.timedelta(days=1)) -%}
        {%- else -%}
            {%- do ranges.append([day, day + modules.datetime.timedelta(days=1)]) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(ranges) }}
{%- endmacro %}


{#
  The condition on `occurred_at` that takes the days with anything new. Looked at are those of rows loaded since the
  newest row in the table, and some hours before it (rekindle__late_window_hours), because a load that began earlier may
  commit later; new are those of which the log has more or fewer rows than were summed up, or newer ones. Literals, so
  that every engine reads the days' own partitions. Everything, if what counts as what has changed since.
#}
{% macro days_with_news(relation, fingerprint) -%}
    {%- if not execute or not has_columns(relation, ['arrivals', 'revision', 'kinds_digest']) -%}
        {{ return('true') }}
    {%- endif -%}
    {%- set last = run_query(
        'select max(last_loaded_at) as loaded_until, min(kinds_digest) as one, max(kinds_digest) as other '
        ~ 'from ' ~ relation
    ).rows[0] -%}
    {%- if not last[0] or last[1] != fingerprint or last[2] != fingerprint -%}
        {{ return('true') }}
    {%- endif -%}
    {%- set since = last[0] - modules.datetime.timedelta(hours=var('rekindle__late_window_hours')) -%}
    {%- set loaded_days = run_query(
        'select distinct cast(occurred_at as date) as active_on from ' ~ ref('base_app__event_arrivals')
        ~ " where loaded_at >= cast('" ~ since.strftime('%Y-%m-%d %H:%M:%S.%f') ~ "' as " ~ dbt.type_timestamp()
        ~ ') order by 1'
    ).columns[0].values() -%}
    {%- set ranges = ranges_of_days(loaded_days) -%}
    {%- set new_days = run_query(
        'select logged.active_on from (select cast(occurred_at as date) as active_on, count(*) as arrivals, '
        ~ 'max(loaded_at) as last_loaded_at from ' ~ ref('base_app__event_arrivals') ~ ' where '
        ~ within_days('occurred_at', ranges, dbt.type_timestamp()) ~ ' group by 1) as logged left join '
        ~ '(select active_on, sum(arrivals) as arrivals, max(last_loaded_at) as last_loaded_at from ' ~ relation
        ~ ' where ' ~ within_days('active_on', ranges, 'date') ~ ' group by 1) as summed_up '
        ~ 'on logged.active_on = summed_up.active_on where summed_up.active_on is null '
        ~ 'or summed_up.arrivals != logged.arrivals or summed_up.last_loaded_at != logged.last_loaded_at order by 1'
    ).columns[0].values() -%}
    {{ return(within_days('occurred_at', ranges_of_days(new_days), dbt.type_timestamp())) }}
{%- endmacro %}


{# The number of the run that sums up days: one more than any day has. A full refresh counts on. #}
{% macro next_revision(relation) -%}
    {%- if not execute or not has_columns(relation, ['revision']) -%}
        {{ return(1) }}
    {%- endif -%}
    {{ return((run_query('select max(revision) as revision from ' ~ relation).rows[0][0] or 0) + 1) }}
{%- endmacro %}


{# A text as a number that a warehouse stores once for all rows of a table, where a text is stored for each. #}
{% macro digest(text) -%}
    {{ return(local_md5(text)[:15] | int(base=16)) }}
{%- endmacro %}


{# What counts as what, and how it is summed up: what was summed up otherwise is computed anew. #}
{% macro history_fingerprint() -%}
    {{ return(digest([
        event_kind('event_type'), event_types('rekindle__purchase_events'),
        event_types('rekindle__payment_failure_events'), lead_days('true'),
    ] | join('/'))) }}
{%- endmacro %}


{# The same of a lead's history. The number changes with what its rows hold: the last one added the last day's counts. #}
{% macro lead_history_fingerprint() -%}
    {{ return(digest(history_fingerprint() ~ '/2')) }}
{%- endmacro %}


{#
  The condition on lead days that finds the leads to compute anew: a day since the last run's, or one that was summed up
  since. Everybody, when this run's as_of is before the last one's, or all days were summed up anew.
#}
{% macro leads_with_news(relation) -%}
    {%- if not execute or not has_columns(relation, ['days_revision', 'kinds_digest']) -%}
        {{ return('true') }}
    {%- endif -%}
    {%- set last = run_query(
        'select max(days_revision) as days_revision, max(known_as_of) as known_as_of, '
        ~ 'min(kinds_digest) as one, max(kinds_digest) as other from ' ~ relation
    ).rows[0] -%}
    {%- set revisions = run_query(
        'select min(revision) as first_revision, max(revision) as revision from ' ~ ref('int_lead_days')
    ).rows[0] -%}
    {%- set pattern = '%Y-%m-%d %H:%M:%S.%f' -%}
    {%- if not last[0] or last[2] != lead_history_fingerprint() or last[3] != lead_history_fingerprint()
        or last[1].strftime(pattern) > as_of_text(pattern)
        or last[0] > (revisions[1] or 0) or last[0] < (revisions[0] or 0) -%}
        {{ return('true') }}
    {%- endif -%}
    {{ return(
        "active_on >= cast('" ~ last[1].strftime('%Y-%m-%d') ~ "' as date) or revision > " ~ last[0]
    ) }}
{%- endmacro %}
