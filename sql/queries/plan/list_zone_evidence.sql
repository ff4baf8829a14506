-- The distinct sets of time-zone evidence among the due entries of a send step; a window is computed for each.
select distinct
    contacts.time_zone as profile_time_zone,
    phone_checks.time_zones as phone_time_zones,
    contacts.country
from {{ state }}.journey_state as journeys
inner join {{ activation }}.sync_lead_contacts as contacts on journeys.lead_id = contacts.lead_id
left join {{ state }}.contact_checks as phone_checks
    on contacts.phone_hash = phone_checks.address_hash and phone_checks.channel = 'sms'
where
    journeys.campaign_id = $campaign_id
    and journeys.stage = $step_id
    and journeys.exit_reason is null
    and journeys.due_at <= $as_of
