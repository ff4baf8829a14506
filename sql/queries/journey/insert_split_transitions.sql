{% from "macros/moves.jinja" import drawn, go, insert_transitions, standing_on with context -%}
-- A split: the way drawn for the household, always the same one.
{{ insert_transitions() }}
with due as (
    select
        journeys.entry_id,
        journeys.campaign_id,
        journeys.last_sequence,
        journeys.stage,
        journeys.due_at,
        {{ hash_fraction(
            "$salt || '|' || journeys.campaign_id || '|' || journeys.stage || '|'"
            ~ " || coalesce(entries.household_id, journeys.person_id)"
        ) }} as draw
    from {{ state }}.journey_state as journeys
    inner join {{ state }}.journey_entries as entries on journeys.entry_id = entries.entry_id
    where
        {{ standing_on() | indent }}
        and journeys.due_at <= $as_of
        and entries.entered_at >= $oldest_entered_at
),

moves as (
    select
        due.entry_id,
        due.campaign_id,
        due.last_sequence,
        due.stage,
        {{ drawn("due.draw", options | default("a.1000000")) | indent(8) }} as way,
        'drawn' as reason,
        due.due_at as happened_at
    from due
)

{{ go("moves") }}
