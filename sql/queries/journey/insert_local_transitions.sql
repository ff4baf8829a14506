{% from "macros/moves.jinja" import go, insert_transitions, join_local_waits, standing_on, waited with context -%}
-- A wait for a time of day where the lead is: until the instant computed for the evidence, on at once without any.
{{ insert_transitions() }}
with waiting as (
    select
        journeys.entry_id,
        journeys.campaign_id,
        journeys.last_sequence,
        journeys.stage,
        greatest(journeys.due_at, coalesce(waits.waits_until, journeys.due_at)) as due_at
    from {{ state }}.journey_state as journeys
    {{ join_local_waits() | indent }}
    where
        {{ standing_on() | indent }}
        and journeys.due_at <= $as_of
),

moves as (
    {{ waited("waiting", "waits_for_time_of_day") | indent }}
)

{{ go("moves", stays=true) }}
