-- Ids that differ in their case or their end only. An id that is an address is nobody else's to see.
select contacts.lead_id
from {{ activation }}.sync_lead_contacts as contacts
where
    (
        substr(lower(contacts.lead_id), 1, length($lead_id)) = lower($lead_id)
        or substr(lower($lead_id), 1, length(contacts.lead_id)) = lower(contacts.lead_id)
    )
    and contacts.lead_id not like '%@%'
order by length(contacts.lead_id) asc, contacts.lead_id asc
limit 3
