-- Bring journey_state to the transition that was just appended. Who has left moves no more.
update {{ state }}.journey_state as journeys
set
    stage = moves.to_stage,
    stage_entered_at
    = case when moves.to_stage = moves.from_stage then journeys.stage_entered_at else moves.happened_at end,
    due_at = moves.due_at,
    exit_reason = moves.exit_reason,
    exited_at = case when moves.exit_reason is null then null else moves.happened_at end,
    journey_version = coalesce(moves.journey_version, journeys.journey_version),
    last_sequence = moves.sequence,
    updated_at = moves.recorded_at
from {{ state }}.journey_transitions as moves
where
    journeys.exit_reason is null
    and journeys.entry_id = moves.entry_id
    and journeys.last_sequence + 1 = moves.sequence
    and moves.recorded_at = $recorded_at
    and moves.run_id = $run_id
