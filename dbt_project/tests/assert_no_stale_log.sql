{#
  Stops the day, before anybody is written to: a log that stopped arriving says that everybody is silent.
  `dbt source freshness` asks the same of the clock on the wall; this asks it of as_of, so that a day that is run late
  is judged by what was loaded for it.
#}
{{ config(tags=['daily_score']) }}
{%- set hours = stop_limit('rekindle__stale_after_hours', 'REKINDLE_STALE_AFTER_HOURS') %}

with

loads as (
    -- a mapped log may not tell when it was loaded: then what it holds says how far it has come
    select coalesce(max(last_loaded_at), max(first_event_at)) as last_loaded_at
    from {{ ref('int_lead_days') }}
)

select last_loaded_at
from loads
where
    {{ hours }} > 0
    and {{ days_between('last_loaded_at', as_of_timestamp()) }} * 24 > {{ hours }}
