-- Why a whole batch waits: the account may send nothing now. Once per message and run.
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
    $reason as reason,
    $detail as detail,
    $now as decided_at,
    $next_due_at as next_due_at,
    $run_id as run_id
from {{ state }}.messages as messages
where
    messages.batch_id = $batch_id
    and messages.status = 'planned'
    and messages.arm = 'treatment'
    and not exists (
        select 1
        from {{ state }}.decisions as earlier
        where
            earlier.message_id = messages.message_id
            and earlier.reason = $reason
            and earlier.run_id = $run_id
    )
