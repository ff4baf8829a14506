{% from "macros/moves.jinja" import renamed with context -%}
-- Leads of older versions come to the newest one, each to the step that its step is called now. Who has a message under
-- way at the step stays until that is settled: under another name it would be sent twice.
-- Word `stages`: `old.new` for each step that is called differently.
insert into {{ state }}.journey_transitions (
    entry_id, campaign_id, sequence, from_stage, to_stage, reason, due_at, exit_reason, happened_at, recorded_at,
    run_id, journey_version
)
with under_way as (
    select distinct
        messages.entry_id,
        messages.step_id
    from {{ state }}.messages as messages
    where messages.campaign_id = $campaign_id and messages.status not in ('expired', 'failed')
)

select
    journeys.entry_id,
    journeys.campaign_id,
    journeys.last_sequence + 1 as sequence,
    journeys.stage as from_stage,
    {{ renamed("journeys.stage", stages | default("")) }} as to_stage,
    'moved_to_version' as reason,
    journeys.due_at,
    cast(null as {{ text }}) as exit_reason,
    $as_of as happened_at,
    $recorded_at as recorded_at,
    $run_id as run_id,
    $journey_version as journey_version
from {{ state }}.journey_state as journeys
left join under_way on journeys.entry_id = under_way.entry_id and journeys.stage = under_way.step_id
where
    journeys.campaign_id = $campaign_id
    and journeys.exit_reason is null
    and journeys.journey_version <> $journey_version
    and under_way.entry_id is null
