select
    messages.message_id,
    messages.entry_id,
    messages.campaign_id,
    messages.lead_id,
    messages.step_id,
    messages.channel,
    messages.address_hash,
    messages.expires_at,
    contacts.email,
    contacts.phone,
    contacts.email_hash,
    contacts.phone_hash,
    contacts.first_name,
    contacts.locale,
    contacts.plan,
    contacts.last_key_action_on,
    entries.segment
from {{ state }}.messages as messages
inner join {{ state }}.journey_entries as entries on messages.entry_id = entries.entry_id
inner join {{ activation }}.sync_lead_contacts as contacts on messages.lead_id = contacts.lead_id
where messages.batch_id = $batch_id and messages.attempt_id = $attempt_id and messages.status = 'claimed'
order by messages.message_id
