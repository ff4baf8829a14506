select *
from {{ marts }}.reactivation_by_campaign
order by campaign_id
