select
    messages.message_id,
    messages.channel,
    messages.arm,
    messages.status,
    messages.claimed_at,
    messages.attempting_at,
    entries.email_hash,
    entries.phone_hash,
    journeys.exited_at
from {{ state }}.messages as messages
inner join {{ state }}.journey_entries as entries on messages.entry_id = entries.entry_id
inner join {{ state }}.journey_state as journeys on messages.entry_id = journeys.entry_id
where messages.status in ('accepted', 'sent', 'delivered', 'undelivered')
order by messages.message_id
