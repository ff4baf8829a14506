{% from "macros/moves.jinja" import go, insert_transitions, join_local_waits, standing_on with context -%}
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
    select
        waiting.entry_id,
        waiting.campaign_id,
        waiting.last_sequence,
        waiting.stage,
        case when waiting.due_at <= $as_of then 'next' else 'stays' end as way,
        case when waiting.due_at <= $as_of then 'wait_over' else 'waits_for_time_of_day' end as reason,
        case when waiting.due_at <= $as_of then waiting.due_at else $as_of end as happened_at,
        waiting.due_at
    from waiting
)

{{ go("moves", stays=true) }}
