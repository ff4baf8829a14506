select count(*) as messages
from {{ state }}.messages
where campaign_id = $campaign_id and run_id = $run_id and status = 'planned'
