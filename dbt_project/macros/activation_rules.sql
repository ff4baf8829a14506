{#
  Who a rule of the seed activation_rules offers to campaigns now: closes a `with` that has a CTE `candidates`
  (lead_id, happened_at and the columns named in `besides`). The rule is met `after_days` days after `happened_at`, and
  a lead is offered from then on for `late_window_days` days, so that a run that was missed loses nobody and a list
  imported by accident enters nothing old.

  With `hourly` it is judged as of the last refresh between two scorings. A lead that arrived after the last scoring is
  then its own person, without a score, until the next one.
#}
{% macro offered_by_rule(rule, besides=[], hourly=false) -%}
rules as (
    select * from {{ ref('activation_rules') }}
    where rule = '{{ rule }}'
),

scores as (
    select * from {{ ref('fct_cold_scores') }}
),

{% if hourly -%}
looks as (
    select * from {{ ref('int_last_look') }}
),

{% endif -%}
{%- set instant = 'looks.looked_as_of' if hourly else 'scores.scored_as_of' -%}
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
        {{ 'coalesce(scores.person_id, met.lead_id) as person_id' if hourly else 'scores.person_id' }},
        {%- for column in besides %}
        met.{{ column }},
        {%- endfor %}
        scores.cold_score,
        scores.score_contributions,
        cast(met.met_at as date) as crossed_cold_on,
        scores.segment,
        {{ instant }}{{ ' as scored_as_of' if hourly }}
    from met
    {% if hourly -%}
    cross join looks
    left join scores on met.lead_id = scores.lead_id
    {%- else -%}
    inner join scores on met.lead_id = scores.lead_id
    {%- endif %}
    where
        met.met_at <= {{ instant }}
        and met.met_at > {{ days_after(instant, '-met.late_window_days') }}
    {%- if besides %}
    -- one campaign writes to a lead about one thing: the one that comes first
    qualify row_number() over (
        partition by met.lead_id
        order by met.met_at asc nulls last, {{ 'met.' ~ besides | join(' asc nulls last, met.') }} asc nulls last
    ) = 1
    {%- endif %}
)
{%- endmacro %}


{#
  The CTE `candidates` of who did what the rule events call `rule` and bought nothing since, up to the last refresh. The
  scoring knows purchases up to itself; of the log only what came after it is read, and a day before it for what came
  late.
#}
{% macro nothing_bought_since(rule) -%}
rule_events as (
    select * from {{ ref('int_last_rule_events') }}
    where rule = '{{ rule }}'
),

activity as (
    select * from {{ ref('int_lead_activity_aggregated') }}
),

arrivals as (
    select * from {{ ref('base_app__event_arrivals') }}
    where is_purchase
),

last_scoring as (
    select * from {{ ref('int_last_scoring') }}
),

last_look as (
    select * from {{ ref('int_last_look') }}
),

purchases_since as (
    select
        arrivals.lead_id,
        max(arrivals.occurred_at) as last_purchase_at
    from arrivals
    cross join last_scoring
    cross join last_look
    where
        arrivals.occurred_at >= {{ days_after('last_scoring.scored_as_of', '-1') }}
        and arrivals.occurred_at < last_look.looked_as_of
    group by arrivals.lead_id
),

purchases as (
    select
        rule_events.lead_id,
        rule_events.occurred_at as happened_at,
        {{ latest_of('activity.last_purchase_at', 'purchases_since.last_purchase_at') }} as last_purchase_at
    from rule_events
    left join activity on rule_events.lead_id = activity.lead_id
    left join purchases_since on rule_events.lead_id = purchases_since.lead_id
),

candidates as (
    select
        lead_id,
        happened_at
    from purchases
    where last_purchase_at is null or last_purchase_at < happened_at
)
{%- endmacro %}
