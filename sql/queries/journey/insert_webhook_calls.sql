{% from "macros/moves.jinja" import standing_on with context -%}
-- What another system is to be told about those who pass the step now. Nobody hears of who is held out.
insert into {{ state }}.webhook_calls (
    call_id, entry_id, campaign_id, lead_id, step_id, connection_id, event, happened_at, status, attempts,
    next_attempt_at, error, told_at, recorded_at, run_id
)
with passing as (
    select
        journeys.entry_id,
        journeys.campaign_id,
        journeys.lead_id,
        journeys.stage,
        journeys.due_at,
        {{ stable_id_digest("journeys.entry_id", "journeys.stage", "'webhook'") }} as digest
    from {{ state }}.journey_state as journeys
    where
        {{ standing_on() | indent }}
        and journeys.due_at <= $as_of
        and journeys.arm = 'treatment'
)

select
    {{ uuid_of_digest("passing.digest") }} as call_id,
    passing.entry_id,
    passing.campaign_id,
    passing.lead_id,
    passing.stage as step_id,
    $connection_id as connection_id,
    $event as event,
    passing.due_at as happened_at,
    'waiting' as status,
    0 as attempts,
    $as_of as next_attempt_at,
    cast(null as {{ text }}) as error,
    cast(null as {{ timestamp }}) as told_at,
    $recorded_at as recorded_at,
    $run_id as run_id
from passing
