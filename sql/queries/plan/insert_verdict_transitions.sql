-- Deferred entries get a later due date, unreachable ones move past the waits to the next step (or leave), refused ones
-- leave.
insert into {{ state }}.journey_transitions (
    entry_id, campaign_id, sequence, from_stage, to_stage, reason, due_at, exit_reason, happened_at, recorded_at, run_id
)
select
    journeys.entry_id,
    journeys.campaign_id,
    journeys.last_sequence + 1 as sequence,
    journeys.stage as from_stage,
    case
        when due.verdict = 'defer' then journeys.stage
        when due.verdict = 'skip' and $next_stage is not null then $next_stage
        else 'exited'
    end as to_stage,
    due.reason,
    case
        when due.verdict = 'defer' then due.next_due_at
        when due.verdict = 'skip' and $next_stage is not null then $as_of
    end as due_at,
    case
        when due.verdict = 'exit' then due.reason
        when due.verdict = 'skip' and $next_stage is null then 'no_reachable_channel'
    end as exit_reason,
    $as_of as happened_at,
    $recorded_at as recorded_at,
    $run_id as run_id
from {{ state }}.due_entries as due
inner join {{ state }}.journey_state as journeys on due.entry_id = journeys.entry_id
where
    due.campaign_id = $campaign_id
    and due.step_id = $step_id
    and due.verdict in ('defer', 'skip', 'exit')
    and journeys.exit_reason is null
    and journeys.stage = $step_id
