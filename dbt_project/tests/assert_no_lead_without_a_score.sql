{# Stops the run: a preset that no seed row knows, or a signal without a weight, would silently score nobody. #}
{{ config(tags=['daily_score']) }}

select
    activity.lead_id,
    scores.cold_score
from {{ ref('int_lead_activity_aggregated') }} as activity
left join {{ ref('int_leads_scored') }} as scores on activity.lead_id = scores.lead_id
where scores.cold_score is null
