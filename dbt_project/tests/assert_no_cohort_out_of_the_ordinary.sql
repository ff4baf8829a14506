{#
  Stops the day, before anybody is written to: nobody crossed the line, or several times as many as usual. A log that
  stopped arriving, was loaded by half or holds a list imported by accident looks like this, and so does a changed weight
  that nobody looked at with `rekindle diff-score`.

  Usual is the median of the 14 days before, by the day each lead crossed, times the days since the last scoring. Nothing
  is usual before seven days are known, and no number under `rekindle__cohort_least` is told from chance.
#}
{{ config(tags=['daily_score']) }}
{%- set times = stop_limit('rekindle__cohort_times_usual', 'REKINDLE_COHORT_TIMES_USUAL') %}
{%- set least = var('rekindle__cohort_least') %}

with

transitions as (
    select * from {{ ref('fct_cold_transitions') }}
    where scored_on <= {{ as_of_date() }}
),

earlier as (
    select
        min(case when is_cold then crossed_cold_on end) as known_from,
        max(scored_on) as scored_on
    from transitions
    where scored_on < {{ as_of_date() }}
),

days as (
    {% for days_ago in range(14) %}
    select {{ days_before_date('scored_on', days_ago) }} as crossed_on
    from earlier
    where {{ days_before_date('scored_on', days_ago) }} >= known_from
    {{- ' union all' if not loop.last }}
    {% endfor %}
),

crossings_by_day as (
    select
        days.crossed_on,
        count(transitions.lead_id) as crossings
    from days
    left join transitions
        on
            days.crossed_on = transitions.crossed_cold_on
            and transitions.is_cold
            and transitions.scored_on < {{ as_of_date() }}
    group by days.crossed_on
),

placed as (
    select
        crossings,
        row_number() over (order by crossings, crossed_on) as place,
        count(*) over () as known_days
    from crossings_by_day
),

usual as (
    select
        avg(crossings) as crossings,
        max(known_days) as known_days
    from placed
    where 2 * place between known_days and known_days + 2
),

cohort as (
    select {{ count_if('is_cold and crossed_cold_on is not null') }} as leads
    from transitions
    where scored_on = {{ as_of_date() }}
),

compared as (
    select
        cohort.leads,
        usual.known_days,
        usual.crossings * {{ dbt.datediff('earlier.scored_on', as_of_date(), 'day') }} as usual_leads
    from cohort
    cross join usual
    cross join earlier
)

select
    leads,
    usual_leads,
    known_days
from compared
where
    {{ times }} > 0
    and known_days >= 7
    and (
        (leads = 0 and usual_leads >= {{ least }})
        or (leads >= {{ times }} * usual_leads and leads >= {{ times }} * {{ least }})
    )
