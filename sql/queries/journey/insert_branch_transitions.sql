{% from "macros/moves.jinja" import go, insert_transitions, standing_on with context -%}
{% from "macros/conditions.jinja" import case_facts, case_joins, way_of_case with context -%}
-- A branch: the way of the first case that holds now.
{{ insert_transitions() }}
with due as (
    select
        journeys.entry_id,
        journeys.campaign_id,
        journeys.lead_id,
        journeys.last_sequence,
        journeys.stage,
        journeys.due_at,
        entries.cold_score,
        entries.segment,
        entries.variant
    from {{ state }}.journey_state as journeys
    inner join {{ state }}.journey_entries as entries on journeys.entry_id = entries.entry_id
    where
        {{ standing_on() | indent }}
        and journeys.due_at <= $as_of
        and entries.entered_at >= $oldest_entered_at
),

{{ case_facts() }}
moves as (
    select
        due.entry_id,
        due.campaign_id,
        due.last_sequence,
        due.stage,
        {{ way_of_case() | indent(8) }} as way,
        'branched' as reason,
        due.due_at as happened_at
    from due
    {{ case_joins() }}
)

{{ go("moves") }}
