{# Stops the run: one active entry per lead and campaign. #}
{{ config(tags=['measure']) }}

select
    campaign_id,
    lead_id,
    count(*) as active_entries
from {{ source('rekindle_state', 'journey_state') }}
where exit_reason is null
group by campaign_id, lead_id
having count(*) > 1
