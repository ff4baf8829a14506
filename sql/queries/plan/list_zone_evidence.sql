{% from "macros/people.jinja" import join_zone_evidence, postal_prefix with context -%}
-- The distinct sets of time-zone evidence among the due entries of a send step; a window is computed for each.
select distinct
    contacts.time_zone as profile_time_zone,
    numbers.time_zones as phone_time_zones,
    contacts.country,
    contacts.state as region,
    {{ postal_prefix("contacts") }} as postal_code
from {{ state }}.journey_state as journeys
left join {{ activation }}.sync_lead_contacts as contacts on journeys.lead_id = contacts.lead_id
{{ join_zone_evidence("contacts") }}
where
    journeys.campaign_id = $campaign_id
    and journeys.journey_version = $journey_version
    and journeys.stage = $step_id
    and journeys.exit_reason is null
    and journeys.due_at <= $as_of
    and windows.as_of is null
