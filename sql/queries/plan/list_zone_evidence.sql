-- The distinct sets of time-zone evidence among the due entries of a send step; a window is computed for each.
select distinct
    contacts.time_zone as profile_time_zone,
    numbers.time_zones as phone_time_zones,
    contacts.country
from {{ state }}.journey_state as journeys
left join {{ activation }}.sync_lead_contacts as contacts on journeys.lead_id = contacts.lead_id
left join {{ state }}.number_time_zones as numbers
    on contacts.phone_hash = numbers.phone_hash and contacts.time_zone is null
left join {{ state }}.send_windows as windows
    on
        windows.campaign_id = $campaign_id
        and windows.channel = $channel
        and windows.as_of = $as_of
        and contacts.time_zone is not distinct from windows.profile_time_zone
        and numbers.time_zones is not distinct from windows.phone_time_zones
        and contacts.country is not distinct from windows.country
where
    journeys.campaign_id = $campaign_id
    and journeys.stage = $step_id
    and journeys.exit_reason is null
    and journeys.due_at <= $as_of
    and windows.as_of is null
