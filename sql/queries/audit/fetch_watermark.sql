select max(as_of) as newest_as_of
from {{ state }}.campaign_runs
where activity = $activity and campaign_id = $campaign_id
