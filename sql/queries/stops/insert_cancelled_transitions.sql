-- A person stopped it in mode `cancel`: who is in flight ends here; of a channel, who stands at a step of it.
insert into {{ state }}.journey_transitions (
    entry_id, campaign_id, sequence, from_stage, to_stage, reason, due_at, exit_reason, happened_at, recorded_at, run_id
)
select
    journeys.entry_id,
    journeys.campaign_id,
    journeys.last_sequence + 1 as sequence,
    journeys.stage as from_stage,
    'exited' as to_stage,
    'stopped' as reason,
    cast(null as {{ timestamp }}) as due_at,
    'cancelled' as exit_reason,
    $as_of as happened_at,
    $recorded_at as recorded_at,
    $run_id as run_id
from {{ state }}.journey_state as journeys
where
    journeys.campaign_id = $campaign_id
    and journeys.exit_reason is null
    and (cast($stage as {{ text }}) is null or journeys.stage = $stage)
