-- Campaigns that took part in this tick, or lately in another one.
select
    campaign_id,
    max(as_of) as last_as_of
from {{ state }}.campaign_turns
where as_of >= $since and as_of <= $as_of
group by campaign_id
order by campaign_id
