-- Each entry is in exactly one stage, every change is a transition row, and journey_state equals their fold.
with last_transitions as (
    select
        entry_id,
        to_stage,
        exit_reason,
        due_at,
        sequence,
        row_number() over (partition by entry_id order by sequence desc) as recency,
        lag(to_stage) over (partition by entry_id order by sequence asc) as previous_stage,
        from_stage,
        row_number() over (partition by entry_id order by sequence asc) as position
    from {{ state }}.journey_transitions
),

broken_chains as (
    select count(*) as violations
    from last_transitions
    where
        sequence <> position
        or from_stage is distinct from previous_stage
        -- nobody comes back from an exit
        or from_stage = 'exited'
),

states as (
    select
        entries.entry_id,
        count(journeys.entry_id) as state_rows,
        max(
            case
                when
                    journeys.stage = folded.to_stage
                    and journeys.exit_reason is not distinct from folded.exit_reason
                    and journeys.due_at is not distinct from folded.due_at
                    and journeys.last_sequence = folded.sequence
                    and (journeys.stage = 'exited') = (journeys.exit_reason is not null)
                    then 1
                else 0
            end
        ) as is_folded
    from {{ state }}.journey_entries as entries
    left join {{ state }}.journey_state as journeys on entries.entry_id = journeys.entry_id
    left join last_transitions as folded on entries.entry_id = folded.entry_id and folded.recency = 1
    group by entries.entry_id
)

select
    (select broken_chains.violations from broken_chains)
    + coalesce(sum(case when state_rows <> 1 or is_folded <> 1 then 1 else 0 end), 0) as violations,
    count(*) as checked,
    'entries' as unit
from states
