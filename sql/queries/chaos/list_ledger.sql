-- What the ledger says of every message, to be compared with the provider's own record.
select
    messages.message_id,
    messages.entry_id,
    messages.lead_id,
    messages.step_id,
    messages.channel,
    messages.arm,
    messages.status,
    messages.batch_id,
    messages.address_hash,
    count(decisions.decided_at) as deferrals
from {{ state }}.messages as messages
left join {{ state }}.decisions as decisions on messages.message_id = decisions.message_id
group by
    messages.message_id,
    messages.entry_id,
    messages.lead_id,
    messages.step_id,
    messages.channel,
    messages.arm,
    messages.status,
    messages.batch_id,
    messages.address_hash
order by messages.message_id
