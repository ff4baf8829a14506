-- The run was not approved: whoever is due at the step stays there, and the next run asks again.
insert into {{ state }}.decisions (
    entry_id, campaign_id, lead_id, step_id, channel, reason, detail, decided_at, next_due_at, run_id
)
select
    journeys.entry_id,
    journeys.campaign_id,
    journeys.lead_id,
    $step_id as step_id,
    $channel as channel,
    'not_approved' as reason,
    $answered_by as detail,
    $as_of as decided_at,
    cast(null as {{ timestamp }}) as next_due_at,
    $run_id as run_id
from {{ state }}.journey_state as journeys
left join {{ state }}.lost_turns as lost_turns on journeys.entry_id = lost_turns.entry_id and lost_turns.as_of = $as_of
left join {{ state }}.decisions as known
    on
        journeys.entry_id = known.entry_id
        and known.step_id = $step_id
        and known.reason = 'not_approved'
        and known.decided_at = $as_of
where
    journeys.campaign_id = $campaign_id
    and journeys.journey_version = $journey_version
    and journeys.stage = $step_id
    and journeys.exit_reason is null
    and journeys.arm = 'treatment'
    and journeys.due_at <= $as_of
    and lost_turns.entry_id is null
    and known.entry_id is null
