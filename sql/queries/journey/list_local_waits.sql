{% from "macros/moves.jinja" import join_local_waits with context -%}
{% from "macros/people.jinja" import postal_prefix -%}
-- The instants at which a wait for a time of day was reached, with the evidence of where the lead is, as far as nobody
-- has computed yet when the wait ends.
select distinct
    journeys.stage_entered_at as reached_at,
    contacts.time_zone as profile_time_zone,
    numbers.time_zones as phone_time_zones,
    contacts.country,
    contacts.state as region,
    {{ postal_prefix("contacts") }} as postal_code
from {{ state }}.journey_state as journeys
{{ join_local_waits() }}
where
    journeys.campaign_id = $campaign_id
    and journeys.journey_version = $journey_version
    and journeys.stage = $stage
    and journeys.exit_reason is null
    and journeys.due_at <= $as_of
    and waits.reached_at is null
