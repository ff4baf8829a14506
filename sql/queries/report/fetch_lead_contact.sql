-- What a template and a send window need of one lead.
select
    contacts.lead_id,
    contacts.email,
    contacts.phone,
    contacts.first_name,
    contacts.time_zone,
    contacts.country,
    contacts.state,
    contacts.postal_code,
    contacts.locale,
    contacts.plan,
    contacts.last_key_action_on,
    numbers.time_zones as phone_time_zones
from {{ activation }}.sync_lead_contacts as contacts
left join {{ state }}.number_time_zones as numbers on contacts.phone_hash = numbers.phone_hash
where contacts.lead_id = $lead_id
