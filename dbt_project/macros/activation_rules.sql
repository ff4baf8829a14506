{#
  Who a rule of the seed activation_rules offers to campaigns now: closes a `with` that has a CTE `candidates`
  (lead_id, happened_at and the columns named in `besides`). The rule is met `after_days` days after `happened_at`, and
  a lead is offered from then on for `late_window_days` days, so that a run that was missed loses nobody and a list
  imported by accident enters nothing old.
#}
{% macro offered_by_rule(rule, besides=[]) -%}
rules as (
    select * from {{ ref('activation_rules') }}
    where rule = '{{ rule }}'
),

scores as (
    select * from {{ ref('fct_cold_scores') }}
),

met as (
    select
        candidates.lead_id,
        {%- for column in besides %}
        candidates.{{ column }},
        {%- endfor %}
        rules.late_window_days,
        {{ seconds_after('candidates.happened_at', 'cast(round(rules.after_days * 86400) as bigint)') }} as met_at
    from candidates
    cross join rules
),

offered as (
    select
        met.lead_id,
        scores.person_id,
        {%- for column in besides %}
        met.{{ column }},
        {%- endfor %}
        scores.cold_score,
        scores.score_contributions,
        cast(met.met_at as date) as crossed_cold_on,
        scores.segment,
        scores.scored_as_of
    from met
    inner join scores on met.lead_id = scores.lead_id
    where
        met.met_at <= scores.scored_as_of
        and met.met_at > {{ days_after('scores.scored_as_of', '-met.late_window_days') }}
    {%- if besides %}
    -- one campaign writes to a lead about one thing: the one that comes first
    qualify row_number() over (
        partition by met.lead_id
        order by met.met_at asc nulls last, {{ 'met.' ~ besides | join(' asc nulls last, met.') }} asc nulls last
    ) = 1
    {%- endif %}
)
{%- endmacro %}
