select
    entries.lead_id,
    contacts.email_hash,
    contacts.phone_hash
from {{ state }}.journey_entries as entries
inner join {{ activation }}.sync_lead_contacts as contacts on entries.lead_id = contacts.lead_id
where entries.arm = 'holdout'
order by entries.lead_id
