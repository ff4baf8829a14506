{% from "macros/moves.jinja" import go, insert_transitions, standing_on with context -%}
-- The wait is over, or the step took no time: on to the next step, or out.
{{ insert_transitions() }}
with moves as (
    select
        journeys.entry_id,
        journeys.campaign_id,
        journeys.last_sequence,
        journeys.stage,
        'next' as way,
        $reason as reason,
        journeys.due_at as happened_at
    from {{ state }}.journey_state as journeys
    where
        {{ standing_on() | indent }}
        and journeys.due_at <= $as_of
)

{{ go("moves") }}
