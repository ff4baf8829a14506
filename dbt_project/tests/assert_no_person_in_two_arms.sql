{# Stops the run: one person (shared address or number) is in one arm of a campaign. #}
{{ config(tags=['measure']) }}

select
    campaign_id,
    person_id
from {{ source('rekindle_state', 'journey_entries') }}
group by campaign_id, person_id
having min(arm) != max(arm)
