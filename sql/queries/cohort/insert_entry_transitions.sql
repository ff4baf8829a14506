-- The first transition of every entry that has none yet.
insert into {{ state }}.journey_transitions (
    entry_id, campaign_id, sequence, from_stage, to_stage, reason, due_at, exit_reason, happened_at, recorded_at, run_id
)
select
    entries.entry_id,
    entries.campaign_id,
    1 as sequence,
    cast(null as {{ text }}) as from_stage,
    $first_stage as to_stage,
    'entered' as reason,
    {{ add_seconds("entries.entered_at", "$wait_seconds") }} as due_at,
    cast(null as {{ text }}) as exit_reason,
    entries.entered_at as happened_at,
    $recorded_at as recorded_at,
    $run_id as run_id
from {{ state }}.journey_entries as entries
left join {{ state }}.journey_state as journeys on entries.entry_id = journeys.entry_id
where
    entries.campaign_id = $campaign_id
    and entries.cohort_date = $cohort_date
    and journeys.entry_id is null
