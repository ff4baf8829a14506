-- The distinct sets of time-zone evidence among the due entries of a send step; a window is computed for each.
select distinct
    contacts.time_zone as profile_time_zone,
    numbers.time_zones as phone_time_zones,
    contacts.country
from {{ state }}.journey_state as journeys
inner join {{ activation }}.sync_lead_contacts as contacts on journeys.lead_id = contacts.lead_id
left join {{ state }}.number_time_zones as numbers
    on contacts.phone_hash = numbers.phone_hash and contacts.time_zone is null
where
    journeys.campaign_id = $campaign_id
    and journeys.stage = $step_id
    and journeys.exit_reason is null
    and journeys.due_at <= $as_of
