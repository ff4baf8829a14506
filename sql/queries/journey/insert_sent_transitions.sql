{% from "macros/moves.jinja" import go, insert_transitions, standing_on with context -%}
-- A message of this send step is settled enough to go on. The wait counts from its acceptance; for a holdout from when
-- it would have left, and for an outcome nobody ever told from its attempt. Nobody who is still under way entered
-- before oldest_entered_at.
{{ insert_transitions() }}
with moves as (
    select
        journeys.entry_id,
        journeys.campaign_id,
        journeys.last_sequence,
        journeys.stage,
        'next' as way,
        case
            when messages.status = 'withheld' then 'message_withheld'
            when messages.status = 'aged_out' then 'message_aged_out'
            else 'message_accepted'
        end as reason,
        coalesce(messages.accepted_at, messages.attempting_at, messages.settled_at) as happened_at
    from {{ state }}.journey_state as journeys
    inner join {{ state }}.messages as messages
        on journeys.entry_id = messages.entry_id and journeys.stage = messages.step_id
    where
        {{ standing_on() | indent }}
        and messages.planned_at >= $oldest_entered_at
        and messages.status in ('accepted', 'sent', 'delivered', 'undelivered', 'withheld', 'aged_out')
)

{{ go("moves") }}
