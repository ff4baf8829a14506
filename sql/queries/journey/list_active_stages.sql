select
    stage,
    count(*) as entries
from {{ state }}.journey_state
where campaign_id = $campaign_id and exit_reason is null
group by stage
order by stage
