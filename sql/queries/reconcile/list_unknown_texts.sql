select
    messages.message_id,
    messages.body_hash,
    messages.attempting_at,
    contacts.phone
from {{ state }}.messages as messages
inner join {{ activation }}.sync_lead_contacts as contacts on messages.lead_id = contacts.lead_id
where messages.status = 'unknown' and messages.channel = 'sms' and contacts.phone_hash = messages.address_hash
order by messages.message_id
