{#
  Whether a lead is cold has a memory (two thresholds), and this table is it: the state before a day is the last row of
  the lead from an earlier day. Running a day again deletes that day's rows and writes the same ones. The history can
  not be rebuilt from the log alone, so a full refresh leaves it alone.
#}
{{ config(
    materialized='incremental',
    full_refresh=false,
    on_schema_change='append_new_columns',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where scored_on = {{ as_of_date() }}{% endif %}",
) }}

with

scores as (
    select * from {{ ref('int_leads_scored') }}
),

previous_states as (
    {% if is_incremental() %}
    select
        lead_id,
        preset,
        is_cold
    from {{ this }}
    where scored_on < {{ as_of_date() }}
    qualify row_number() over (partition by lead_id, preset order by scored_on desc nulls last) = 1
    {% else %}
    select
        cast(null as {{ dbt.type_string() }}) as lead_id,
        cast(null as {{ dbt.type_string() }}) as preset,
        false as is_cold
    from scores
    where false
    {% endif %}
),

-- Enters at enter_score, leaves below leave_score: between the two a lead stays what it was.
judged as (
    select
        scores.*,
        coalesce(previous_states.is_cold, false) as was_cold,
        scores.cold_score >= scores.enter_score
        or (coalesce(previous_states.is_cold, false) and scores.cold_score >= scores.leave_score) as is_cold
    from scores
    left join previous_states
        on
            scores.lead_id = previous_states.lead_id
            and scores.preset = previous_states.preset
),

changed as (
    select * from judged
    where was_cold != is_cold
),

days as (
    {% for days_ago in range(1, 32) %}
    select {{ days_ago }} as days_ago
    {{- ' union all' if not loop.last }}
    {% endfor %}
),

-- The score only rises during silence, so the same score judged k days earlier says when it crossed. This is what
-- keeps leads that were cold long before Rekindle looked (a first run, an imported list, a changed weight) out of
-- the cohort, and what finds those who crossed while runs were missing.
warm_days as (
    select
        changed.lead_id,
        min(days.days_ago) as days_ago
    from changed
    inner join days on changed.late_window_days >= days.days_ago
    where
        changed.is_cold
        and (
            changed.known_age_days <= days.days_ago
            or {{ cold_score('days.days_ago') }} < changed.enter_score
        )
    group by changed.lead_id
),

transitions as (
    select
        changed.lead_id,
        {{ as_of_date() }} as scored_on,
        {{ as_of_timestamp() }} as scored_as_of,
        changed.preset,
        changed.score_version,
        changed.is_cold,
        changed.cold_score,
        {{ days_before_date(as_of_date(), 'warm_days.days_ago - 1') }} as crossed_cold_on
    from changed
    left join warm_days on changed.lead_id = warm_days.lead_id
)

select * from transitions
