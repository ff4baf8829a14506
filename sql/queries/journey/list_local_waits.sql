-- The instants at which a wait for a time of day was reached, with the evidence of where the lead is, as far as nobody
-- has computed yet when the wait ends.
select distinct
    journeys.stage_entered_at as reached_at,
    contacts.time_zone as profile_time_zone,
    numbers.time_zones as phone_time_zones,
    contacts.country
from {{ state }}.journey_state as journeys
left join {{ activation }}.sync_lead_contacts as contacts on journeys.lead_id = contacts.lead_id
left join {{ state }}.number_time_zones as numbers
    on contacts.phone_hash = numbers.phone_hash and contacts.time_zone is null
left join {{ state }}.local_waits as waits
    on
        journeys.campaign_id = waits.campaign_id
        and waits.minute = $minute
        and journeys.stage_entered_at = waits.reached_at
        and contacts.time_zone is not distinct from waits.profile_time_zone
        and numbers.time_zones is not distinct from waits.phone_time_zones
        and contacts.country is not distinct from waits.country
where
    journeys.campaign_id = $campaign_id
    and journeys.journey_version = $journey_version
    and journeys.stage = $stage
    and journeys.exit_reason is null
    and journeys.due_at <= $as_of
    and waits.reached_at is null
