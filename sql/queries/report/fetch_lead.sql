select
    contacts.lead_id,
    contacts.person_id,
    contacts.time_zone,
    contacts.country,
    contacts.email_hash is not null as has_email,
    contacts.phone_hash is not null as has_phone,
    contacts.is_made_up
from {{ activation }}.sync_lead_contacts as contacts
where contacts.lead_id = $lead_id
