{% from "macros/moves.jinja" import go, insert_transitions, standing_on with context -%}
-- A wait for an app event: `then` when it came in time, `otherwise` when the time is over.
{{ insert_transitions() }}
with waiting as (
    select
        journeys.entry_id,
        journeys.campaign_id,
        journeys.lead_id,
        journeys.last_sequence,
        journeys.stage,
        journeys.stage_entered_at,
        journeys.due_at
    from {{ state }}.journey_state as journeys
    where
        {{ standing_on() | indent }}
),

came as (
    select
        waiting.entry_id,
        min(events.occurred_at) as occurred_at
    from waiting
    inner join {{ activation }}.sync_named_events as events on waiting.lead_id = events.lead_id
    where
        events.event_name = $event
        and events.occurred_at > waiting.stage_entered_at
        and events.occurred_at >= $oldest_entered_at
        and events.occurred_at <= waiting.due_at
        and events.occurred_at <= $as_of
    group by waiting.entry_id
),

moves as (
    select
        waiting.entry_id,
        waiting.campaign_id,
        waiting.last_sequence,
        waiting.stage,
        case when came.entry_id is null then 'otherwise' else 'then' end as way,
        case when came.entry_id is null then 'event_did_not_come' else 'event_came' end as reason,
        coalesce(came.occurred_at, waiting.due_at) as happened_at
    from waiting
    left join came on waiting.entry_id = came.entry_id
    where came.entry_id is not null or waiting.due_at <= $as_of
)

{{ go("moves") }}
