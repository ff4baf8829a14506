-- A person said stop: what is left of the batch stays planned, and goes when they say go on, unless it expires first.
insert into {{ state }}.decisions (
    entry_id, message_id, campaign_id, lead_id, step_id, channel, reason, detail, decided_at, next_due_at, run_id
)
select
    messages.entry_id,
    messages.message_id,
    messages.campaign_id,
    messages.lead_id,
    messages.step_id,
    messages.channel,
    'stopped' as reason,
    $detail as detail,
    $now as decided_at,
    cast(null as {{ timestamp }}) as next_due_at,
    $run_id as run_id
from {{ state }}.messages as messages
where
    messages.batch_id = $batch_id
    and messages.arm = 'treatment'
    and messages.status in ('planned', 'claimed')
    and (messages.attempt_id is null or messages.attempt_id = $attempt_id)
