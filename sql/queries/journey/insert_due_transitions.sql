-- The wait is over: on to the next step, or out.
insert into {{ state }}.journey_transitions (
    entry_id, campaign_id, sequence, from_stage, to_stage, reason, due_at, exit_reason, happened_at, recorded_at, run_id
)
select
    journeys.entry_id,
    journeys.campaign_id,
    journeys.last_sequence + 1 as sequence,
    journeys.stage as from_stage,
    $next_stage as to_stage,
    'wait_over' as reason,
    case when $exit_reason is null then {{ add_seconds("journeys.due_at", "$wait_seconds") }} end as due_at,
    $exit_reason as exit_reason,
    journeys.due_at as happened_at,
    $recorded_at as recorded_at,
    $run_id as run_id
from {{ state }}.journey_state as journeys
where
    journeys.campaign_id = $campaign_id
    and journeys.stage = $stage
    and journeys.exit_reason is null
    and journeys.due_at <= $as_of
