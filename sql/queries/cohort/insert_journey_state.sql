insert into {{ state }}.journey_state (
    entry_id, campaign_id, lead_id, person_id, arm, stage, stage_entered_at, due_at, exit_reason, exited_at,
    journey_version, last_sequence, updated_at
)
select
    entries.entry_id,
    entries.campaign_id,
    entries.lead_id,
    entries.person_id,
    entries.arm,
    transitions.to_stage as stage,
    transitions.happened_at as stage_entered_at,
    transitions.due_at,
    cast(null as {{ text }}) as exit_reason,
    cast(null as {{ timestamp }}) as exited_at,
    entries.journey_version,
    transitions.sequence as last_sequence,
    transitions.recorded_at as updated_at
from {{ state }}.journey_entries as entries
inner join {{ state }}.journey_transitions as transitions
    on entries.entry_id = transitions.entry_id and transitions.sequence = 1
left join {{ state }}.journey_state as journeys on entries.entry_id = journeys.entry_id
where
    entries.campaign_id = $campaign_id
    and entries.cohort_date = $cohort_date
    and journeys.entry_id is null
