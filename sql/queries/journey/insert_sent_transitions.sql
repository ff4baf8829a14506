-- A message of this send step is settled enough to go on. The wait counts from its acceptance; for a holdout from when
-- it would have left, and for an outcome nobody ever told from its attempt.
insert into {{ state }}.journey_transitions (
    entry_id, campaign_id, sequence, from_stage, to_stage, reason, due_at, exit_reason, happened_at, recorded_at, run_id
)
select
    journeys.entry_id,
    journeys.campaign_id,
    journeys.last_sequence + 1 as sequence,
    journeys.stage as from_stage,
    $next_stage as to_stage,
    case
        when messages.status = 'withheld' then 'message_withheld'
        when messages.status = 'aged_out' then 'message_aged_out'
        else 'message_accepted'
    end as reason,
    case
        when $exit_reason is null
            then
                {{ add_seconds(
                    "coalesce(messages.accepted_at, messages.attempting_at, messages.settled_at)", "$wait_seconds"
                ) }}
    end as due_at,
    $exit_reason as exit_reason,
    coalesce(messages.accepted_at, messages.attempting_at, messages.settled_at) as happened_at,
    $recorded_at as recorded_at,
    $run_id as run_id
from {{ state }}.journey_state as journeys
inner join {{ state }}.messages as messages
    on journeys.entry_id = messages.entry_id and journeys.stage = messages.step_id
where
    journeys.campaign_id = $campaign_id
    and journeys.stage = $stage
    and journeys.exit_reason is null
    and messages.status in ('accepted', 'sent', 'delivered', 'undelivered', 'withheld', 'aged_out')
