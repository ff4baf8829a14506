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
    outcomes.reason,
    outcomes.error_code as detail,
    $now as decided_at,
    outcomes.next_due_at,
    $run_id as run_id
from {{ state }}.attempt_outcomes as outcomes
inner join {{ state }}.messages as messages on outcomes.message_id = messages.message_id
where
    outcomes.attempt_id = $attempt_id
    and outcomes.reason is not null
    -- who was overtaken (the lease ran out, a webhook spoke) has no say any more
    and messages.batch_id = $batch_id
    and messages.attempt_id = $attempt_id
    and messages.status = 'attempting'
