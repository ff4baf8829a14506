select
    journey_state.campaign_id,
    journey_state.arm,
    journey_state.stage,
    journey_state.stage_entered_at,
    journey_state.due_at,
    journey_state.exit_reason,
    journey_state.exited_at
from {{ state }}.journey_state as journey_state
where journey_state.lead_id = $lead_id
order by journey_state.campaign_id, journey_state.stage_entered_at
