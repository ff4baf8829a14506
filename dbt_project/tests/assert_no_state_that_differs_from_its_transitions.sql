{# Stops the run: journey_state is the fold of journey_transitions, and neither has an entry that the other lacks. #}
{{ config(tags=['measure']) }}

with

latest_transitions as (
    select *
    from {{ source('rekindle_state', 'journey_transitions') }}
    where true
    qualify row_number() over (partition by entry_id order by sequence desc nulls last) = 1
),

entries as (
    select * from {{ source('rekindle_state', 'journey_entries') }}
),

states as (
    select * from {{ source('rekindle_state', 'journey_state') }}
)

select coalesce(entries.entry_id, states.entry_id, latest_transitions.entry_id) as entry_id
from entries
full outer join states on entries.entry_id = states.entry_id
full outer join latest_transitions on states.entry_id = latest_transitions.entry_id
where
    entries.entry_id is null
    or states.entry_id is null
    or latest_transitions.entry_id is null
    or states.stage != latest_transitions.to_stage
    or states.last_sequence != latest_transitions.sequence
    or coalesce(states.exit_reason, '') != coalesce(latest_transitions.exit_reason, '')
    or states.arm != entries.arm
